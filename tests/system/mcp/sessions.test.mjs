// Legacy sessions: from initialize to DELETE, their streams, and what survives a broken connection.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { fetch_by_socket, hear, legacy, modern, send } from '../../kit/js/raw.mjs';
import { HOLDS_CLOCK, PATIENT, hub_with_bed, lasting, start_hub } from '../../kit/js/hub.mjs';
import { until } from '../../kit/js/until.mjs';

const NEEDS_CLOCK = HOLDS_CLOCK ? false : 'needs a build that lets tests move the clock';
const REVISIONS = ['2024-10-07', '2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'];
const NEWEST = '2025-11-25';
const PATH = '/mcp/bed';
const PING = { jsonrpc: '2.0', id: 'p', method: 'ping' };
const initialize = (protocolVersion) =>
    ({ jsonrpc: '2.0', id: 'hello', method: 'initialize', params: { protocolVersion, capabilities: {}, clientInfo: { name: 'raw', version: '1' } } });
const progress_call = (token) => ['tools/call', { name: 'test_tool_with_progress', arguments: {}, _meta: { progressToken: token } }];
const has_method = (method) => (frame) => frame.method === method;
const answers = (id) => (frame) => frame.id === id && frame.method === undefined;

describe('sessions', () => {
    const life = lasting();
    let hub;
    before(async () => { hub = await hub_with_bed(life, 'modern', { clock: HOLDS_CLOCK, config: PATIENT }); });
    after(() => life.end());

    for (const [asked, given] of [...REVISIONS.map((r) => [r, r]), ['2031-01-01', NEWEST], ['2026-07-28', NEWEST], ['1', NEWEST]])
        test(`initialize with ${asked} is answered ${given}`, async () => {
            const { status, headers, json } = await send(hub, { body: initialize(asked) });
            assert.equal(status, 200);
            assert.equal(json.id, 'hello');
            assert.equal(json.result.protocolVersion, given);
            assert.equal(json.result.serverInfo.name, 'trunkline');
            assert.match(headers.get('mcp-session-id'), /^[A-Za-z0-9_-]{43}$/);
            assert.equal(json.result.resultType, undefined);
        });

    for (const version of REVISIONS)
        test(`a session of ${version} lists and calls`, async () => {
            const client = await legacy(hub, { path: PATH, version });
            const names = (await client.call('tools/list', {})).result.tools.map((tool) => tool.name);
            assert.ok(names.includes('echo_raw'), String(names));
            const said = await client.call('tools/call', { name: 'echo_raw', arguments: { version } }, 'x');
            assert.equal(said.id, 'x');
            assert.deepEqual(JSON.parse(said.result.content[0].text), { version });
            assert.equal(said.result.resultType, undefined);
        });

    test('two sessions have two ids', async () => {
        const ids = await Promise.all(Array.from({ length: 20 }, async () => (await legacy(hub)).session));
        assert.equal(new Set(ids).size, 20);
    });

    test('a session is asked for, must be known, and ends with DELETE', async () => {
        const client = await legacy(hub, { path: PATH });
        const none = await send(hub, { path: PATH, body: PING });
        assert.deepEqual([none.status, none.json.error.code, none.json.id], [400, -32600, 'p']);
        for (const id of ['A'.repeat(43), 'short', `${client.session}x`, client.session.toLowerCase()]) {
            const unknown = await send(hub, { path: PATH, body: PING, headers: { 'mcp-session-id': id } });
            assert.equal(unknown.status, 404, id);
        }
        assert.deepEqual((await client.call('ping')).result, {});
        assert.equal((await client.end()).status, 204);
        assert.equal((await client.ask('ping')).status, 404);
        assert.equal((await client.get()).status, 404);
        assert.equal((await client.end()).status, 404);
    });

    test('another endpoint does not know the session', async () => {
        const client = await legacy(hub, { path: PATH });
        assert.equal((await send(hub, { path: '/mcp', body: PING, headers: { 'mcp-session-id': client.session } })).status, 404);
        assert.equal((await send(hub, { method: 'DELETE', path: '/mcp', headers: { 'mcp-session-id': client.session } })).status, 404);
        assert.deepEqual((await client.call('ping')).result, {});
    });

    test('another principal does not know the session', async (t) => {
        const by_socket = fetch_by_socket(t, hub);
        const here = await legacy(hub, { path: PATH }), there = await legacy(hub, { path: PATH, fetch: by_socket });
        const as = (client, by) => send(hub, { path: PATH, body: PING, headers: { 'mcp-session-id': client.session }, fetch: by });
        assert.equal((await as(here, by_socket)).status, 404);
        assert.equal((await as(there, fetch)).status, 404);
        assert.equal((await send(hub, { method: 'DELETE', path: PATH, headers: { 'mcp-session-id': here.session }, fetch: by_socket })).status, 404);
        assert.equal((await as(here, fetch)).status, 200);
        assert.equal((await as(there, by_socket)).status, 200);
    });

    test('the version header must name a known version, and may be absent or another', async () => {
        const client = await legacy(hub, { path: PATH, version: '2025-06-18' });
        const ping = async (version) => send(hub, { path: PATH, body: PING, headers: { 'mcp-session-id': client.session, ...(version ? { 'mcp-protocol-version': version } : {}) } });
        for (const version of [undefined, ...REVISIONS]) assert.equal((await ping(version)).status, 200, version);
        const unknown = await ping('1999-01-01');
        assert.deepEqual([unknown.status, unknown.json.error.code], [400, -32600]);
    });

    test('requests are served before the client says it is initialized', async () => {
        const hello = await send(hub, { path: PATH, body: initialize(NEWEST) });
        const headers = { 'mcp-session-id': hello.headers.get('mcp-session-id') };
        const list = await send(hub, { path: PATH, headers, body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } });
        assert.ok(list.json.result.tools.length > 10);
    });

    test('a second GET stream takes over, and the first one ends', async (t) => {
        const client = await legacy(hub, { path: PATH });
        const stop = new AbortController();
        t.after(() => stop.abort());
        const first = hear(await client.get({}, stop.signal));
        const second = hear(await client.get({}, stop.signal));
        await first.ended;
        assert.equal(first.error, undefined);
        await modern(hub, PATH).call('tools/call', { name: 'set_list', arguments: { n: 2 } });
        await second.next('the change', has_method('notifications/tools/list_changed'));
        assert.ok(!first.frames.some(has_method('notifications/tools/list_changed')));
    });

    test('only a client of 2025-11-25 gets a priming event', async (t) => {
        for (const version of REVISIONS) {
            const client = await legacy(hub, { path: PATH, version });
            const stop = new AbortController();
            t.after(() => stop.abort());
            const raw = await (await client.ask(...progress_call('t'))).text();
            const [first] = raw.split('\n\n').filter((event) => /^(id|event|data|retry):/m.test(event));
            if (version === NEWEST) assert.match(first, /^id: \d+-\d+\nretry: 3000\ndata: ?$/);
            else assert.match(first, /data: \{/, version);
            assert.equal(/^data: ?$/m.test(raw), version === NEWEST, version);
            const ear = hear(await client.get({}, stop.signal));
            if (version === NEWEST) await until('priming on the GET stream', () => ear.events.length > 0);
            await modern(hub, PATH).call('tools/call', { name: 'set_list', arguments: { n: REVISIONS.indexOf(version) + 3 } });
            await ear.next('a frame', has_method('notifications/tools/list_changed'));
            assert.equal(ear.events.some((event) => event.data === ''), version === NEWEST, version);
        }
    });

    // What is missed after each event of the stream: the priming event, then progress 0, 50, 100.
    for (const seen of [1, 2, 3, 4])
        test(`a stream cut after event ${seen} goes on with Last-Event-ID, and with nothing else`, async () => {
            const client = await legacy(hub, { path: PATH });
            const stop = new AbortController();
            const ear = hear(await client.ask(...progress_call('cut'), 'cut', { signal: stop.signal }));
            // Cut at once: a stream that has come to its end is kept no more. What was seen is told by the id alone.
            await until('the priming event', () => ear.events.length > 0);
            const last = ear.events[0].id.replace(/\d+$/, (first) => Number(first) + seen - 1);
            stop.abort();
            await ear.ended;
            assert.equal((await client.call('tools/call', { name: 'echo_raw', arguments: {} }, 'other')).id, 'other');
            const rest = hear(await until('the event to be there', async () => {
                const response = await client.get({ 'last-event-id': last });
                return response.status === 200 && response;
            }));
            await rest.ended;
            assert.deepEqual(rest.frames.map((frame) => frame.params?.progress ?? frame.id), [0, 50, 100, 'cut'].slice(seen - 1));
            assert.ok(rest.frames.at(-1).result.content);
            const ids = rest.events.map((event) => event.id);
            assert.equal(new Set([last, ...ids]).size, ids.length + 1);
        });

    test('a stream that is not there cannot be taken up', async () => {
        const client = await legacy(hub, { path: PATH });
        for (const id of ['99-0', '0-99', 'x', '-1', '', '0-0-0']) {
            const { status, json } = await send(hub, { method: 'GET', path: PATH, headers: { accept: 'text/event-stream', 'mcp-session-id': client.session, 'last-event-id': id } });
            assert.deepEqual([status, json?.error.code], [400, -32600], id);
        }
    });

    test('another session cannot take up the stream', async () => {
        const mine = await legacy(hub, { path: PATH }), theirs = await legacy(hub, { path: PATH });
        const stop = new AbortController();
        const ear = hear(await mine.ask(...progress_call('mine'), 1, { signal: stop.signal }));
        await until('an event', () => ear.events.length > 0);
        stop.abort();
        const stolen = await theirs.get({ 'last-event-id': ear.events[0].id });
        assert.equal(stolen.status, 400);
        await stolen.text();
        const rest = hear(await mine.get({ 'last-event-id': ear.events[0].id }));
        await rest.ended;
        assert.equal(rest.frames.at(-1).id, 1);
    });

    test('a POST stream that drops cancels nothing; the result waits', async () => {
        const client = await legacy(hub, { path: PATH });
        const stop = new AbortController();
        const before = hub.journal().length;
        const ear = hear(await client.ask('tools/call', { name: 'slow', arguments: { ms: 600 } }, 'slow', { signal: stop.signal }));
        await until('the stream to begin', () => ear.events.length > 0);
        stop.abort();
        await ear.ended;
        await until('the call to be done', () => hub.journal().slice(before).some((row) => row.event === 'done' && row.tool === 'slow'));
        assert.ok(!hub.journal().slice(before).some((row) => row.event === 'cancelled'));
        const rest = hear(await client.get({ 'last-event-id': ear.events[0].id }));
        await rest.ended;
        assert.equal(rest.frames.at(-1).result.content[0].text, 'waited 600 ms');
    });

    test('a POST that drops before its answer began cancels nothing either', async () => {
        const client = await legacy(hub, { path: PATH });
        const stop = new AbortController();
        const before = hub.journal().length;
        const rows = () => hub.journal().slice(before).filter((row) => row.tool === 'slow').map((row) => row.event);
        const held = client.ask('tools/call', { name: 'slow', arguments: { ms: 200 } }, 'slow', { signal: stop.signal });
        await until('the call to reach the bed', () => rows().length > 0);
        stop.abort();
        await assert.rejects(held);
        await until('the call to end', () => rows().length > 1);
        assert.deepEqual(rows(), ['call', 'done']);
    });

    test('DELETE cancels what is in flight', async () => {
        const client = await legacy(hub, { path: PATH });
        const before = hub.journal().length;
        const ear = hear(await client.ask('tools/call', { name: 'slow', arguments: { ms: 60_000 } }, 'slow'));
        await until('the call to reach the bed', () => hub.journal().slice(before).some((row) => row.event === 'call'));
        assert.equal((await client.end()).status, 204);
        await until('the bed to see the cancel', () => hub.journal().slice(before).some((row) => row.event === 'cancelled'));
        await ear.ended;
    });

    test('a cancelled request gets no answer, others of the session go on', async () => {
        const client = await legacy(hub, { path: PATH });
        const before = hub.calls_of('slow').length;
        const held = hear(await client.ask('tools/call', { name: 'slow', arguments: { ms: 60_000 } }, 7));
        const other = hear(await client.ask('tools/call', { name: 'slow', arguments: { ms: 700 } }, '7'));
        await until('both calls', () => hub.calls_of('slow').length === before + 2);
        assert.equal((await client.notify('notifications/cancelled', { requestId: 7, reason: 'enough' })).status, 202);
        await held.ended;
        assert.ok(!held.frames.some(answers(7)), JSON.stringify(held.frames));
        await other.ended;
        assert.ok(other.frames.at(-1).result.content);
        assert.equal((await client.notify('notifications/cancelled', { requestId: 'never was' })).status, 202);
    });

    test('answers that nobody waits for are taken and dropped', async () => {
        const client = await legacy(hub, { path: PATH });
        for (const id of ['tl-q-1', 'tl-q-99999999999999999999', 'x', 5]) {
            const response = await client.answer(id, { action: 'accept' });
            assert.equal(response.status, 202);
            assert.equal(await response.text(), '');
        }
        assert.equal((await send(hub, { path: PATH, body: { jsonrpc: '2.0', id: 1, result: {} } })).status, 400);
    });

    test('65 requests of one session in flight are one too many', async () => {
        const client = await legacy(hub, { path: PATH });
        const before = hub.calls_of('slow').length;
        const stop = new AbortController();
        const held = Array.from({ length: 64 }, (_, id) => client.ask('tools/call', { name: 'slow', arguments: { ms: 60_000 } }, id, { signal: stop.signal }).catch(() => {}));
        await until('64 calls', () => hub.calls_of('slow').length === before + 64);
        const { status, headers, json } = await send(hub, { path: PATH, body: PING, headers: { 'mcp-session-id': client.session } });
        assert.deepEqual([status, json.error.code, json.error.data.limit, json.error.data.max], [429, -31429, 'in_flight', 64]);
        assert.ok(Number(headers.get('retry-after')) >= 1);
        assert.equal((await client.end()).status, 204);
        stop.abort();
        await Promise.all(held);
    });

    describe('batches', () => {
        const call = (id) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'echo_raw', arguments: { id } } });
        const batch = async (version, body) => {
            const client = await legacy(hub, { path: PATH, version });
            return send(hub, { path: PATH, body, headers: { 'mcp-session-id': client.session } });
        };
        test('2025-03-26: answers come in one array', async () => {
            const { status, json } = await batch('2025-03-26', [call(1), { jsonrpc: '2.0', method: 'notifications/initialized' }, call('1'), PING]);
            assert.equal(status, 200);
            assert.deepEqual(json.map((answer) => answer.id).sort(), [1, '1', 'p'].sort());
            assert.deepEqual(JSON.parse(json.find((answer) => answer.id === '1').result.content[0].text), { id: '1' });
        });
        test('2025-03-26: notifications alone are 202', async () => {
            assert.equal((await batch('2025-03-26', [{ jsonrpc: '2.0', method: 'notifications/initialized' }])).status, 202);
        });
        const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28' };
        for (const [what, version, body] of [
            ['nothing in it', '2025-03-26', []], ['65 in it', '2025-03-26', Array.from({ length: 65 }, (_, n) => ({ ...PING, id: n }))],
            ['initialize in it', '2025-03-26', [initialize(NEWEST)]], ['a batch in it', '2025-03-26', [[PING]]], ['a number in it', '2025-03-26', [1]], ['JSON-RPC 1.0 in it', '2025-03-26', [{ ...PING, jsonrpc: '1.0' }]],
            ['a claim in it', '2025-03-26', [{ ...PING, params: { _meta: meta } }]],
            ...REVISIONS.filter((r) => r !== '2025-03-26').map((r) => [`a session of ${r}`, r, [PING]]),
        ])
            test(`refused: ${what}`, async () => {
                const { status, json } = await batch(version, body);
                assert.deepEqual([status, json.error.code], [400, -32600]);
            });
    });

    // These two come last: they move the clock.
    test('the rest of a stream is kept for five minutes', { skip: NEEDS_CLOCK }, async () => {
        const client = await legacy(hub, { path: PATH });
        const cut = async () => {
            const stop = new AbortController();
            const ear = hear(await client.ask(...progress_call('kept'), 'kept', { signal: stop.signal }));
            await until('two events', () => ear.events.length > 1);
            const before = hub.journal().length;
            stop.abort();
            await ear.ended;
            await until('the call to be done', () => hub.journal().slice(before - 1).some((row) => row.event === 'done'));
            assert.equal((await client.ask('ping')).status, 200);
            return ear.events[0].id;
        };
        const early = await cut();
        hub.move_clock(4 * 60_000);
        assert.equal((await client.ask('ping')).status, 200);
        const rest = await client.get({ 'last-event-id': early });
        assert.equal(rest.status, 200);
        await rest.text();
        const late = await cut();
        hub.move_clock(5 * 60_000 + 1000);
        assert.equal((await client.ask('ping')).status, 200);
        assert.equal((await client.get({ 'last-event-id': late })).status, 400);
    });
});

test('a session ends after 30 minutes without call and stream', { skip: NEEDS_CLOCK }, async (t) => {
    const hub = await start_hub(t, { clock: true, config: PATIENT, servers: {} });
    const idle = await legacy(hub), listens = await legacy(hub), used = await legacy(hub);
    const stop = new AbortController();
    t.after(() => stop.abort());
    const ear = hear(await listens.get({}, stop.signal));
    await until('the stream', () => ear.events.length > 0);
    hub.move_clock(29 * 60_000);
    assert.equal((await used.ask('ping')).status, 200);
    hub.move_clock(2 * 60_000);
    await until('the idle session to end', async () => /^trunkline_sessions\{kind="session"\} 2$/m.test((await hub.get('/metrics')).text));
    assert.equal((await idle.ask('ping')).status, 404);
    assert.equal((await used.ask('ping')).status, 200);
    assert.equal((await listens.ask('ping')).status, 200);
});
