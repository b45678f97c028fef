// What people and their programs see of a running hub: health, metrics, and the live stream by WebSocket and by SSE.
import assert from 'node:assert/strict';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';

import { WebSocket } from 'ws';

import { hear, messages, modern } from '../../kit/js/raw.mjs';
import { lasting, servers, start_hub } from '../../kit/js/hub.mjs';
import { ANSWERS, odd } from '../../kit/js/odd.mjs';
import { until } from '../../kit/js/until.mjs';
import { wire } from '../../kit/js/wire.mjs';

const CHATTY = `({ id, method, params }, say) => { if (method === 'tools/call') console.error('asked for ' + params.arguments.words); ${ANSWERS}; }`;

// A listener of either kind: {frames, events, next(what, fits)}; of a WebSocket also {say, closed}.
async function by_websocket(t, hub, topics, after) {
    const socket = new WebSocket(`${hub.url.replace('http', 'ws')}/api/v1/stream`, 'trunkline.stream.v1');
    const frames = [];
    const closed = new Promise((resolve) => socket.on('close', (code, reason) => resolve({ code, reason: String(reason) })));
    socket.on('message', (data, is_binary) => { assert.equal(is_binary, false); frames.push(JSON.parse(data)); });
    socket.on('error', () => {});
    t.after(() => socket.terminate());
    await new Promise((resolve) => socket.on('open', resolve));
    const ear = {
        socket, frames, closed,
        say: (frame) => socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame)),
        get events() { return frames.filter((frame) => frame.topic); },
        next: (what, fits) => until(what, () => { const found = frames.find(fits); if (!found) throw new Error(JSON.stringify(frames.slice(-5))); return found; }),
    };
    if (!topics) return ear;
    ear.say({ op: 'subscribe', topics, ...(after ? { after } : {}) });
    ear.at = (await ear.next('the subscription', (frame) => frame.op === 'subscribed')).at;
    return ear;
}

async function by_sse(t, hub, topics, after) {
    const stop = new AbortController();
    t.after(() => stop.abort());
    const response = await fetch(`${hub.url}/api/v1/events?topics=${encodeURIComponent(topics.join(','))}`, {
        signal: stop.signal, headers: { accept: 'text/event-stream', ...(after ? { 'last-event-id': after } : {}) },
    });
    assert.equal(response.status, 200);
    assert.match(response.headers.get('content-type'), /^text\/event-stream/);
    const ear = hear(response);
    const { frames, next } = ear;
    return { frames, next, raw: ear.events, get events() { return frames.filter((frame) => frame.topic); } };
}

