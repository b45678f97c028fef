#!/usr/bin/env node
// run -- the official MCP conformance suite through the hub, one run per cell (client era -> server era).
//
//   run.mjs [A] [B] [C] [D] [--aggregated] [--direct]     cells: A B C unless told
//
// --aggregated goes by /mcp and the renaming proxy, else /mcp/bed; --direct leaves the hub out (does the
// fixture itself conform?). TRUNKLINE_BIN names the program, REPORT_DIR where logs and check files go.
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { make_children } from './children.mjs';
import { run_suite } from './suite.mjs';
import { start_target } from './targets.mjs';

const D_EXCUSES = fileURLToPath(new URL('d.yml', import.meta.url));
const REPORT_DIR = fileURLToPath(new URL('../../build/report/conformance', import.meta.url));

const LEGACY = '2025-11-25';
const MODERN = '2026-07-28';

// revision: of the suite; era: of the bed; bar: how many scenarios must pass
const CELLS = {
    A: { revision: LEGACY, era: 'legacy', bar: 30 },
    B: { revision: MODERN, era: 'modern', bar: 37 },
    C: { revision: LEGACY, era: 'modern', bar: 30 },
    D: { revision: MODERN, era: 'legacy', bar: 33, excuses: D_EXCUSES },
};
const FLAGS = ['--aggregated', '--direct'];

function settings_from(words) {
    const unknown = words.find((word) => !FLAGS.includes(word) && CELLS[word] === undefined);
    if (unknown !== undefined) {
        throw new Error(`unknown argument '${unknown}'; cells are A B C D, flags ${FLAGS.join(' ')}`);
    }
    const cells = words.filter((word) => CELLS[word] !== undefined);
    return {
        cells: cells.length > 0 ? cells : ['A', 'B', 'C'],
        aggregated: words.includes('--aggregated'),
        direct: words.includes('--direct'),
        report: process.env.REPORT_DIR ?? REPORT_DIR,
    };
}

// What is wrong with a run, as lines; none when it is good. A stale excuse shows in the suite's exit status.
function faults_of({ bar, excuses }, result, left) {
    const { passed, failed, excused, status, log } = result;
    const faults = left.map(({ pid, command }) => `left behind: pid ${pid}, ${command}`);
    const surprising = failed.filter((name) => !excused.includes(name));
    if (surprising.length > 0) {
        faults.push(`failed: ${surprising.join(' ')}`);
    }
    if (passed.length < bar) {
        faults.push(`${passed.length} passed, the bar is ${bar}`);
    }
    if (status !== 0 && surprising.length === 0) {
        faults.push(
            excuses === undefined ? `the suite ended with ${status}` : `an excuse is stale, see ${excuses}`,
        );
    }
    return faults.length > 0 ? [...faults, `log: ${log}`] : faults;
}

async function run_cell(children, cell, { aggregated, direct, report }) {
    const { revision, era, excuses } = CELLS[cell];
    const kind = aggregated ? 'aggregated' : 'bare';
    const out = `${report}/${cell}-${kind}${direct ? '-direct' : ''}`;
    const target = await start_target(children, { cell, era, direct, aggregated, out: `${out}/target` });
    const result = await run_suite(children, {
        url: target.url,
        revision,
        out: `${out}/suite`,
        excuses: direct ? undefined : excuses,
    });
    const left = await target.close();
    console.log(
        `conformance ${cell} ${kind} ${revision} ${result.passed.length}/${result.scored.length}` +
            (direct ? ' (direct)' : ''),
    );
    const faults = faults_of(CELLS[cell], result, left);
    faults.forEach((fault) => console.log(`  ${fault}`));
    return { ...result, faults };
}

// A cell that could not be run counts as one failure, so that it cannot pass for nothing to do.
async function run_all(children, settings) {
    const sum = { passed: 0, failed: 0, skipped: 0, good: true };
    for (const cell of settings.cells) {
        try {
            const { passed, failed, excused, faults } = await run_cell(children, cell, settings);
            sum.passed += passed.length;
            sum.failed += failed.length - excused.length;
            sum.skipped += excused.length;
            sum.good &&= faults.length === 0;
        } catch (error) {
            console.log(`conformance ${cell}: ${error.message}`);
            sum.failed += 1;
            sum.good = false;
            await children.stop_all();
        }
    }
    return sum;
}

async function main() {
    const settings = settings_from(process.argv.slice(2));
    const children = make_children();
    for (const [signal, status] of [
        ['SIGINT', 130],
        ['SIGTERM', 143],
    ]) {
        process.once(signal, () => children.close().finally(() => process.exit(status)));
    }
    const { passed, failed, skipped, good } = await run_all(children, settings);
    console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
    process.exitCode = good ? 0 : 1;
}

main().catch((error) => {
    console.error(`conformance: ${error.message}`);
    process.exit(2);
});
