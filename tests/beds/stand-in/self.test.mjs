// The conformance runner, tried on a stand-in for the hub: a runner that cannot fail would prove nothing.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, watch } from 'node:fs';
import { tmpdir } from 'node:os';
import process from 'node:process';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

const RUN = fileURLToPath(new URL('../../conformance/run.mjs', import.meta.url));
const STAND_IN = fileURLToPath(new URL('trunkline.mjs', import.meta.url));

// The runner tells its processes by this folder in their command lines.
function start(t, behaviour, cells, settings = {}) {
    const report = mkdtempSync(`${tmpdir()}/conformance-`);
    const child = spawn(process.execPath, [RUN, ...cells], {
        env: {
            PATH: `${process.execPath.replace(/\/node$/, '')}:${process.env.PATH}`,
            TRUNKLINE_BIN: STAND_IN,
            STAND_IN: behaviour,
            REPORT_DIR: report,
            ...settings,
        },
        stdio: ['ignore', 'pipe', 'inherit'],
    });
    let said = '';
    child.stdout.on('data', (chunk) => (said += chunk));
    const ended = once(child, 'close').then(([status]) => ({ status, said }));
    t.after(async () => {
        child.kill('SIGKILL');
        await ended;
        rmSync(report, { recursive: true });
    });
    return { child, ended, report };
}

function processes_naming(words) {
    return readdirSync('/proc')
        .filter((name) => /^\d+$/.test(name))
        .filter((pid) => {
            try {
                return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(words);
            } catch {
                return false; // ended while we looked
            }
        });
}

test('a hub that conforms passes, and all is ended', async (t) => {
    const { ended, report } = start(t, 'fine', ['A']);
    const { status, said } = await ended;
    assert.equal(said, 'conformance A bare 2025-11-25 30/30\n30 passed, 0 failed, 0 skipped\n');
    assert.equal(status, 0);
    assert.deepEqual(processes_naming(report), []);
});

test('a scenario that fails is named and fails the run', async (t) => {
    const { status, said } = await start(t, 'no-ping', ['A']).ended;
    assert.match(
        said,
        /^conformance A bare 2025-11-25 29\/30\n {2}failed: ping\n {2}29 passed, the bar is 30\n/,
    );
    assert.match(said, /\n29 passed, 1 failed, 0 skipped\n$/);
    assert.equal(status, 1);
});

test('an excuse that is not needed fails the run', async (t) => {
    const { status, said } = await start(t, 'dual', ['D']).ended;
    assert.match(said, /^conformance D bare 2026-07-28 37\/37\n {2}an excuse is stale, see /);
    assert.equal(status, 1);
});

test('a hub that dies fails the run with the end of its log', async (t) => {
    const { status, said } = await start(t, 'dies', ['A']).ended;
    assert.match(said, /conformance A: trunkline ended with 3\n--- end of .*\nthe stand-in dies as asked\n/);
    assert.match(said, /\n0 passed, 1 failed, 0 skipped\n$/);
    assert.equal(status, 1);
});

test('a hub that is not there fails the run', async (t) => {
    const { status, said } = await start(t, 'fine', ['A'], { TRUNKLINE_BIN: '/nowhere/trunkline' }).ended;
    assert.match(said, /ENOENT/);
    assert.equal(status, 1);
});

test('a process that a hub leaves behind is named, ended, and fails the run', async (t) => {
    const { status, said } = await start(t, 'orphan', ['A']).ended;
    const [, pid] = /\n {2}left behind: pid (\d+), sleep 1000\n/.exec(said) ?? assert.fail(said);
    assert.deepEqual(
        processes_naming('sleep\u00001000').filter((one) => one === pid),
        [],
    );
    assert.equal(status, 1);
});

test('an interrupt ends what was started', { timeout: 30_000 }, async (t) => {
    const { child, ended, report } = start(t, 'fine', ['A']);
    const seen = new Promise((done) => {
        const watcher = watch(report, { recursive: true }, (_event, name) => {
            if (name?.includes('suite.log')) {
                watcher.close();
                done();
            }
        });
    });
    await seen;
    child.kill('SIGINT');
    const { status } = await ended;
    assert.equal(status, 130);
    assert.deepEqual(processes_naming(report), []);
});
