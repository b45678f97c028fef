// rows -- what is measured: the hubs, the cells (one measurement each), the rows made of them, and their goals.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import * as run from './processes.mjs';

// Thrown where this machine or this build has no way to measure a row; not a failure of the hub.
export class SKIPPED extends Error {}

const SECONDS = Number(process.env.BENCH_SECONDS ?? 0.5);
const MANY_IDLE = 10000;
const BIG = 10 * 1000 * 1000;
const WARM = { seconds: SECONDS, warm: 0.15 };
const dead_flag = join(run.scratch, 'die-now');

// -- what runs --

const up = {}; // hubs and floors by name, while they run
const known = {}; // figures found once: answer sizes, capacity

function echo(...args) {
    return { command: run.program('echo'), args };
}

function twenty() {
    const names = Array.from({ length: 20 }, (_, i) => `s${String(i + 1).padStart(2, '0')}`);
    return Object.fromEntries(names.map((name, i) => [name, echo('--tools', '50', ...(i < 18 ? [] : ['--die-if', dead_flag]))]));
}

// Ends these servers of a hub; the flag makes each new try of theirs end at once, too.
function let_die(hub, ...names) {
    writeFileSync(dead_flag, '');
    const { servers } = hub.roles();
    names.forEach((name) => process.kill(servers[name], 'SIGKILL'));
}

const hubs = {
    main: () => run.hub('main', { echo: echo() }, 4),
    ...Object.fromEntries([1, 10, 100, 1000].map((n) => [`t${n}`, () => run.hub(`t${n}`, { echo: echo('--tools', String(n)) }, n)])),
    async list() {
        const hub = await run.hub('list', twenty(), 1000);
        let_die(hub, 's19', 's20');
        return hub;
    },
    async mixed() {
        const servers = { echo: echo(), slow: echo(), flood: echo(), dead: echo('--die-if', dead_flag) };
        const hub = await run.hub('mixed', servers, 16);
        let_die(hub, 'dead');
        return hub;
    },
};

const floors = {
    floor: () => run.floor('floor_http', '--bytes', String(known.answer_bytes)),
    file: () => run.floor('floor_http', '--bytes', String(known.list_bytes)),
    proxy: () => run.floor('floor_pipe', run.program('echo')),
    nginx: () => run.nginx(up.floor.url),
};

// The flag of the dead servers must not be there while the hubs that have them start.
export async function open_hubs(chosen) {
    const needed = new Set(chosen.flatMap((row) => row.cells.flatMap((cell) => cell.needs)));
    needed.add('main');
    needed.add('floor');
    for (const name of Object.keys(hubs).filter((one) => needed.has(one))) {
        run.remove(dead_flag);
        up[name] = await hubs[name]();
    }
    known.answer_bytes = Math.round((await call('main', { connections: 1, seconds: 0.1 })).answer_bytes);
    if (needed.has('list')) {
        known.list_bytes = Math.round((await list_all('list', { seconds: 0.1 })).answer_bytes);
    }
    for (const name of Object.keys(floors).filter((one) => needed.has(one))) {
        up[name] = await floors[name]();
    }
}

export async function close_all() {
    await Promise.all(Object.values(up).map((one) => one.stop?.()));
}

// -- one measurement each --

function watched(name) {
    if (up[name].missing !== undefined) {
        throw new SKIPPED(up[name].missing);
    }
    return { cpu: { it: up[name].pid } };
}

function call(name, options) {
    return run.load({ url: `${up[name].url}/mcp/echo`, ...WARM, ...watched(name), ...options });
}

function ask_floor(name, options) {
    return run.load({ url: `${up[name].url}/mcp/echo`, check: 'none', ...WARM, ...watched(name), ...options });
}

function list_all(name, options) {
    return run.load({ url: `${up[name].url}/mcp`, op: 'list', expect: 1000, ...WARM, ...watched(name), ...options });
}

async function half_of_capacity() {
    known.half ??= Math.round((await call('main', { connections: 500 })).rps / 2);
    return known.half;
}

async function sessions(n) {
    const options = { era: 'legacy', connections: 50, sessions: n };
    return call('main', options);
}