describe('the live stream', () => {
    const life = lasting();
    let hub;
    before(async () => { hub = await start_hub(life, { servers: { bed: servers.fixture('modern'), other: servers.fixture('legacy'), chatty: odd(CHATTY) } }); });
    after(() => life.end());
    const call = (name, args = {}, options) => modern(hub).post('tools/call', { name, arguments: args }, options);
    const done = async (...args) => (await messages(await call(...args))).at(-1);
    const is_call = (type, tool) => (event) => event.type === type && event.data.tool === tool;

    for (const [kind, listen] of Object.entries({ WebSocket: by_websocket, SSE: by_sse })) {
        test(`${kind}: calls are told as they begin and end`, async (t) => {
            const ear = await listen(t, hub, ['calls']);
            await done('bed__echo_raw', { a: 1 });
            const started = await ear.next('the start', is_call('call.started', 'bed__echo_raw'));
            const finished = await ear.next('the end', is_call('call.finished', 'bed__echo_raw'));
            assert.equal(started.topic, 'calls');
            assert.equal(started.data.id, finished.data.id);
            assert.deepEqual([started.data.state, finished.data.state, finished.data.outcome, finished.data.via, finished.data.actor, finished.data.server],
                ['running', 'finished', 'ok', 'mcp', 'loopback', 'bed']);
            assert.ok(!Number.isNaN(Date.parse(finished.ts)));
            await done('bed__test_error_handling');
            assert.equal((await ear.next('the error', is_call('call.finished', 'bed__test_error_handling'))).data.outcome, 'tool_error');
            const ids = ear.events.map((event) => Number(event.id.split('-').at(-1)));
            assert.deepEqual(ids, [...ids].sort((a, b) => a - b));
        });

        test(`${kind}: one call alone can be listened to`, async (t) => {
            const stop = new AbortController();
            const held = call('bed__slow', { ms: 60_000 }, { signal: stop.signal });
            held.catch(() => {});
            const { id } = await until('the call', async () => (await hub.get('/api/v1/calls')).json.items.find((row) => row.tool === 'bed__slow' && row.state !== 'finished'));
            const ear = await listen(t, hub, [`call:${id}`]);
            await done('bed__echo_raw');
            stop.abort();
            const finished = await ear.next('its end', (event) => event.type === 'call.finished');
            assert.deepEqual([finished.data.id, finished.data.outcome], [id, 'cancelled']);
            assert.ok(ear.events.every((event) => event.data.id === id), JSON.stringify(ear.events));
        });

        test(`${kind}: the states of servers`, async (t) => {
            const ear = await listen(t, hub, ['servers']);
            const before = hub.roles().servers.other;
            const { status } = await hub.get('/api/v1/servers/other/restart', { method: 'POST', headers: { 'content-type': 'application/json', origin: hub.url }, body: '{}' });
            assert.ok(status < 300, String(status));
            const ready = await ear.next('ready again', (event) => event.type === 'server.state' && event.data.name === 'other' && event.data.state === 'ready');
            assert.equal(ready.topic, 'servers');
            assert.ok(ear.events.filter((event) => event.data.name === 'other').length >= 3, JSON.stringify(ear.events));
            assert.ok(ear.events.every((event) => event.data.name !== 'bed'));
            assert.notEqual(hub.roles().servers.other, before);
        });

        test(`${kind}: the last words of a server`, async (t) => {
            const ear = await listen(t, hub, ['logs:chatty']);
            await done('chatty__odd', { words: kind });
            const line = await ear.next('the line', (event) => event.type === 'log.line');
            assert.equal(line.data.line ?? line.data.text, `asked for ${kind}`);
            assert.deepEqual((await hub.get('/api/v1/servers/bed/logs')).json.items.filter((row) => JSON.stringify(row).includes('asked for')), []);
        });

        test(`${kind}: what is listed changes`, async (t) => {
            const ear = await listen(t, hub, ['catalogue']);
            await done('bed__set_list', { n: kind === 'SSE' ? 2 : 1 });
            const changed = await ear.next('the change', (event) => event.type === 'tools.changed');
            assert.deepEqual([changed.topic, changed.data.server], ['catalogue', 'bed']);
        });

        test(`${kind}: the overview ticks`, async (t) => {
            const ear = await listen(t, hub, ['overview']);
            const tick = await ear.next('a tick', (event) => event.type === 'tick');
            assert.equal(tick.topic, 'overview');
            assert.deepEqual(Object.keys(tick.data).sort(), Object.keys((await hub.get('/api/v1/overview')).json).sort());
        });

        test(`${kind}: what was missed is told to one who comes back, and to nobody twice`, async (t) => {
            const first = await listen(t, hub, ['calls']);
            await done('bed__echo_raw', { n: 0 });
            const last = (await first.next('the end', is_call('call.finished', 'bed__echo_raw'))).id;
            await done('bed__test_simple_text');
            await done('other__echo_raw');
            const again = await listen(t, hub, ['calls'], last);
            await again.next('the last of them', is_call('call.finished', 'other__echo_raw'));
            assert.deepEqual(again.events.map((event) => [event.type, event.data.tool]), [
                ['call.started', 'bed__test_simple_text'], ['call.finished', 'bed__test_simple_text'], ['call.started', 'other__echo_raw'], ['call.finished', 'other__echo_raw'],
            ]);
        });

        test(`${kind}: one who comes back from another life is told to look anew`, async (t) => {
            for (const id of ['0000-5', 'nonsense']) {
                const ear = await listen(t, hub, ['calls'], id);
                const resync = await ear.next('the resync', (frame) => frame.op === 'resync');
                assert.deepEqual(resync.topics, ['calls']);
            }
        });
    }

    test('topics that are not there are refused by name, the others hold', async (t) => {
        const ear = await by_websocket(t, hub);
        ear.say({ op: 'subscribe', topics: ['calls', 'nonsense', 'logs:nobody'] });
        const answer = await ear.next('the answer', (frame) => frame.op === 'subscribed');
        assert.ok(answer.topics.includes('calls') && answer.refused.includes('nonsense'), JSON.stringify(answer));
        ear.say({ op: 'unsubscribe', topics: ['calls'] });
        await ear.next('the other answer', (frame) => frame.op === 'unsubscribed');
        const other = await by_websocket(t, hub, ['calls']);
        await done('bed__echo_raw');
        await other.next('the call', is_call('call.finished', 'bed__echo_raw'));
        assert.deepEqual(ear.events, []);
    });

    for (const [what, frame, code] of [
        ['no JSON', '{"op":', 4000], ['a list', '[]', 4000], ['an unknown op', { op: 'sing', topics: [] }, 4000], ['no topics', { op: 'subscribe' }, 4000],
        ['more than 64 topics', { op: 'subscribe', topics: Array.from({ length: 65 }, (_, n) => `call:${n}`) }, 4000],
    ])
        test(`a frame with ${what} ends the stream: ${code}`, async (t) => {
            const ear = await by_websocket(t, hub);
            ear.say(frame);
            const { code: got, reason } = await ear.closed;
            assert.equal(got, code);
            assert.ok(reason.length > 0);
        });

    test('more than 20 frames in a second end the stream: 4029', async (t) => {
        const ear = await by_websocket(t, hub);
        for (let n = 0; n < 60; n++) ear.say({ op: 'subscribe', topics: ['calls'] });
        assert.equal((await ear.closed).code, 4029);
    });

    test('a frame over 16 KiB ends the stream', async (t) => {
        const ear = await by_websocket(t, hub);
        ear.say({ op: 'subscribe', topics: ['x'.repeat(20_000)] });
        assert.ok([1009, 4000].includes((await ear.closed).code));
        await done('bed__echo_raw');
    });
});

