// processes -- starts and ends everything a run needs: hubs, floor programs, idle connections, loads.
//
// Pinned where there are two cores or more: what serves (hub, its servers, floors) on the first, what asks on the
// second, so that both sides of a ratio have the same machine to themselves. BENCH_PIN=0 leaves it to the kernel.
import { spawn, spawnSync } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');
export const HUB = resolve(process.env.TRUNKLINE_BIN ?? join(ROOT, 'build/release/trunkline'));
export const PINNED = process.env.BENCH_PIN !== '0' && availableParallelism() > 1 && has('taskset');
const PROGRAMS = resolve(process.env.BENCH_PROGRAMS ?? join(ROOT, 'build/release'));
const SERVING = 0;
const ASKING = 1;

export const scratch = mkdtempSync(join(tmpdir(), 'bench-'));
const running = new Set();

function has(program) {
    return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
}

export function program(name) {
    const path = join(PROGRAMS, `bench_${name}`);
    if (!existsSync(path)) {
        throw new Error(`no ${path}: build the target 'bench' first`);
    }
    return path;
}

function on_core(core, command, args) {
    return PINNED ? ['taskset', ['-c', String(core), command, ...args]] : [command, args];
}

// Every child is remembered until it ended, so that end_all leaves nothing behind.
function start(core, command, args, stdio) {
    const child = spawn(...on_core(core, command, args), { stdio });
    running.add(child);
    child.ended = new Promise((done) => {
        child.on('error', (error) => done(error.message));
        child.on('close', (code, signal) => done(code ?? signal));
    }).then((how) => {
        running.delete(child);
        return how;
    });
    return child;
}

async function first_line(child) {
    const lines = createInterface({ input: child.stdout });
    const line = await Promise.race([
        new Promise((done) => lines.once('line', done)),
        child.ended.then((how) => Promise.reject(new Error(`${child.spawnargs.join(' ')} ended: ${how}`))),
    ]);
    return line;
}

// Waits for the end, at most so long; then kills.
async function finish(child, ms) {
    const timer = setTimeout(() => child.kill('SIGKILL'), ms);
    const how = await child.ended;
    clearTimeout(timer);
    return how;
}

export async function end_all() {
    await Promise.all(
        [...running].map((child) => {
            child.kill('SIGTERM');
            return finish(child, 10000);
        }),
    );
    rmSync(scratch, { recursive: true, force: true });
}

// A floor program: {url, pid, stop}.
export async function floor(name, ...args) {
    const child = start(SERVING, program(name), args, ['ignore', 'pipe', 'inherit']);
    const url = await first_line(child);
    return {
        url,
        pid: child.pid,
        stop() {
            child.kill('SIGTERM');
            return child.ended;
        },
    };
}

// Runs load or pipe to its end and gives its line of JSON. A wrong answer fails the whole run: there is no figure then.
async function measure(child, what) {
    let said = '';
    let complaint = '';
    child.stdout.on('data', (chunk) => (said += chunk));
    child.stderr.on('data', (chunk) => (complaint += chunk));
    const how = await child.ended;
    if (how !== 0 || said === '') {
        const reason = said !== '' ? JSON.parse(said).first_error : complaint.trim();
        throw new Error(`${what}: ${reason ?? ''} (exit ${how})`);
    }
    return JSON.parse(said);
}

function flags(options) {
    return Object.entries(options).flatMap(([name, value]) =>
        name === 'cpu'
            ? Object.entries(value).flatMap(([label, pid]) => ['--cpu', `${label}=${pid}`])
            : [`--${name}`, String(value)],
    );
}

export function load(options) {
    const args = flags(options);
    return measure(start(ASKING, program('load'), args, ['ignore', 'pipe', 'pipe']), `load ${args.join(' ')}`);
}

// A load that only disturbs; ended by stop().
export function disturb(options) {
    const child = start(ASKING, program('load'), flags({ ...options, check: 'id', seconds: 60 }), 'ignore');
    return {
        stop() {
            child.kill('SIGTERM');
            return child.ended;
        },
    };
}

// The bare child is pinned where a hub's child is.
export function pipe(options, ...command) {
    const child = on_core(SERVING, command[0], command.slice(1)).flat();
    const args = [...flags(options), '--', ...child];
    return measure(start(ASKING, program('pipe'), args, ['ignore', 'pipe', 'pipe']), `pipe ${args.join(' ')}`);
}

// Idle connections, open when this returns; or {refused: why}.
export async function idle(options) {
    const child = start(ASKING, program('idle'), flags(options), ['pipe', 'pipe', 'pipe']);
    let complaint = '';
    child.stderr.on('data', (chunk) => (complaint += chunk));
    try {
        await first_line(child);
    } catch (error) {
        return { refused: complaint.split('\n')[0] || error.message };
    }
    return {
        async stop() {
            child.stdin.end();
            if ((await finish(child, 5000)) !== 0) {
                throw new Error(complaint.trim() || 'idle connections did not end');
            }
        },
    };
}

export function rss_kib(pid) {
    return Number(/^Rss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))[1]);
}

// The most it ever had since peak_reset.
export function peak_kib(pid) {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]);
}

export function peak_reset(pid) {
    writeFileSync(`/proc/${pid}/clear_refs`, '5');
}

// One HTTP exchange on a connection of its own; status 0 when there is nobody.
function ask(url, headers = {}, body = undefined) {
    return new Promise((done) => {
        const method = body === undefined ? 'GET' : 'POST';
        const asking = request(url, { agent: false, method, headers }, (answer) => {
            let text = '';
            answer.on('data', (chunk) => (text += chunk));
            answer.on('close', () => done({ status: answer.statusCode, text }));
        });
        asking.on('error', () => done({ status: 0, text: '' }));
        asking.end(body);
    });
}

