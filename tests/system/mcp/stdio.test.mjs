// `trunkline stdio`: clients that only spawn programs, before a real hub.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

import {
    ElicitRequestSchema, LoggingMessageNotificationSchema, ResourceUpdatedNotificationSchema, ToolListChangedNotificationSchema,
} from '@modelcontextprotocol/sdk/types.js';

import { legacy_stdio, modern_stdio, text_of } from '../../kit/js/clients.mjs';
import { TRUNKLINE, servers, start_hub } from '../../kit/js/hub.mjs';
import { meta } from '../../kit/js/raw.mjs';
import { until } from '../../kit/js/until.mjs';

const args = (hub, ...more) => ['--hub', `unix:${hub.socket}`, 'stdio', ...more];
const journal = (file) => readFileSync(file, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));
const events_of = (hub, event) => journal(hub.bed_log).filter((row) => row.event === event).length;

async function hub_with_bed(t, era = 'modern') {
    const logs = mkdtempSync(join(tmpdir(), 'tl-log-'));
    t.after(() => rmSync(logs, { recursive: true, force: true }));
    const bed_log = join(logs, 'bed.log');
    const hub = await start_hub(t, { servers: { bed: servers.fixture(era, { BED_LOG: bed_log }) } });
    return Object.assign(hub, { bed_log });
}

// The front without an SDK: every line it prints, as text and as the JSON it must be.
function front(t, words) {
    const child = spawn(TRUNKLINE, words, { stdio: ['pipe', 'pipe', 'pipe'] });
    const seen = { lines: [], messages: [], errors: '' };
    createInterface({ input: child.stdout }).on('line', (line) => {
        seen.lines.push(line);
        seen.messages.push(JSON.parse(line));
    });
    child.stderr.on('data', (text) => { seen.errors += text; });
    const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve({ code, signal })));
    t.after(async () => {
        child.kill('SIGKILL');
        await ended;
    });
    const say = (what) => child.stdin.write(`${typeof what === 'string' ? what : JSON.stringify(what)}\n`);
    return {
        child, ended, ...seen, say,
        seen,
        hear: (what, fits) => until(what, () => seen.messages.find(fits)),
        answer: (id) => until(`the answer to ${id}`, () => seen.messages.find((m) => m.id === id && m.method === undefined)),
        ask: (id, method, params) => say({ jsonrpc: '2.0', id, method, params }),
        modern: (id, method, params = {}) => say({ jsonrpc: '2.0', id, method, params: { ...params, _meta: meta() } }),
        async initialize(capabilities = {}) {
            this.ask('init', 'initialize', { protocolVersion: '2025-11-25', capabilities, clientInfo: { name: 'line', version: '1' } });
            const { result } = await this.answer('init');
            say({ jsonrpc: '2.0', method: 'notifications/initialized' });
            return result;
        },
    };
}

test('legacy SDK client: tools, progress, questions, logging, list changes', async (t) => {
    const hub = await hub_with_bed(t);
    const client = await legacy_stdio(t, TRUNKLINE, args(hub), { capabilities: { elicitation: {} } });
    const asked = [], logged = [], changed = [], progress = [];
    client.setRequestHandler(ElicitRequestSchema, (request) => {
        asked.push(request.params.message);
        return { action: 'accept', content: { username: 'ann', email: 'ann@example.com' } };
    });
    client.setNotificationHandler(LoggingMessageNotificationSchema, (note) => logged.push(note.params.data));
    client.setNotificationHandler(ToolListChangedNotificationSchema, () => changed.push(1));
    assert.ok((await client.listTools()).tools.some((tool) => tool.name === 'bed__echo_raw'));
    await client.callTool({ name: 'bed__test_tool_with_progress', arguments: {} }, undefined, { onprogress: (p) => progress.push(p.progress) });
    assert.deepEqual(progress.slice(0, 2), [0, 50]); // see below
    await client.callTool({ name: 'bed__test_elicitation', arguments: { message: 'who are you?' } });
    assert.equal(asked.length, 1);
    await client.setLoggingLevel('debug');
    await client.callTool({ name: 'bed__test_tool_with_logging', arguments: {} });
    await until('three lines of log', () => logged.length >= 3);
    await client.callTool({ name: 'bed__set_list', arguments: { n: 3 } });
    await until('the list to change', () => changed.length > 0);
    const ended = new Promise((resolve) => { client.onclose = resolve; });
    const began = Date.now();
    await client.close();
    await ended;
    assert.ok(Date.now() - began < 2000, 'the front is gone before the SDK loses patience');
});