// A caller may hold so many sessions; where that is less than wanted, so many are measured and the row says so.
async function many_sessions() {
    try {
        return await sessions(known.sessions ?? 5000);
    } catch (error) {
        if (known.sessions !== undefined) {
            throw error;
        }
        known.sessions = 900;
        return sessions(known.sessions);
    }
}

async function crowded() {
    const limit = Number(spawnSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).stdout);
    if (limit < MANY_IDLE + 500) {
        throw new SKIPPED(`ulimit -n is ${limit}`);
    }
    const crowd = await idle({ url: `${up.main.url}/readyz`, kind: 'keepalive', count: MANY_IDLE });
    try {
        return await call('main', { connections: 50 });
    } finally {
        await crowd.stop();
    }
}

async function idle(options) {
    const crowd = await run.idle(options);
    if (crowd.refused !== undefined) {
        throw new Error(crowd.refused);
    }
    return crowd;
}

async function steady_echo() {
    known.quarter ??= Math.round((await call('mixed', { connections: 50 })).rps / 4);
    return call('mixed', { connections: 50, rate: known.quarter });
}

async function storm() {
    const bothers = [
        { url: `${up.mixed.url}/mcp/slow`, tool: 'slow', arguments: '{"ms":20000}', connections: 8 },
        { url: `${up.mixed.url}/mcp/dead`, tool: 'echo', arguments: '{"text":"x"}', connections: 4, rate: 100 },
        { url: `${up.mixed.url}/mcp/flood`, tool: 'flood', arguments: '{"ms":20000,"per_second":5000}', connections: 1 },
    ].map((options) => run.disturb({ op: 'call', ...options }));
    try {
        return await steady_echo();
    } finally {
        await Promise.all(bothers.map((one) => one.stop()));
    }
}

// KiB of hub memory for each of so many idle connections; fewer are tried where the hub allows fewer. A quarter is
// opened before the counting begins: they use up what starting has left free. A hub of its own each time, as memory
// given back by what went before would be used again and count as nothing.
async function kib_each(key, options, ...counts) {
    let refused = '';
    for (const count of known[key] === undefined ? counts : [known[key]]) {
        const hub = await run.hub('fresh', { echo: echo() }, 4);
        const open = (n) => run.idle({ ...options, url: `${hub.url}${options.url}`, count: n });
        const early = await open(Math.ceil(count / 4));
        const before = run.rss_kib(hub.pid);
        const crowd = early.refused === undefined ? await open(count) : early;
        const each = (run.rss_kib(hub.pid) - before) / count;
        try {
            await Promise.all([early.stop?.(), crowd.stop?.()]);
        } finally {
            await hub.stop();
        }
        refused = crowd.refused;
        if (refused === undefined) {
            known[key] = count;
            return each;
        }
    }
    throw new Error(refused);
}

// A start from nothing, and what a hub that did nothing yet weighs.
async function cold() {
    run.forget('cold');
    const hub = await run.hub('cold', { echo: echo() }, 4);
    const idle_mb = (run.rss_kib(hub.pid) * 1024) / 1e6;
    await hub.stop();
    return { ready_ms: hub.ready_ms, idle_mb };
}

// The second start over the same state.
async function warm() {
    const { ready_ms, stop } = await run.hub('cold', { echo: echo() }, 4);
    await stop();
    return { ready_ms };
}

async function big_memory() {
    const hub = await run.hub('heavy', { echo: echo() }, 4);
    run.peak_reset(hub.pid);
    const before = run.rss_kib(hub.pid);
    await run.load({ url: `${hub.url}/mcp/echo`, op: 'big', tool: 'big', bytes: BIG, connections: 8, ...WARM, seconds: 1 });
    const mb = ((run.peak_kib(hub.pid) - before) * 1024) / 1e6;
    await hub.stop();
    return mb / 8;
}

function cell(key, needs, measure) {
    return { key, needs, run: measure };
}

