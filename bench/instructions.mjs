// instructions -- how many instructions the hub runs for one call, counted by callgrind. Unlike a time this is the same on
// a busy machine, so a change that makes calls dearer is seen in `make check` and not only in a quiet hour.
//
// Two runs with different numbers of calls: their difference leaves out what starting and stopping cost.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { HUB, ROOT, end_all, hub, load, program, scratch } from './processes.mjs';

const FEW = 2000;
const MANY = 6000;
const LEEWAY = 1.15;
const BUDGET = process.env.BENCH_BUDGET ?? join(ROOT, 'bench/instructions.txt');

function build_preload() {
    const made = join(scratch, 'exe.so');
    const source = join(ROOT, 'bench/preload/exe.c');
    const { status, stderr } = spawnSync('cc', ['-D_GNU_SOURCE', '-O1', '-shared', '-fPIC', '-o', made, source], { encoding: 'utf8' });
    if (status !== 0) {
        throw new Error(`cannot build ${source}: ${stderr}`);
    }
    return made;
}

async function counted(calls, preload) {
    const out = join(scratch, `callgrind-${calls}`);
    const tool = [
        'env', `REAL_EXE=${HUB}`, `LD_PRELOAD=${preload}`, 'valgrind', '-q', '--tool=callgrind', '--trace-children=yes', '--trace-children-skip=*bench_echo*',
        `--callgrind-out-file=${out}.%p`,
    ];
    const one = await hub(`counted-${calls}`, { echo: { command: program('echo'), args: [] } }, 4, tool);
    const { pid } = one; // gone from roles.json once it has stopped
    await load({ url: `${one.url}/mcp/echo`, connections: 1, warm: 0, seconds: 120, calls });
    await one.stop();
    const found = /^(?:summary|totals): (\d+)/m.exec(readFileSync(`${out}.${pid}`, 'utf8'));
    if (found === null) {
        throw new Error('callgrind has left no sum');
    }
    return Number(found[1]);
}

async function main(write) {
    if (!write && !existsSync(BUDGET)) {
        console.log('no budget of instructions is written down: bench/instructions --write');
        return 78;
    }
    const preload = build_preload();
    const few = await counted(FEW, preload);
    const each = Math.round(((await counted(MANY, preload)) - few) / (MANY - FEW));
    if (write) {
        writeFileSync(BUDGET, `${each}\n`);
        console.log(`${each} instructions per call: written down`);
        return 0;
    }
    const budget = Number(readFileSync(BUDGET, 'utf8'));
    const ok = each <= budget * LEEWAY;
    console.log(`${each} instructions per call, budget ${budget}${ok ? '' : `: more than ${LEEWAY} times that`}`);
    return ok ? 0 : 1;
}

let status = 1;
try {
    status = await main(process.argv.includes('--write'));
} catch (error) {
    console.error(error.message);
} finally {
    await end_all();
}
process.exit(status);
