import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { createServer, request } from 'node:http';
import test from 'node:test';

import { start_rename } from './rename.mjs';

// A server that keeps what it got and answers what it is told, with the proxy before it.
async function behind_rename(t, answer) {
    const got = [];
    const server = createServer(async (req, res) => {
        let body = '';
        for await (const chunk of req) {
            body += chunk;
        }
        got.push({ method: req.method, url: req.url, headers: req.headers, raw: req.rawHeaders, body });
        answer(res, req);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = await start_rename({
        upstream: `http://127.0.0.1:${server.address().port}`,
        prefix: 'bed__',
    });
    t.after(async () => {
        await proxy.close();
        server.closeAllConnections();
        server.close();
    });
    return { got, proxy };
}

const json = (message) => (res) =>
    res.setHeader('content-type', 'application/json').end(JSON.stringify(message));

async function post(proxy, message, headers = {}) {
    const body = typeof message === 'string' ? message : JSON.stringify(message);
    const response = await fetch(`${proxy.base}/mcp`, { method: 'POST', body, headers });
    return response;
}

test('names that go up get the prefix, in body and header', async (t) => {
    const { got, proxy } = await behind_rename(t, json({}));
    const rows = [
        ['tools/call', { name: 'x' }, { name: 'bed__x' }],
        ['prompts/get', { name: 'x' }, { name: 'bed__x' }],
        [
            'completion/complete',
            { ref: { type: 'ref/prompt', name: 'x' } },
            { ref: { type: 'ref/prompt', name: 'bed__x' } },
        ],
        ['resources/read', { uri: 'x' }, { uri: 'x' }],
    ];
    for (const [method, params, expected] of rows) {
        await post(proxy, { jsonrpc: '2.0', id: 1, method, params }, { 'Mcp-Name': 'x' });
        const { body, headers } = got.at(-1);
        assert.deepEqual(JSON.parse(body).params, expected);
        assert.equal(headers['mcp-name'], params.name === undefined ? 'x' : 'bed__x');
    }
});

test('a wrapped name in the header is renamed inside, a bad wrapper passes', async (t) => {
    const { got, proxy } = await behind_rename(t, json({}));
    const call = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'Hello' } };
    const rows = [
        ['=?base64?SGVsbG8=?=', `=?base64?${Buffer.from('bed__Hello').toString('base64')}?=`],
        ['=?base64?SGVsbG8?=', '=?base64?SGVsbG8?='],
        ['=?base64?SGVs!!!bG8=?=', '=?base64?SGVs!!!bG8=?='],
    ];
    for (const [sent, expected] of rows) {
        await post(proxy, call, { 'Mcp-Name': sent });
        assert.equal(got.at(-1).headers['mcp-name'], expected);
    }
});

test('a body that is no JSON, or names nothing, passes byte for byte', async (t) => {
    const { got, proxy } = await behind_rename(t, json({}));
    for (const body of ['{"a": 1.0, ', '{"jsonrpc": "2.0", "id": 1.0, "method": "ping"}', '[]']) {
        await post(proxy, body);
        assert.equal(got.at(-1).body, body);
    }
});

test('names that come down lose the prefix, in JSON and in event streams', async (t) => {
    const tools = { jsonrpc: '2.0', id: 1, result: { tools: [{ name: 'bed__a' }, { name: 'other__b' }] } };
    const prompts = { jsonrpc: '2.0', id: 1, result: { prompts: [{ name: 'bed__p' }] } };
    const { proxy } = await behind_rename(t, (res, req) => {
        if (req.headers.accept === 'text/event-stream') {
            res.setHeader('content-type', 'text/event-stream');
            res.write(
                'id: 1\nretry: 3000\ndata: \n\n: still here\n\n' +
                    `id: 2\ndata: ${JSON.stringify(tools).slice(0, 20)}`,
            );
            res.end(`${JSON.stringify(tools).slice(20)}\n\ndata: ${JSON.stringify(prompts)}\r\n\r\n`);
            return;
        }
        json(tools)(res);
    });
    const plain = await (await post(proxy, {})).json();
    assert.deepEqual(
        plain.result.tools.map((tool) => tool.name),
        ['a', 'other__b'],
    );
    const events = await (await post(proxy, {}, { Accept: 'text/event-stream' })).text();
    const [priming, comment, first, second] = events.split('\n\n');
    assert.equal(priming, 'id: 1\nretry: 3000\ndata: ');
    assert.equal(comment, ': still here');
    assert.deepEqual(first, `id: 2\ndata: ${JSON.stringify(plain)}`);
    assert.equal(JSON.parse(second.slice(6)).result.prompts[0].name, 'p');
});

test('an event goes on before the stream ends', { timeout: 10_000 }, async (t) => {
    let finish;
    const { proxy } = await behind_rename(t, (res) => {
        res.setHeader('content-type', 'text/event-stream').write('data: {}\n\n');
        finish = () => res.end();
    });
    const response = await post(proxy, {}, { Accept: 'text/event-stream' });
    const { value } = await response.body.getReader().read();
    assert.equal(Buffer.from(value).toString(), 'data: {}\n\n');
    finish();
});

test('a client that leaves ends the request upstream', { timeout: 10_000 }, async (t) => {
    const calls = new EventEmitter();
    const arrived = once(calls, 'arrived');
    const left = once(calls, 'left');
    const { proxy } = await behind_rename(t, (res) => {
        res.on('close', () => calls.emit('left'));
        calls.emit('arrived');
    });
    const leaving = new AbortController();
    const answer = fetch(`${proxy.base}/mcp`, { method: 'POST', body: '{}', signal: leaving.signal });
    await arrived;
    leaving.abort();
    await assert.rejects(answer, { name: 'AbortError' });
    await left;
});

test('Host, Origin and repeated headers pass as they were', async (t) => {
    const { got, proxy } = await behind_rename(t, json({}));
    const { port } = new URL(proxy.base);
    const headers = [
        'Host',
        'evil.example',
        'Origin',
        'http://evil.example',
        'MCP-Session-Id',
        'a',
        'MCP-Session-Id',
        'b',
    ];
    const going = request({ host: '127.0.0.1', port, path: '/mcp?q', headers, setHost: false }).end();
    const [answer] = await once(going, 'response');
    answer.resume();
    assert.deepEqual(got[0].raw.slice(0, headers.length), headers);
    assert.equal(got[0].url, '/mcp?q');
    assert.equal(got[0].body, '');
});
