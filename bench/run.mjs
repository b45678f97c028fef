// run -- measures the rows of the goals, interleaved (A B A B …), and says whether they are met.
//
//   node bench/run.mjs [NAME…]     only rows whose name begins with one of these
//
// Each round runs every cell once, one after the other; a row is made of cells of the same round. So a machine that
// slows down slows down both sides of a ratio. Medians over the rounds are compared with the goals; a goal counts as
// missed only when it is missed by more than the run's own spread (distance of the quartiles). Writes build/bench.json.
//
// BENCH_ROUNDS (5), BENCH_SECONDS (0.5 per cell), BENCH_PIN=0, TRUNKLINE_BIN, BENCH_PROGRAMS (folder of bench_*),
// BENCH_CONFIG (JSON merged into every hub's configuration), BENCH_OUT (build/bench.json).
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { SKIPPED, close_all, open_hubs, rows } from './rows.mjs';
import { HUB, PINNED, ROOT, end_all } from './processes.mjs';
import { judge, print } from './verdict.mjs';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 5);
const OUT = process.env.BENCH_OUT ?? join(ROOT, 'build/bench.json');

function machine() {
    return {
        cpu: cpus()[0]?.model ?? 'unknown',
        cores: cpus().length,
        memory_gib: Math.round(totalmem() / 2 ** 30),
        kernel: release(),
        pinned: PINNED,
        rounds: ROUNDS,
        hub: (spawnSync(HUB, ['version'], { encoding: 'utf8' }).stdout ?? '').split('\n')[0],
    };
}

function log(text) {
    process.stderr.write(`${text}\n`);
}

// Runs each cell of the chosen rows once a round. A cell that cannot be measured is named, with its reason, and takes
// its rows with it; it is not tried again.
async function measure(chosen) {
    const names = [...new Set(chosen.flatMap((row) => row.cells.map((cell) => cell.key)))];
    const cells = names.map((key) => chosen.flatMap((row) => row.cells).find((cell) => cell.key === key));
    const values = Object.fromEntries(names.map((key) => [key, []]));
    const broken = {};
    for (let round = 0; round < ROUNDS; round++) {
        log(`round ${round + 1} of ${ROUNDS}`);
        for (const cell of cells) {
            if (broken[cell.key] !== undefined) {
                continue;
            }
            const began = performance.now();
            try {
                values[cell.key].push(await cell.run());
                log(`  ${cell.key} ${Math.round(performance.now() - began)} ms`);
            } catch (error) {
                broken[cell.key] = { reason: error.message, skipped: error instanceof SKIPPED };
                log(`  ${cell.key}: ${error.message}`);
            }
        }
    }
    return { values, broken };
}

function results_of(chosen, { values, broken }) {
    return chosen.map((row) => {
        const failed = row.cells.map((cell) => broken[cell.key]).find((what) => what !== undefined);
        if (failed !== undefined) {
            return judge(row, [], failed);
        }
        try {
            return judge(row, Array.from({ length: ROUNDS }, (_, i) => row.of(...row.cells.map((cell) => values[cell.key][i]))));
        } catch (error) {
            return judge(row, [], { reason: error.message, skipped: false });
        }
    });
}

async function main(wanted) {
    const began = performance.now();
    const chosen = rows.filter((row) => wanted.length === 0 || wanted.some((name) => row.name.startsWith(name)));
    if (chosen.length === 0) {
        throw new Error(`no such row; there are ${rows.map((row) => row.name).join(' ')}`);
    }
    await open_hubs(chosen);
    const results = results_of(chosen, await measure(chosen));
    await close_all();
    mkdirSync(dirname(OUT), { recursive: true });
    writeFileSync(OUT, `${JSON.stringify({ machine: machine(), results }, null, 1)}\n`);
    const missed = print(results);
    console.log(`${Math.round((performance.now() - began) / 1000)} s, ${ROUNDS} rounds; written to ${OUT}`);
    return missed === 0 ? 0 : 1;
}

for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, async () => {
        await end_all();
        process.exit(130);
    });
}

let status = 2;
try {
    status = await main(process.argv.slice(2));
} catch (error) {
    console.error(error.message);
} finally {
    await end_all();
}
process.exit(status);
