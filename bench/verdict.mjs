// verdict -- medians, spreads, goals, the table.

function sorted(numbers) {
    return numbers.toSorted((a, b) => a - b);
}

// Linear between neighbours.
export function quantile(numbers, share) {
    const all = sorted(numbers);
    const at = (all.length - 1) * share;
    const low = Math.floor(at);
    return all[low] + (all[Math.ceil(at)] - all[low]) * (at - low);
}

function round_off(number) {
    return number === null ? null : Number(number.toPrecision(4));
}

// rounds: {ours, floor?, figure} each; the figure is what the goal is about. `failed`: {reason, skipped}.
export function judge(row, rounds, failed = null) {
    const { name, row: number, unit, goal = null, about } = row;
    const shape = { name, row: number, unit, about, ours: null, floor: null, ratio: null, figure: null, spread: null };
    if (failed !== null) {
        return { ...shape, goal, met: failed.skipped ? null : false, beyond_spread: !failed.skipped, failed: failed.reason, rounds: [] };
    }
    const of = (key) => rounds.map((round) => round[key]).filter((value) => value !== undefined);
    const median = (key) => (of(key).length > 0 ? quantile(of(key), 0.5) : null);
    const figures = of('figure');
    const spread = quantile(figures, 0.75) - quantile(figures, 0.25);
    const figure = quantile(figures, 0.5);
    const paired = rounds.filter((round) => round.floor !== undefined);
    const ratio = paired.length > 0 ? quantile(paired.map((round) => round.ours / round.floor), 0.5) : null;
    return {
        ...shape,
        ours: round_off(median('ours')),
        floor: round_off(median('floor')),
        ratio: round_off(ratio),
        figure: round_off(figure),
        spread: round_off(spread),
        goal,
        met: goal === null ? null : reaches(figure, goal, 0),
        beyond_spread: goal !== null && !reaches(figure, goal, spread),
        ...(row.note?.() && { note: row.note() }),
        rounds: rounds.map((round) => [round.ours, round.floor ?? null, round.figure].map(round_off)),
    };
}

// A goal is written as it is read: `<= 3`, `>= 0.35`; `leeway` is granted on top of it.
export function reaches(figure, goal, leeway) {
    const [how, limit] = goal.split(' ');
    return how === '<=' ? figure - leeway <= Number(limit) : figure + leeway >= Number(limit);
}

const show = (value) => (value === null ? '-' : String(value));

// Prints the table; how many goals are missed by more than the run's own spread, or could not be measured for a fault.
export function print(results) {
    const word = ({ met, goal, failed, beyond_spread }) => {
        if (failed !== undefined) {
            return `${met === null ? 'NOT MEASURED' : 'FAILED'}: ${failed}`;
        }
        return goal === null ? '' : met ? 'met' : beyond_spread ? 'MISSED' : 'missed, but within the spread';
    };
    const lines = [['row', 'name', 'unit', 'ours', 'floor', 'ratio', 'figure', '+-', 'goal', '']];
    for (const one of results) {
        const figures = [one.ours, one.floor, one.ratio, one.figure, one.spread].map(show);
        lines.push([one.row, one.name, one.unit, ...figures, show(one.goal), word(one)].map(String));
    }
    const widths = lines[0].map((_, i) => Math.max(...lines.map((line) => (i === 9 ? 0 : line[i].length))));
    for (const line of lines) {
        console.log(line.map((text, i) => (i > 2 && i < 9 ? text.padStart(widths[i]) : text.padEnd(widths[i]))).join('  ').trimEnd());
    }
    for (const { name, note } of results.filter((one) => one.note !== undefined)) {
        console.log(`${name}: ${note}`);
    }
    return results.filter((one) => one.beyond_spread).length;
}
