// hub -- a real `trunkline up` in a folder of its own, ended with the test; nothing of it may stay behind.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
    closeSync, existsSync, mkdtempSync, openSync, readFileSync, readdirSync, rmSync, writeFileSync, writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { until } from './until.mjs';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
export const ROOT = at('../../..').replace(/\/$/, '');
export const NODE = process.execPath;
export const TRUNKLINE = process.env.TRUNKLINE_BIN ?? join(ROOT, 'build/dev/trunkline');
export const FIXTURE = at('../../beds/conformance-upstream.mjs');
// Only test builds let a test move the clock; the release has no such code.
export const HOLDS_CLOCK = existsSync(TRUNKLINE) && readFileSync(TRUNKLINE).includes('TRUNKLINE_TEST_CLOCK_FD');
const modules = at('../../node_modules');

// Rows for `servers` of a configuration.
export const servers = {
    fixture: (era, env = {}) => ({ command: NODE, args: [FIXTURE, '--stdio'], env: { ERA: era, ...env } }),
    everything: () => ({ command: NODE, args: [`${modules}/@modelcontextprotocol/server-everything/dist/index.js`, 'stdio'] }),
    filesystem: (folder) => ({
        command: NODE,
        args: [`${modules}/@modelcontextprotocol/server-filesystem/dist/index.js`, folder],
    }),
    memory: (file) => ({
        command: NODE,
        args: [`${modules}/@modelcontextprotocol/server-memory/dist/index.js`],
        env: { MEMORY_FILE_PATH: file },
    }),
    workspace: (path) => ({ builtin: 'workspace', settings: { path } }),
    old: () => ({ command: NODE, args: [at('../../beds/old/server-2024-11-05.mjs')] }),
    program: (file, ...args) => ({ command: NODE, args: [at(`../../beds/${file}`), ...args] }),
};

// Stands in for `t` where one hub serves several tests: life.after(fn), and life.end() in after().
export const lasting = () => {
    const undo = [];
    return { after: (fn) => undo.push(fn), end: async () => { for (const fn of undo.splice(0).reverse()) await fn(); } };
};

// Every living process that has `mark` in its environment: what the hub started, with all its children.
export function marked(mark) {
    const found = [];
    for (const pid of readdirSync('/proc').filter((name) => /^[0-9]+$/.test(name))) {
        try {
            const state = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1][0];
            if (state === 'Z' || !readFileSync(`/proc/${pid}/environ`, 'utf8').includes(mark)) continue;
            found.push({ pid: Number(pid), command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') });
        } catch {
            // gone in the meantime
        }
    }
    return found;
}

export function descendants(pid) {
    const parents = new Map();
    for (const name of readdirSync('/proc').filter((entry) => /^[0-9]+$/.test(entry))) {
        try {
            const stat = readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1].split(' ');
            if (stat[0] !== 'Z') parents.set(Number(name), Number(stat[1]));
        } catch {
            // gone in the meantime
        }
    }
    const found = new Set([pid]);
    for (let grew = true; grew; ) {
        grew = false;
        for (const [child, parent] of parents)
            if (found.has(parent) && !found.has(child)) grew = found.add(child) && true;
    }
    found.delete(pid);
    return [...found];
}

// Sanitizers report where the runner of the tests says.
const sanitizers = () =>
    Object.fromEntries(Object.entries(process.env).filter(([name]) => /^([ALTU]|UB)SAN_OPTIONS$/.test(name)));

export const is_alive = (pid) => {
    try {
        return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1][0] !== 'Z';
    } catch {
        return false;
    }
};

// int64 milliseconds in a file that the hub's processes map: move(ms) is the only way their time can leap.
function make_clock(folder) {
    const fd = openSync(join(folder, 'clock'), 'w+');
    let offset = 0n;
    const write = () => writeSync(fd, Buffer.from(BigInt64Array.of(offset).buffer), 0, 8, 0);
    write();
    return { fd, move: (ms) => { offset += BigInt(ms); write(); } };
}

// For hubs whose clock moves: otherwise connections that clients keep would end in the middle of what is tested.
export const PATIENT = { limits: { http: { idle: '24h' } } };