test('modern SDK client: chosen by probing, tools, progress, header parameters, subscriptions', async (t) => {
    const hub = await hub_with_bed(t);
    const client = await modern_stdio(t, TRUNKLINE, args(hub));
    assert.equal(client.getNegotiatedProtocolVersion?.() ?? '2026-07-28', '2026-07-28');
    const progress = [], updated = [];
    await client.callTool({ name: 'bed__test_tool_with_progress', arguments: {} }, { onprogress: (p) => progress.push(p.progress) });
    assert.deepEqual(progress.slice(0, 2), [0, 50]); // see below
    const { tools } = await client.listTools();
    const wanted = tools.find((tool) => tool.name === 'bed__test_x_mcp_header').inputSchema.properties;
    const given = Object.fromEntries(Object.entries(wanted).map(([name, { type }]) => [name, type === 'string' ? 'Zürich = nice ' : type === 'boolean' ? true : 7]));
    for (let round = 0; round < 2; round++) {
        const result = await client.callTool({ name: 'bed__test_x_mcp_header', arguments: given });
        assert.ok(!result.isError, text_of(result));
    }
    client.setNotificationHandler('notifications/resources/updated', (note) => updated.push(note.params.uri));
    const uri = (await client.listResources()).resources.find((row) => row.uri.includes('watched')).uri;
    const stream = await client.listen({ resourceSubscriptions: [uri] });
    await client.callTool({ name: 'bed__touch', arguments: {} });
    await until('the update', () => updated.includes(uri));
    await stream.close();
});

test('--server gives the bare names of one server', async (t) => {
    const hub = await hub_with_bed(t);
    const client = await legacy_stdio(t, TRUNKLINE, args(hub, '--server', 'bed'));
    assert.equal(text_of(await client.callTool({ name: 'test_simple_text', arguments: {} })), 'This is a simple text response for testing.');
});

// Both SDK clients lose a progress frame that they read together with the result: so the order is seen without one.
for (const era of ['legacy', 'modern'])
    test(`${era}: all progress comes before the result`, async (t) => {
        const hub = await hub_with_bed(t);
        const f = front(t, args(hub));
        const call = { name: 'bed__test_tool_with_progress', arguments: {}, _meta: { progressToken: 'p' } };
        if (era === 'legacy') await f.initialize();
        f.ask(1, 'tools/call', era === 'legacy' ? call : { ...call, _meta: { ...meta(), ...call._meta } });
        await f.answer(1);
        const of_call = f.messages.filter((m) => m.id === 1 || m.params?.progressToken === 'p').map((m) => m.params?.progress ?? 'result');
        assert.deepEqual(of_call, [0, 50, 100, 'result']);
    });