function read_json(path) {
    try {
        return JSON.parse(readFileSync(path, 'utf8'));
    } catch {
        return null; // not there yet
    }
}

// Calls `attempt` again and again, without a pause, until it gives something.
export async function until(what, seconds, attempt) {
    const last = performance.now() + seconds * 1000;
    for (;;) {
        const value = await attempt();
        if (value !== null && value !== undefined && value !== false) {
            return value;
        }
        if (performance.now() > last) {
            throw new Error(`waited ${seconds} s in vain for ${what}`);
        }
        await setImmediate();
    }
}

// How many tools the endpoint lists now.
async function count_tools(url) {
    const version = '2026-07-28';
    const meta = {
        'io.modelcontextprotocol/protocolVersion': version,
        'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1' },
        'io.modelcontextprotocol/clientCapabilities': {},
    };
    const headers = {
        'Content-Type': 'application/json',
        Accept: 'application/json, text/event-stream',
        'MCP-Protocol-Version': version,
        'Mcp-Method': 'tools/list',
    };
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: meta } });
    const { text } = await ask(url, { ...headers, 'Content-Length': Buffer.byteLength(body) }, body);
    return text.split('"inputSchema"').length - 1;
}

// A hub with these servers, ready and with its whole catalogue: {url, pid, listening_ms, ready_ms, roles, stop}.
// `name` names its state folder: the same name again is a warm start. `wrap`: a command to run it under, which may
// make everything slow.
export async function hub(name, servers, tools, wrap = []) {
    const patience = wrap.length > 0 ? 120 : 20;
    const state = join(scratch, name);
    const run = join(state, 'run');
    const config = `${state}.json`;
    const extra = JSON.parse(process.env.BENCH_CONFIG ?? '{"limits":{"stream":{"per_principal":10000}}}');
    mkdirSync(state, { recursive: true, mode: 0o700 });
    remove(join(run, 'endpoints.json')); // what a hub before it left would be taken for its own
    writeFileSync(
        config,
        JSON.stringify({ listen: ['127.0.0.1:0'], auth: { loopback: 'open' }, servers, ...extra }),
    );
    const log = join(scratch, `${name}.log`);
    const began = performance.now();
    const output = openSync(log, 'a');
    const [command, ...args] = [...wrap, HUB, 'up', '--config', config, '--state', state];
    const child = start(SERVING, command, args, ['ignore', output, output]);
    closeSync(output);
    let dead = null;
    child.ended.then((how) => (dead = how));
    const seen = async (attempt) => {
        if (dead !== null) {
            throw new Error(`the hub '${name}' ended (${dead}): ${tail(log)}`);
        }
        return attempt();
    };
    const url = await until('endpoints', patience, () => seen(() => read_json(join(run, 'endpoints.json'))?.http?.[0]));
    if (wrap.length > 0) {
        // Asking over and over would be counted; the log is free.
        await until('the server', patience, () => seen(() => readFileSync(log, 'utf8').includes('"state":"ready"')));
    }
    await until('/readyz', patience, () => seen(async () => (await ask(`${url}/readyz`)).status === 200));
    const listening_ms = performance.now() - began;
    await until(`${tools} tools`, patience, () => seen(async () => (await count_tools(`${url}/mcp`)) === tools));
    const ready_ms = performance.now() - began;
    const roles = () => read_json(join(run, 'roles.json'));
    return {
        url,
        listening_ms,
        ready_ms,
        get pid() {
            return roles().hub; // a hub that fell is started again under another pid
        },
        roles,
        async stop() {
            child.kill('SIGTERM');
            return finish(child, 20000);
        },
    };
}

function tail(path) {
    return existsSync(path) ? readFileSync(path, 'utf8').trim().split('\n').slice(-3).join(' | ') : '';
}

export function forget(name) {
    remove(join(scratch, name));
}

export function remove(path) {
    rmSync(path, { recursive: true, force: true });
}

// nginx in front of a floor: what a good proxy costs. One process, so that its CPU time is all in one place.
export async function nginx(behind) {
    if (!has('nginx')) {
        return { missing: 'nginx is not installed' };
    }
    const port = await free_port();
    const config = join(scratch, 'nginx.conf');
    writeFileSync(
        config,
        `daemon off; master_process off; pid ${scratch}/nginx.pid; error_log ${scratch}/nginx.log;
        events { worker_connections 1024; }
        http { access_log off; keepalive_requests 100000000; client_body_temp_path ${scratch}/body; proxy_temp_path ${scratch}/proxy;
          fastcgi_temp_path ${scratch}/f; uwsgi_temp_path ${scratch}/u; scgi_temp_path ${scratch}/s;
          upstream floor { server ${new URL(behind).host}; keepalive 128; keepalive_requests 100000000; }
          server { listen 127.0.0.1:${port};
            location / { proxy_pass http://floor; proxy_http_version 1.1; proxy_set_header Connection ""; } } }`,
    );
    const child = start(SERVING, 'nginx', ['-e', `${scratch}/nginx.log`, '-c', config], 'ignore');
    const url = `http://127.0.0.1:${port}`;
    await until('nginx', 5, async () => (await ask(url)).status === 200);
    return {
        url,
        pid: child.pid,
        stop() {
            child.kill('SIGTERM');
            return finish(child, 5000);
        },
    };
}

function free_port() {
    return new Promise((done) => {
        const server = createServer().listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => done(port));
        });
    });
}