// start_hub(t, {servers: {...}, config: {...}, wait: false, clock: true}) -> hub. `wait`: until every server is ready
// (default); `clock`: hub.move_clock(ms) works. `servers` may be a function of the hub's folder.
export async function start_hub(t, options = {}) {
    const folder = options.folder ?? mkdtempSync(join(tmpdir(), 'tl-'));
    const state = join(folder, 'state');
    const file = join(folder, 'trunkline.json');
    const log = join(folder, 'hub.log');
    const config = { listen: ['127.0.0.1:0', `unix:${folder}/api.sock`], auth: { loopback: 'open' }, ...options.config };
    config.servers = (typeof options.servers === 'function' ? options.servers(folder) : options.servers) ?? {};
    writeFileSync(file, JSON.stringify(config, null, 4));
    const out = openSync(log, 'a');
    const clock = options.clock ? make_clock(folder) : null;
    const child = spawn(TRUNKLINE, ['up', '--config', file, '--state', state, '--quiet'], {
        cwd: folder,
        detached: true,
        env: {
            PATH: process.env.PATH, HOME: folder, ...sanitizers(), ...options.env,
            ...(clock ? { TRUNKLINE_TEST_CLOCK_FD: '3' } : {}),
        },
        stdio: ['ignore', out, out, ...(clock ? [clock.fd] : [])],
    });
    closeSync(out);
    if (clock) t.after(() => closeSync(clock.fd));
    const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })));
    const text = () => readFileSync(log, 'utf8');
    const read = (name) => JSON.parse(readFileSync(join(state, 'run', name), 'utf8'));
    const hub = { child, pid: child.pid, folder, state, file, log: text, ended, config };

    hub.roles = () => read('roles.json');
    hub.move_clock = clock?.move;
    hub.fds = () => readdirSync(`/proc/${hub.roles().hub}/fd`).length;
    // What a bed wrote down: the rows of its BED_LOG.
    hub.journal = (name = 'bed') => {
        const file = config.servers[name].env.BED_LOG;
        return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').filter(Boolean).map((row) => JSON.parse(row)) : [];
    };
    hub.calls_of = (tool, name = 'bed') => hub.journal(name).filter((row) => row.event === 'call' && row.tool === tool);
    hub.get = async (path, init) => {
        const response = await fetch(hub.url + path, { headers: { accept: 'application/json' }, ...init });
        const body = await response.text();
        return { status: response.status, headers: response.headers, text: body, json: body.startsWith('{') ? JSON.parse(body) : null };
    };
    hub.server = async (name) => (await hub.get(`/api/v1/servers/${name}`)).json;
    hub.ready = (name, ms = 30_000) =>
        until(`server '${name}' to be ready`, async () => {
            const server = await hub.server(name);
            if (server?.state === 'ready') return server;
            throw new Error(JSON.stringify(server));
        }, ms);
    hub.is_up = () =>
        until('the hub to be up', async () => {
            if (child.exitCode !== null) throw new Error(`trunkline ended with ${child.exitCode}`);
            if (!existsSync(join(state, 'run/endpoints.json'))) return false;
            const endpoints = read('endpoints.json');
            hub.url = endpoints.http.find((url) => url.includes('127.0.0.1'));
            hub.socket = endpoints.unix;
            return (await fetch(`${hub.url}/readyz`)).status === 200;
        }, 30_000);
    hub.stop = async (signal = 'SIGTERM') => {
        const tree = descendants(child.pid);
        if (child.exitCode === null && child.signalCode === null) process.kill(child.pid, signal);
        const how = await Promise.race([
            ended,
            new Promise((_, refuse) => setTimeout(refuse, 15_000, new Error('trunkline did not end within 15 s')).unref()),
        ]);
        await hub.nothing_left(tree);
        return how;
    };
    hub.nothing_left = (tree) =>
        until('every process of the hub to be gone', () => {
            const left = tree.filter(is_alive);
            if (left.length === 0) return true;
            throw new Error(left.map((pid) => `${pid} ${readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')}`).join('; '));
        }, 6_000);

    t.after(async () => {
        const tree = [child.pid, ...descendants(child.pid)];
        try {
            await hub.stop();
        } finally {
            for (const pid of tree.filter(is_alive)) process.kill(pid, 'SIGKILL');
            if (!options.folder) rmSync(folder, { recursive: true, force: true });
        }
    });
    try {
        await hub.is_up();
        if (options.wait !== false) for (const name of Object.keys(config.servers)) await hub.ready(name);
    } catch (error) {
        error.message += `\n--- the hub's log ---\n${text().split('\n').slice(-40).join('\n')}`;
        throw error;
    }
    assert.ok(hub.url);
    return hub;
}

// A hub with the fixture as its one server `bed`, which keeps a journal.
export const hub_with_bed = (t, era, { env, ...options } = {}) =>
    start_hub(t, { ...options, servers: (folder) => ({ bed: servers.fixture(era, { BED_LOG: join(folder, 'bed.log'), ...env }) }) });