const cells = {
    floor50: cell('floor50', ['floor'], () => ask_floor('floor', { connections: 50 })),
    modern50: cell('modern50', ['main'], () => call('main', { connections: 50 })),
    legacy50: cell('legacy50', ['main'], () => call('main', { connections: 50, era: 'legacy' })),
    proxy50: cell('proxy50', ['proxy'], () => call('proxy', { connections: 50 })),
    nginx50: cell('nginx50', ['nginx'], async () => ask_floor('nginx', { connections: 50 })),
    floor32: cell('floor32', ['floor'], () => ask_floor('floor', { connections: 32 })),
    modern32: cell('modern32', ['main'], () => call('main', { connections: 32 })),
    pipe1: cell('pipe1', [], () => run.pipe(WARM, run.program('echo'))),
    modern1: cell('modern1', ['main'], () => call('main', { connections: 1 })),
    floor500: cell('floor500', ['floor'], async () => ask_floor('floor', { connections: 500, rate: await half_of_capacity() })),
    modern500: cell('modern500', ['main'], async () => call('main', { connections: 500, rate: await half_of_capacity() })),
    cold: cell('cold', [], cold),
    warm: cell('warm', [], warm),
    keepalive: cell('keepalive', [], () => kib_each('keepalive', { url: '/readyz', kind: 'keepalive' }, 2000)),
    listen: cell('listen', [], () => kib_each('listen', { url: '/mcp', kind: 'listen' }, 2000, 48)),
    websocket: cell('websocket', [], () => kib_each('websocket', { url: '/api/v1/stream', kind: 'websocket' }, 1000, 60)),
    file: cell('file', ['list', 'file'], () => ask_floor('file', { connections: 1 })),
    list: cell('list', ['list'], () => list_all('list', { connections: 1 })),
    big_pipe: cell('big_pipe', [], () => run.pipe({ ...WARM, op: 'big', bytes: BIG }, run.program('echo'))),
    big_hub: cell('big_hub', ['main'], () => call('main', { op: 'big', tool: 'big', bytes: BIG })),
    big_memory: cell('big_memory', [], big_memory),
    alone: cell('alone', ['main'], () => call('main', { connections: 50 })),
    crowded: cell('crowded', ['main'], crowded),
    calm: cell('calm', ['mixed'], steady_echo),
    storm: cell('storm', ['mixed'], storm),
    sessions1: cell('sessions1', ['main'], () => sessions(1)),
    sessions100: cell('sessions100', ['main'], () => sessions(100)),
    sessions5000: cell('sessions5000', ['main'], many_sessions),
};
for (const n of [1, 10, 100, 1000]) {
    const key = `tools${n}`;
    cells[key] = cell(key, [`t${n}`], () => call(`t${n}`, { url: `${up[`t${n}`].url}/mcp`, tool: 'echo__echo', connections: 50 }));
}

// -- the rows --

// Both sides by one key, and what the goal is about: their ratio, or ours alone, or what was added.
const side = (value, key) => (key === 'cpu' ? value.cpu_us.it : value[key]);
const by_ratio = (key) => (ours, floor) => {
    const pair = { ours: side(ours, key), floor: side(floor, key) };
    return { ...pair, figure: pair.ours / pair.floor };
};
const by_difference = (key) => (ours, floor) => {
    const pair = { ours: side(ours, key), floor: side(floor, key) };
    return { ...pair, figure: pair.ours - pair.floor };
};
const alone = (pick) => (value) => {
    const ours = pick(value);
    return { ours, figure: ours };
};
const itself = alone((value) => value);

function row(number, name, unit, goal, about, of, ...names) {
    return { row: number, name, unit, goal, about, of, cells: names.map((key) => cells[key]) };
}

