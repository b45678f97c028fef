// Streams over the life of a connection: cut and resumed, taken over, ended by the hub; and the Unix socket.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';

import { legacy_client, text_of } from '../../kit/js/clients.mjs';
import { servers, start_hub } from '../../kit/js/hub.mjs';
import { events, legacy, messages, modern } from '../../kit/js/raw.mjs';
import { until } from '../../kit/js/until.mjs';

const with_bed = (t) => start_hub(t, { servers: { bed: servers.fixture('modern') } });
const slow = (ms, id) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'bed__slow', arguments: { ms } } });

test('a legacy stream that was cut is read on from where it was cut', async (t) => {
    const hub = await with_bed(t);
    const client = await legacy(hub);
    const cut = new AbortController();
    const response = await client.post(slow(1500, 'mine'), { signal: cut.signal });
    assert.equal(response.headers.get('content-type'), 'text/event-stream');
    const { value: primed } = await events(response).next();
    assert.match(primed.id, /^[0-9]+-0$/);
    assert.equal(primed.retry, '3000');
    cut.abort();
    const rest = await client.get({ 'last-event-id': primed.id });
    assert.equal(rest.status, 200);
    const all = await messages(rest);
    assert.equal(all.length, 1);
    assert.equal(all[0].id, 'mine');
    assert.ok(all[0].result.content);
    assert.equal((await client.get({ 'last-event-id': primed.id })).status, 400);
});

// A proxy that cuts every connection on which an event stream has begun, once.
async function cutting_proxy(t, hub) {
    const to = new URL(hub.url);
    const seen = { cuts: 0 };
    const sockets = new Set();
    const proxy = createServer((near) => {
        const far = connect(Number(to.port), to.hostname);
        for (const socket of [near, far]) {
            sockets.add(socket);
            socket.on('error', () => {}).on('close', () => { near.destroy(); far.destroy(); });
        }
        near.pipe(far);
        far.on('data', (piece) => {
            near.write(piece);
            if (seen.cuts === 0 && seen.armed && piece.includes('retry:')) {
                seen.cuts++;
                near.end(() => near.destroy());
            }
        });
    });
    await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    t.after(() => {
        proxy.close();
        for (const socket of sockets) socket.destroy();
    });
    return { url: `http://127.0.0.1:${proxy.address().port}`, seen };
}

test('the legacy SDK client gets its result over a cut connection', async (t) => {
    const hub = await with_bed(t);
    const proxy = await cutting_proxy(t, hub);
    const client = await legacy_client(t, proxy);
    proxy.seen.armed = true;
    const result = await client.callTool({ name: 'bed__slow', arguments: { ms: 1000 } });
    assert.equal(proxy.seen.cuts, 1);
    assert.notEqual(text_of(result), '');
});

// One request over the Unix socket.
function over_socket(hub, headers, body) {
    return new Promise((resolve, reject) => {
        const sent = request({ socketPath: hub.socket, path: '/mcp', method: 'POST', headers: {
            host: 'localhost', accept: 'application/json, text/event-stream', 'content-type': 'application/json', ...headers } }, (response) => {
            let text = '';
            response.on('data', (piece) => { text += piece; });
            response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text }));
        });
        sent.on('error', reject);
        sent.end(JSON.stringify(body));
    });
}

test('the Unix socket is served alike, and its sessions are its own', async (t) => {
    const hub = await with_bed(t);
    const ping = { jsonrpc: '2.0', id: 1, method: 'ping' };
    const hello = await over_socket(hub, {}, { jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {} } });
    assert.equal(hello.status, 200);
    const session = hello.headers['mcp-session-id'];
    const answer = await over_socket(hub, { 'mcp-session-id': session }, ping);
    assert.deepEqual(JSON.parse(answer.text), { jsonrpc: '2.0', id: 1, result: {} });
    const tcp = await legacy(hub);
    assert.equal((await over_socket(hub, { 'mcp-session-id': tcp.session }, ping)).status, 404);
    assert.equal((await tcp.post(ping, { headers: { 'mcp-session-id': session } })).status, 404);
});

test('a hub that stops says so on its listen streams', async (t) => {
    const hub = await with_bed(t);
    const listen = await modern(hub).post('subscriptions/listen', { notifications: { resourceSubscriptions: ['test://watched-resource'] } }, { id: 'ear' });
    const frames = [];
    const read = (async () => { for await (const event of events(listen)) if (event.data) frames.push(JSON.parse(event.data)); })();
    await until('the acknowledgement', () => frames.length === 1);
    await hub.stop();
    await read;
    assert.deepEqual(frames.slice(1).map((frame) => frame.method ?? frame.result.resultType), ['notifications/cancelled', 'complete']);
    assert.equal(frames[1].params.requestId, 'ear');
    assert.equal(frames[2].id, 'ear');
});

test('a deleted session is gone for all its streams', async (t) => {
    const hub = await with_bed(t);
    const client = await legacy(hub);
    const unsolicited = await client.get();
    const call = client.post(slow(30_000, 1));
    assert.equal((await call).headers.get('content-type'), 'text/event-stream');
    assert.equal((await client.end()).status, 204);
    const last_words = await messages(unsolicited); // it ends; the lists of a fresh server may have changed before
    assert.ok(last_words.every((message) => message.method.endsWith('list_changed')), JSON.stringify(last_words));
    assert.deepEqual(await messages(await call), []);
    assert.equal((await client.post({ jsonrpc: '2.0', id: 2, method: 'ping' })).status, 404);
});
