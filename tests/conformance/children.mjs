// children -- the processes of a run: each in a group of its own, ended by pid, with all that came of it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises'; // timer: until() below, and the stop's last resort

const STOP_MS = 10_000;
const GONE_MS = 5_000; // the hub's promise: what it started is gone this long after it, at the latest

// Asks again every 10 ms until the answer is true; the error tells the last answer.
export async function until(what, ms, ask) {
    const end = Date.now() + ms;
    for (;;) {
        const last = await ask();
        if (last === true) {
            return;
        }
        if (Date.now() > end) {
            throw new Error(`waited ${ms} ms in vain for ${what}: last saw ${JSON.stringify(last)}`);
        }
        await wait(10);
    }
}

function parents() {
    const rows = [];
    for (const name of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
        try {
            const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
            const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
            const born = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
            rows.push({ pid: Number(name), parent: Number(parent), born, dead: state === 'Z' });
        } catch {
            continue; // ended while we looked
        }
    }
    return rows;
}

function descendants(pid) {
    const rows = parents();
    const found = [];
    for (let next = [pid]; next.length > 0;) {
        const children = rows.filter((row) => next.includes(row.parent));
        found.push(...children);
        next = children.map((row) => row.pid);
    }
    return found;
}

// The same process, not another that was given its number.
function alive(noted) {
    const rows = parents();
    return noted.filter(({ pid, born }) =>
        rows.some((row) => row.pid === pid && row.born === born && !row.dead),
    );
}

function kill(pid, signal) {
    try {
        process.kill(pid, signal);
    } catch (error) {
        if (error.code !== 'ESRCH') {
            throw error;
        }
    }
}

const ended = (child) => child.exitCode !== null || child.signalCode !== null;

function command_of(pid) {
    try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    } catch {
        return 'ended';
    }
}

export function make_children() {
    const started = [];
    const stops = new Map(); // child -> promise: an interrupt may come while the run is stopping it already
    let closed = false;

    async function stop_once(child) {
        const noted = descendants(child.pid);
        if (!ended(child)) {
            const exit = once(child, 'exit');
            kill(child.pid, 'SIGTERM');
            const late = new AbortController();
            await Promise.race([exit, wait(STOP_MS, undefined, { signal: late.signal }).catch(() => {})]);
            late.abort();
            if (!ended(child)) {
                noted.push(...descendants(child.pid));
                kill(child.pid, 'SIGKILL');
                await exit;
            }
        }
        await until('its children to end', GONE_MS, () => alive(noted).length === 0).catch(() => {});
        const left = alive(noted).map(({ pid }) => ({ pid, command: command_of(pid) }));
        left.forEach(({ pid }) => kill(pid, 'SIGKILL'));
        await until('them to end by force', GONE_MS, () => alive(noted).length === 0);
        started.splice(started.indexOf(child), 1);
        return left;
    }

    // Ends the child, then tells what it left behind (and ends that as well).
    function stop(child) {
        if (!stops.has(child)) {
            stops.set(child, stop_once(child));
        }
        return stops.get(child);
    }

    return {
        // log: path for stderr, and for stdout too unless the first line of it is wanted
        start(command, args, { log, env = process.env, stdout = 'log' }) {
            if (closed) {
                throw new Error('the run was interrupted');
            }
            const fd = openSync(log, 'a');
            const stdio = ['ignore', stdout === 'log' ? fd : 'pipe', fd];
            const child = spawn(command, args, { detached: true, env, stdio });
            closeSync(fd);
            started.push(child);
            child.failed = once(child, 'error').then(([error]) => {
                throw error;
            });
            child.failed.catch(() => {});
            return child;
        },

        async first_line(child) {
            const lines = createInterface({ input: child.stdout });
            const [line] = await Promise.race([
                once(lines, 'line'),
                child.failed,
                once(child, 'exit').then(([code]) => {
                    throw new Error(`'${child.spawnfile}' ended with ${code} before it said a line`);
                }),
            ]);
            lines.on('line', () => {}); // go on reading, or a chatty child would block
            return line;
        },

        stop,
        stop_all: async () => {
            while (started.length > 0) {
                await stop(started.at(-1));
            }
        },
        // For good: nothing more is started
        close() {
            closed = true;
            return this.stop_all();
        },
    };
}