export const rows = [
    row(1, 'tools_call_stdio_s50', 'us_cpu', '<= 3', 'CPU of the hub per call, modern; floor: bare HTTP server', by_ratio('cpu'), 'modern50', 'floor50'),
    row(1, 'tools_call_stdio_s50_legacy', 'us_cpu', '<= 3', 'the same with sessions', by_ratio('cpu'), 'legacy50', 'floor50'),
    row(2, 'calls_per_second_s32', '1/s', '>= 0.35', 'closed loop', by_ratio('rps'), 'modern32', 'floor32'),
    row(3, 'added_p50_s1', 'us', '<= 80', 'against the bare child over a pipe', by_difference('p50_us'), 'modern1', 'pipe1'),
    row(3, 'added_p99_s1', 'us', '<= 400', 'against the bare child over a pipe', by_difference('p99_us'), 'modern1', 'pipe1'),
    row(4, 'p99_s500_half_capacity', 'us', '<= 2000', 'open loop; floor: the bare server at the same rate', (ours, floor) => ({ ours: ours.p99_us, floor: floor.p99_us, figure: ours.p99_us }), 'modern500', 'floor500'),
    row(5, 'rss_idle', 'MB', '<= 12', 'hub process, one server, nothing called yet', alone((value) => value.idle_mb), 'cold'),
    row(5, 'rss_keepalive', 'KiB', '<= 20', 'each idle keep-alive connection', itself, 'keepalive'),
    row(5, 'rss_listen', 'KiB', '<= 20', 'each subscriptions/listen stream', itself, 'listen'),
    row(5, 'rss_websocket', 'KiB', '<= 24', 'each WebSocket', itself, 'websocket'),
    row(6, 'start_cold', 'ms', '<= 50', 'from nothing: process start to the full tools/list', alone((value) => value.ready_ms), 'cold'),
    row(6, 'start_warm', 'ms', '<= 50', 'with a state folder of before', (value) => ({ ours: value.ready_ms, figure: value.ready_ms }), 'warm', 'cold'),
    row(7, 'tools_list_1000_p99', 'us', '<= 5000', '20 servers, two of them dead', alone((value) => value.p99_us), 'list'),
    row(7, 'tools_list_1000_cpu', 'us_cpu', '<= 2', 'floor: a plain file of that size', by_ratio('cpu'), 'list', 'file'),
    row(8, 'result_10mb', 'us', '<= 2.5', 'p50; floor: the bare pipe', by_ratio('p50_us'), 'big_hub', 'big_pipe'),
    row(8, 'result_10mb_rss', 'MB', '<= 1', 'peak memory per call in flight, eight at once', itself, 'big_memory'),
    row(9, 'idle_10000', 'us_cpu', '<= 1.1', 'CPU per call beside 10,000 idle connections; floor: without them', by_ratio('cpu'), 'crowded', 'alone'),
    row(10, 'bad_neighbours_p99', 'us', '<= 1.1', 'beside one slow, one dead, one flooding server; floor: all calm', by_ratio('p99_us'), 'storm', 'calm'),
    row(13, 'growth_tools_10', 'us_cpu', '<= 1.15', 'floor: with 1 tool', by_ratio('cpu'), 'tools10', 'tools1'),
    row(13, 'growth_tools_100', 'us_cpu', '<= 1.15', 'floor: with 1 tool', by_ratio('cpu'), 'tools100', 'tools1'),
    row(13, 'growth_tools_1000', 'us_cpu', '<= 1.15', 'floor: with 1 tool', by_ratio('cpu'), 'tools1000', 'tools1'),
    row(13, 'growth_sessions_100', 'us_cpu', '<= 1.15', 'on 50 connections; floor: 1 session', by_ratio('cpu'), 'sessions100', 'sessions1'),
    row(13, 'growth_sessions_5000', 'us_cpu', '<= 1.15', 'on 50 connections; floor: 1 session', by_ratio('cpu'), 'sessions5000', 'sessions1'),
    row(0, 'reference_pipe_proxy_s50', 'us_cpu', null, 'a proxy between HTTP and the pipe that parses nothing', by_ratio('cpu'), 'proxy50', 'floor50'),
    row(0, 'reference_nginx_s50', 'us_cpu', null, 'nginx as a reverse proxy', by_ratio('cpu'), 'nginx50', 'floor50'),
];

// What a row could not measure as asked.
const notes = {
    growth_sessions_5000: () => known.sessions && `${known.sessions} sessions: one caller may not hold more`,
    rss_listen: () => known.listen < 2000 && `only ${known.listen} streams: one caller may not hold more, so the figure is coarse`,
    rss_websocket: () => known.websocket < 1000 && `only ${known.websocket} sockets, so the figure is coarse`,
};
for (const one of rows) {
    one.note = notes[one.name];
}