describe('health', () => {
    test('each question about health has its answer, with a dead server beside', async (t) => {
        const hub = await start_hub(t, { wait: false, servers: { bed: servers.fixture('modern'), dead: { command: '/nonexistent/server', args: [] } } });
        await hub.ready('bed');
        await until('the dead one', async () => ['lost', 'quarantined'].includes((await hub.server('dead')).state));
        for (const path of ['/livez', '/readyz']) {
            const { status, json } = await hub.get(path);
            assert.deepEqual([status, json.status], [200, 'ok'], path);
        }
        const { status, json } = await hub.get('/healthz');
        assert.deepEqual([status, json.status, json.roles.hub, json.servers.bed.state], [200, 'degraded', 'ready', 'ready']);
        assert.match(json.servers.dead.reason, /nonexistent/);
    });

    test('metrics are of Prometheus\' form, and count', async (t) => {
        const hub = await start_hub(t, { servers: { bed: servers.fixture('modern') } });
        const call = (name) => modern(hub).call('tools/call', { name, arguments: {} });
        for (const name of ['bed__echo_raw', 'bed__echo_raw', 'bed__test_error_handling']) await call(name);
        const { status, headers, text } = await hub.get('/metrics');
        assert.equal(status, 200);
        assert.match(headers.get('content-type'), /^text\/plain; version=0\.0\.4/);
        const families = new Map();
        for (const line of text.trimEnd().split('\n')) {
            const told = /^# (HELP|TYPE) ([a-z_:][a-z0-9_:]*) (.+)$/.exec(line);
            if (told) {
                families.set(told[2], { ...families.get(told[2]), [told[1]]: told[3] });
                continue;
            }
            const sample = /^([a-z_:][a-z0-9_:]*)(\{[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*\})? (-?[0-9.e+-]+|NaN|[+-]Inf)$/.exec(line);
            assert.ok(sample, line);
            const family = families.get(sample[1]) ?? families.get(sample[1].replace(/_(bucket|sum|count|total)$/, ''));
            assert.ok(family?.HELP && family?.TYPE, line);
        }
        const total = (outcome) => text.split('\n').filter((line) => /^trunkline_calls_total\{/.test(line) && line.includes(`outcome="${outcome}"`)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
        assert.deepEqual([total('ok'), total('tool_error')], [2, 1], text);
    });

    test('a hub that is about to stop is alive, not ready, and says goodbye', async (t) => {
        const hub = await start_hub(t, { servers: { bed: servers.fixture('modern') } });
        const ear = await by_websocket(t, hub, ['calls']);
        const held = modern(hub).call('tools/call', { name: 'bed__slow', arguments: { ms: 1500 } });
        await ear.next('the call', (event) => event.type === 'call.started');
        const line = await wire(t, hub);
        const ask = async (path) => { line.say(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`); return line.reply(); };
        assert.equal((await ask('/readyz')).status, 200);
        process.kill(hub.pid, 'SIGTERM');
        assert.equal((await ear.closed).code, 1001);
        const ready = await ask('/readyz');
        assert.deepEqual([ready.status, JSON.parse(ready.text).status], [503, 'not_ready']);
        assert.ok(Number(ready.headers['retry-after']) >= 1);
        assert.equal((await held).result.content[0].text, 'waited 1500 ms', 'what runs is let run');
        assert.equal((await hub.ended).code, 0);
    });
});