test('messages keep every byte, and each is answered once', async (t) => {
    const hub = await hub_with_bed(t);
    const f = front(t, args(hub));
    const odd = '{"a":1.0,"b":-0,"c":1E+2,"d":9223372036854775808,"f":"\\u00e9é","z":1,"y":2}';
    await f.initialize();
    f.say(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"bed__echo_raw","arguments":${odd}}}`);
    await f.answer(7);
    assert.ok(f.lines.some((line) => line.includes(JSON.stringify(odd).slice(1, -1))), f.lines.at(-1));
    const many = Array.from({ length: 500 }, (_, n) => `many-${n}`);
    for (const id of many) f.ask(id, 'tools/call', { name: 'bed__echo_raw', arguments: { id } });
    for (const id of many) assert.equal(JSON.parse((await f.answer(id)).result.content[0].text).id, id);
    const ids = f.messages.filter((m) => m.method === undefined).map((m) => m.id);
    assert.equal(new Set(ids).size, ids.length);
});

test('header parameters are added by the front', async (t) => {
    const hub = await hub_with_bed(t);
    const f = front(t, args(hub));
    for (const id of [1, 2]) {
        f.modern(id, 'tools/call', { name: 'bed__test_x_mcp_header', arguments: { region: ' Zürich \n' } });
        assert.equal((await f.answer(id)).result?.content[0].text, 'region:  Zürich \n', JSON.stringify(await f.answer(id)));
    }
});

test('what is no message is answered as the specification says, and the line goes on', async (t) => {
    const hub = await hub_with_bed(t);
    const f = front(t, args(hub));
    f.say('this is no JSON');
    await f.hear('a parse error', (m) => m.error?.code === -32700 && m.id === undefined);
    f.say('{"jsonrpc":"2.0","id":1,"method":7}');
    await f.hear('an invalid request', (m) => m.error?.code === -32600);
    f.say('');
    f.modern(2, 'resources/read', { uri: 'test://nö such\u00a0thing' });
    assert.ok((await f.answer(2)).error);
    assert.notEqual((await f.answer(2)).error.code, -32020, 'the headers say what the body says');
    f.modern(3, 'no/such/method');
    assert.equal((await f.answer(3)).error.code, -32601);
    f.say({ jsonrpc: '2.0', id: 4, method: 'tools/list', params: { _meta: { 'io.modelcontextprotocol/protocolVersion': '2026-07-28\r\nX-Evil: 1' } } });
    assert.equal((await f.answer(4)).error.code, -32602);
    f.modern(5, 'tools/list');
    assert.ok((await f.answer(5)).result.tools.length);
});

for (const era of ['legacy', 'modern'])
    test(`a ${era} cancel reaches the server, and nothing is answered`, async (t) => {
        const hub = await hub_with_bed(t);
        const f = front(t, args(hub));
        const slow = { name: 'bed__slow', arguments: { ms: 60_000 } };
        if (era === 'legacy') await f.initialize();
        era === 'legacy' ? f.ask('mine', 'tools/call', slow) : f.modern('mine', 'tools/call', slow);
        await until('the call to reach the bed', () => events_of(hub, 'call') === 1);
        f.say({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'mine' } });
        await until('the bed to see the cancel', () => events_of(hub, 'cancelled') === 1);
        // A request and its cancel in one breath: either the bed never heard of it, or it heard of both.
        era === 'legacy' ? f.ask('two', 'tools/call', slow) : f.modern('two', 'tools/call', slow);
        f.say({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'two' } });
        era === 'legacy' ? f.ask('last', 'tools/list') : f.modern('last', 'tools/list');
        await f.answer('last');
        await until('every call to be cancelled', () => events_of(hub, 'call') === events_of(hub, 'cancelled'));
        assert.ok(!f.messages.some((m) => m.id === 'mine' || m.id === 'two'));
    });

for (const era of ['legacy', 'modern'])
    for (const [how, end] of [['the end of input', (f) => f.child.stdin.end()], ['SIGTERM', (f) => f.child.kill('SIGTERM')]])
        test(`${how} cancels what is in flight and ends the ${era} front within 2 s`, async (t) => {
            const hub = await hub_with_bed(t);
            const f = front(t, args(hub));
            if (era === 'legacy') await f.initialize();
            const slow = { name: 'bed__slow', arguments: { ms: 60_000 } };
            era === 'legacy' ? f.ask(1, 'tools/call', slow) : f.modern(1, 'tools/call', slow);
            await until('the call to reach the bed', () => events_of(hub, 'call') === 1);
            const began = Date.now();
            end(f);
            assert.deepEqual(await f.ended, { code: 0, signal: null });
            assert.ok(Date.now() - began < 2000);
            await until('the bed to see the cancel', () => events_of(hub, 'cancelled') === 1);
        });

test('requests before the end of input are still answered', async (t) => {
    const hub = await hub_with_bed(t);
    const f = front(t, args(hub));
    f.modern(1, 'tools/list');
    f.child.stdin.end(`${JSON.stringify({ jsonrpc: '2.0', id: 2, method: 'server/discover', params: { _meta: meta() } })}`);
    assert.equal((await f.ended).code, 0);
    assert.ok((await f.answer(1)).result && (await f.answer(2)).result);
});

test('a restarted hub: the legacy session goes on, with its subscriptions; what was running is told as lost', async (t) => {
    const hub = await hub_with_bed(t);
    const client = await legacy_stdio(t, TRUNKLINE, args(hub));
    const updated = [];
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, (note) => updated.push(note.params.uri));
    const uri = (await client.listResources()).resources.find((row) => row.uri.includes('watched')).uri;
    await client.subscribeResource({ uri });
    const lost = assert.rejects(client.callTool({ name: 'bed__slow', arguments: { ms: 60_000 } }), { code: -31599 });
    await until('the call to reach the bed', () => events_of(hub, 'call') === 1);
    const pid = hub.roles().hub;
    process.kill(pid, 'SIGKILL');
    await lost;
    await until('another hub', () => hub.roles().hub && hub.roles().hub !== pid);
    await hub.is_up();
    await hub.ready('bed');
    assert.ok((await client.listTools()).tools.length);
    await until('the update', async () => {
        await client.callTool({ name: 'bed__touch', arguments: {} });
        return updated.includes(uri);
    });
});

test('a restarted hub: modern requests go on', async (t) => {
    const hub = await hub_with_bed(t);
    const f = front(t, args(hub));
    f.modern(1, 'tools/list');
    await f.answer(1);
    f.modern('running', 'tools/call', { name: 'bed__slow', arguments: { ms: 60_000 } });
    await until('the call to reach the bed', () => events_of(hub, 'call') === 1);
    process.kill(hub.roles().hub, 'SIGKILL');
    f.modern(2, 'tools/list');
    assert.ok((await f.answer(2)).result.tools.length);
    assert.equal((await f.answer('running')).error.code, -31599);
    assert.equal(f.messages.filter((m) => m.id === 'running').length, 1);
});

test('a hub that is not there yet is waited for', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tl-'));
    const f = front(t, ['--hub', `unix:${folder}/api.sock`, 'stdio']);
    f.modern(1, 'tools/list');
    await until('a word on standard error', () => f.seen.errors.includes('no hub answers'));
    await start_hub(t, { folder, servers: { bed: servers.fixture('modern') } });
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    assert.ok((await f.answer(1)).result);
});

test('a server that is not there is told as an error, with the id', async (t) => {
    const hub = await hub_with_bed(t);
    for (const speak of [(f) => f.modern(1, 'tools/list'), (f) => f.ask(1, 'initialize', { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } })]) {
        const f = front(t, args(hub, '--server', 'nobody'));
        speak(f);
        assert.ok((await f.answer(1)).error);
    }
});

test('something that is no hub answers nonsense: an error with the id', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tl-'));
    const path = join(folder, 'x.sock');
    const server = createServer((socket) => socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')));
    await new Promise((resolve) => server.listen(path, resolve));
    t.after(() => {
        server.close();
        rmSync(folder, { recursive: true, force: true });
    });
    const f = front(t, ['--hub', `unix:${path}`, 'stdio']);
    f.modern('x', 'tools/call', { name: 'a', arguments: {} });
    assert.ok((await f.answer('x')).error);
});
