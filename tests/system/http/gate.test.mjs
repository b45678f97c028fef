// The HTTP gate, a case or more for each of its rules, by raw sockets: what no client library would send.
// Whatever comes, the refusal is the rule's own, the hub lives, and it keeps no descriptor.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';

import { WebSocket } from 'ws';
import { Agent, request } from 'undici';

import { HOLDS_CLOCK, lasting, start_hub } from '../../kit/js/hub.mjs';
import { until } from '../../kit/js/until.mjs';
import { wire } from '../../kit/js/wire.mjs';

const HELLO = JSON.stringify({
    jsonrpc: '2.0', id: 1, method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'wire', version: '1' } },
});
const ANY = 5173; // a port in texts only: nobody listens there
const BODY_MOST = 4 * 1024 * 1024;
const NEEDS_CLOCK = HOLDS_CLOCK ? false : 'needs a build that lets tests move the clock';

// One request as bytes. `add`: more header lines; `drop`: names of the usual ones to leave out.
function ask({ first = 'POST /mcp HTTP/1.1', drop = [], add = [], body = HELLO } = {}) {
    const usual = {
        Host: 'localhost', 'Content-Type': 'application/json', Accept: 'application/json, text/event-stream',
        'Content-Length': Buffer.byteLength(body),
    };
    const lines = Object.entries(usual).filter(([name]) => !drop.includes(name)).map(([name, value]) => `${name}: ${value}`);
    return [first, ...lines, ...add, '', body].join('\r\n');
}
const chunked = (chunks, add = []) => ask({ drop: ['Content-Length'], add: ['Transfer-Encoding: chunked', ...add], body: chunks });
const get = (target, add = []) => `GET ${target} HTTP/1.1\r\nHost: localhost\r\n${add.map((line) => `${line}\r\n`).join('')}\r\n`;
const upgrade = (target, { host = 'localhost', add = [], key = 'dGhlIHNhbXBsZSBub25jZQ==', first, tail = '' } = {}) =>
    [first ?? `GET ${target} HTTP/1.1`, `Host: ${host}`, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13',
        ...(key ? [`Sec-WebSocket-Key: ${key}`] : []), ...add, '', tail].join('\r\n');
const hex = (text) => `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n`;

// [number of the rule in the design, what is sent, bytes, status; 0 for closed without a word]
const rows = [
    [3, 'a chunked body', chunked(`${hex(HELLO)}0\r\n\r\n`), 200],
    [3, 'a chunked body in two chunks, an extension on one', chunked(`${hex(HELLO.slice(0, 9)).replace('\r\n', ';a=b\r\n')}${hex(HELLO.slice(9))}0\r\n\r\n`), 200],
    [3, 'Transfer-Encoding: gzip, chunked', ask({ drop: ['Content-Length'], add: ['Transfer-Encoding: gzip, chunked'], body: '' }), 501],
    [3, 'Transfer-Encoding: identity', ask({ drop: ['Content-Length'], add: ['Transfer-Encoding: identity'], body: '' }), 501],
    [3, 'Transfer-Encoding twice', chunked(`${hex(HELLO)}0\r\n\r\n`, ['Transfer-Encoding: chunked']), 400],
    [3, 'Transfer-Encoding and Content-Length', ask({ add: ['Transfer-Encoding: chunked'] }), 400],
    [3, 'Transfer-Encoding in HTTP/1.0', ask({ first: 'POST /mcp HTTP/1.0', drop: ['Content-Length'], add: ['Transfer-Encoding: chunked'], body: `${hex(HELLO)}0\r\n\r\n` }), 400],
    [3, 'a chunk size that is no number', chunked('zz\r\nabc\r\n0\r\n\r\n'), 400],
    [4, 'two equal Content-Lengths', ask({ add: [`Content-Length: ${HELLO.length}`] }), 400],
    [4, 'two Content-Lengths', ask({ add: ['Content-Length: 3'] }), 400],
    [4, 'a list of Content-Lengths', ask({ drop: ['Content-Length'], add: [`Content-Length: ${HELLO.length}, ${HELLO.length}`] }), 400],
    [4, 'a negative Content-Length', ask({ drop: ['Content-Length'], add: ['Content-Length: -1'] }), 400],
    [4, 'a signed Content-Length', ask({ drop: ['Content-Length'], add: [`Content-Length: +${HELLO.length}`] }), 400],
    [4, 'a hexadecimal Content-Length', ask({ drop: ['Content-Length'], add: ['Content-Length: 0x10'] }), 400],
    [4, 'a Content-Length of 13 digits', ask({ drop: ['Content-Length'], add: ['Content-Length: 1000000000000'], body: '' }), 400],
    [4, 'an empty Content-Length', ask({ drop: ['Content-Length'], add: ['Content-Length:'], body: '' }), 400],
    [4, 'a POST without a length', ask({ drop: ['Content-Length'], body: '' }), 411],
    [4, 'a body over the limit', ask({ drop: ['Content-Length'], add: [`Content-Length: ${BODY_MOST + 1}`], body: 'x' }), 413],
    [4, 'a chunked body that crosses the limit', chunked(`${hex('x'.repeat(BODY_MOST + 1))}0\r\n\r\n`), 413],
    [5, 'no Host', ask({ drop: ['Host'] }), 400],
    [5, 'two Hosts', ask({ add: ['Host: localhost'] }), 400],
    [5, 'a foreign Host', ask({ drop: ['Host'], add: ['Host: example.com'] }), 403],
    [5, 'a Host that begins like ours', ask({ drop: ['Host'], add: ['Host: localhost.example.com'] }), 403],
    [5, 'a Host that is no host', ask({ drop: ['Host'], add: [`Host: localhost:${ANY}:${ANY}`] }), 400],
    [5, 'an empty Host', ask({ drop: ['Host'], add: ['Host:'] }), 400],
    [5, 'Host 127.0.0.1 with a port', ask({ drop: ['Host'], add: [`Host: 127.0.0.1:${ANY}`] }), 200],
    [5, 'Host [::1]', ask({ drop: ['Host'], add: ['Host: [::1]:1'] }), 200],
    [5, 'Host in capitals', ask({ drop: ['Host'], add: ['Host: LOCALHOST'] }), 200],
    [5, 'an absolute target', ask({ first: 'POST http://localhost/mcp HTTP/1.1' }), 400],
    [5, 'a target of an authority', get(`localhost:${ANY}`), 400],
    [6, 'a foreign Origin', ask({ add: ['Origin: https://example.com'] }), 403],
    [6, 'Origin null', ask({ add: ['Origin: null'] }), 403],
    [6, 'two Origins', ask({ add: ['Origin: http://localhost', 'Origin: http://localhost'] }), 400],
    [6, 'an Origin that begins like ours', ask({ add: ['Origin: http://localhost.example.com'] }), 403],
    [6, 'a loopback Origin', ask({ add: [`Origin: http://localhost:${ANY}`] }), 200],
    [6, 'a cross-site request', ask({ add: ['Sec-Fetch-Site: cross-site'] }), 403],
    [6, 'a same-origin request', ask({ add: ['Sec-Fetch-Site: same-origin'] }), 200],
    [7, 'Content-Type twice', ask({ add: ['Content-Type: application/json'] }), 400],
    [7, 'Authorization twice', ask({ add: ['Authorization: Bearer a', 'Authorization: Bearer b'] }), 400],
    [7, 'Accept twice', ask({ add: ['Accept: application/json'] }), 200],
    [7, 'X-Forwarded-For twice, which is ignored', ask({ add: ['X-Forwarded-For: 10.0.0.1', 'X-Forwarded-For: 10.0.0.2'] }), 200],
    [7, 'an unknown header twice', ask({ add: ['X-Thing: 1', 'x-thing: 2'] }), 400],
    [7, 'a blank before the colon', ask({ add: ['X-Thing : 1'] }), 400],
    [7, 'a blank before the colon of Content-Length', ask({ drop: ['Content-Length'], add: [`Content-Length : ${HELLO.length}`] }), 400],
    [7, 'a header name that is no token', ask({ add: ['X(Thing): 1'] }), 400],
    [7, 'a header without a colon', ask({ add: ['X-Thing'] }), 400],
    [7, 'a NUL in a value', ask({ add: ['X-Thing: a\0b'] }), 400],
    [7, 'a control character in a value', ask({ add: ['X-Thing: a\x01b'] }), 400],
    [7, 'a byte over 0x7e in a value', ask({ add: ['X-Thing: \xe9'] }), 400],
    [7, 'a tab in a value', ask({ add: ['X-Thing: a\tb'] }), 200],
    [8, 'bare line feeds', ask().replaceAll('\r\n', '\n'), 400],
    [8, 'one bare line feed', ask().replace('localhost\r\n', 'localhost\n'), 400],
    [10, 'a body that is a form', ask({ drop: ['Content-Type'], add: ['Content-Type: application/x-www-form-urlencoded'] }), 415],
    [10, 'no Content-Type', ask({ drop: ['Content-Type'] }), 415],
    [10, 'JSON in another character set', ask({ drop: ['Content-Type'], add: ['Content-Type: application/json; charset=utf-16'] }), 415],
    [10, 'JSON in UTF-8, said so', ask({ drop: ['Content-Type'], add: ['Content-Type: Application/JSON; charset=UTF-8'] }), 200],
    [10, 'a type that begins like JSON', ask({ drop: ['Content-Type'], add: ['Content-Type: application/jsonp'] }), 415],
    [11, 'Accept: text/html', ask({ drop: ['Accept'], add: ['Accept: text/html'] }), 406],
    [11, 'no Accept', ask({ drop: ['Accept'] }), 200],
    [11, 'Accept: */*', ask({ drop: ['Accept'], add: ['Accept: */*'] }), 200],
    [11, 'a GET stream for JSON', get('/mcp', ['Accept: application/json']), 406],
    [12, 'a target over 2 KiB', get(`/mcp/${'a'.repeat(2048)}`), 414],
    [12, '%00 in the target', ask({ first: 'POST /mcp%00/x HTTP/1.1' }), 400],
    [12, '.. in the target', ask({ first: 'POST /mcp/../livez HTTP/1.1' }), 400],
    [12, '%2e%2e in the target', ask({ first: 'POST /mcp/%2e%2e/livez HTTP/1.1' }), 400],
    [12, 'a broken escape in the target', ask({ first: 'POST /mcp/%zz HTTP/1.1' }), 400],
    [12, 'a byte over 0x7e in the target', ask({ first: 'POST /mcp/\xe9 HTTP/1.1' }), 400],
    [12, 'a NUL in the target', ask({ first: 'POST /mcp/\0 HTTP/1.1' }), 400],
    [12, 'a token in the query', ask({ first: 'POST /mcp?access_token=abc HTTP/1.1' }), 400],
    [13, 'headers over 16 KiB', ask({ add: [`X-Thing: ${'a'.repeat(17 * 1024)}`] }), 431],
    [13, 'headers over what is kept for a connection', ask({ add: [`X-Thing: ${'a'.repeat(40 * 1024)}`] }), 431],
    [13, 'more than 100 headers', ask({ add: Array.from({ length: 101 }, (_, n) => `X-${n}: 1`) }), 431],
    [13, '90 headers', ask({ add: Array.from({ length: 90 }, (_, n) => `X-${n}: 1`) }), 200],
    [15, 'the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
    [15, 'HTTP/3.0', ask({ first: 'POST /mcp HTTP/3.0' }), 505],
    [15, 'Expect of something else', ask({ add: ['Expect: the-unexpected'] }), 417],
    [16, 'PUT', ask({ first: 'PUT /mcp HTTP/1.1' }), 405],
    [16, 'TRACE', get('/mcp').replace('GET', 'TRACE'), 405],
    [16, 'a method that is none', get('/mcp').replace('GET', 'G@T'), 400],
    [16, 'post in small letters', ask({ first: 'post /mcp HTTP/1.1' }), 405],
    [20, 'an upgrade of a path without WebSockets', upgrade('/mcp'), 426],
    [20, 'an upgrade from a foreign Origin', upgrade('/api/v1/stream', { add: ['Origin: https://example.com'] }), 403],
    [20, 'an upgrade for a foreign Host', upgrade('/api/v1/stream', { host: 'example.com' }), 403],
    [20, 'an upgrade without a key', upgrade('/api/v1/stream', { key: null }), 400],
    [20, 'an upgrade with two keys', upgrade('/api/v1/stream', { add: ['Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='] }), 400],
    [20, 'an upgrade with a short key', upgrade('/api/v1/stream', { key: 'c2hvcnQ=' }), 400],
    [20, 'an upgrade in HTTP/1.0', upgrade('/api/v1/stream', { first: 'GET /api/v1/stream HTTP/1.0' }), 400],
    [20, 'an upgrade with a body', upgrade('/api/v1/stream', { add: ['Content-Length: 3'], tail: 'abc' }), 400],
    [20, 'an upgrade with bytes behind its head', upgrade('/api/v1/stream', { tail: '\x81\x80abcd' }), 400],
    [20, 'the path of WebSockets without an upgrade', get('/api/v1/stream'), 426],
    [20, 'h2c, which is ignored', ask({ add: ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAAP__'] }), 200],
    ['-', 'noise', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 0],
    ['-', 'an unknown path', get('/nothing'), 404],
];

describe('the gate', () => {
    const life = lasting();
    let hub, pid, fds;
    before(async () => {
        hub = await start_hub(life, { clock: HOLDS_CLOCK, servers: {} });
        pid = hub.roles().hub;
        await (await fetch(`${hub.url}/livez`, { headers: { connection: 'close' } })).text();
        fds = hub.fds();
    });
    after(() => life.end());
    const is_well = async () => {
        assert.equal(hub.roles().hub, pid);
        assert.equal((await (await fetch(`${hub.url}/livez`)).text()).length > 0, true);
    };

    for (const [rule, what, bytes, status] of rows)
        test(`rule ${rule}: ${what}: ${status || 'closed'}`, async (t) => {
            const line = await wire(t, hub);
            line.say(bytes);
            const reply = await line.reply();
            assert.equal(reply.status, status, reply.first ?? reply.text);
            if (status >= 400 && status !== 404) await line.ended();
        });

    test('rule 1: the hub listens on loopback alone', () => {
        const sockets = new Set();
        for (const fd of readdirSync(`/proc/${pid}/fd`))
            try {
                const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`));
                if (inode) sockets.add(inode[1]);
            } catch {
                // closed in the meantime
            }
        const listening = ['tcp', 'tcp6'].flatMap((name) => readFileSync(`/proc/${pid}/net/${name}`, 'utf8').split('\n').slice(1))
            .map((row) => row.trim().split(/ +/)).filter((row) => row[3] === '0A' && sockets.has(row[9])).map((row) => row[1].split(':')[0]);
        assert.deepEqual([...new Set(listening)], ['0100007F']);
    });

    test('rule 2: a head that does not come is given up', { skip: NEEDS_CLOCK }, async (t) => {
        const silent = await wire(t, hub), begun = await wire(t, hub);
        begun.say('POST /mcp HTTP/1.1\r\nHost: localhost\r\n');
        // Ten seconds from when the hub saw them, which may be some steps from now.
        for (let second = 0; second < 30 && !(silent.is_over && begun.is_over); second++) {
            hub.move_clock(1000);
            begun.say(`X-${second}: drip\r\n`);
            await is_well();
        }
        await silent.ended();
        await begun.ended();
    });

    test('rule 14: a body that drips has a deadline', { skip: NEEDS_CLOCK }, async (t) => {
        const line = await wire(t, hub);
        line.say(ask({ drop: ['Content-Length'], add: ['Content-Length: 100', 'Expect: 100-continue'], body: '' }));
        assert.equal((await line.reply()).status, 100); // from here on its time runs
        for (let second = 0; second < 45; second += 5) {
            await is_well();
            line.say(' ');
            hub.move_clock(5000);
        }
        assert.equal((await line.reply()).status, 408);
        await line.ended();
    });

    test('rule 17: a connection nobody uses ends', { skip: NEEDS_CLOCK }, async (t) => {
        const line = await wire(t, hub);
        line.say(ask());
        assert.equal((await line.reply()).status, 200);
        // What the kernel saw within the last ten real seconds may be the beginning of a head: that has its time too.
        hub.move_clock(61_000);
        await is_well();
        hub.move_clock(11_000);
        await line.ended();
    });

    test('a refusal is read although the body is still being sent', async (t) => {
        const line = await wire(t, hub);
        line.say(ask({ add: ['Origin: https://example.com'], body: 'x'.repeat(60 * 1024) }));
        assert.equal((await line.reply()).status, 403);
        await line.ended();
    });

    test('rule 15: pipelined requests are answered in order', async (t) => {
        const line = await wire(t, hub);
        const numbered = (id) => ask({ body: HELLO.replace('"id":1', `"id":${id}`) });
        line.say(Array.from({ length: 8 }, (_, n) => numbered(n)).join(''));
        for (let n = 0; n < 8; n++) assert.equal(JSON.parse((await line.reply()).text).id, n);
        const agent = new Agent({ pipelining: 4, connections: 1 });
        t.after(() => agent.destroy());
        const all = await Promise.all(Array.from({ length: 8 }, () => request(`${hub.url}/livez`, { dispatcher: agent }).then(async (r) => [r.statusCode, await r.body.text()])));
        assert.ok(all.every(([status]) => status === 200), JSON.stringify(all));
    });

    test('rule 15: HTTP/1.0 is answered and closed', async (t) => {
        const line = await wire(t, hub);
        line.say(ask({ first: 'POST /mcp HTTP/1.0' }));
        assert.equal((await line.reply()).status, 200);
        await line.ended();
    });

    test('rule 15: 100 Continue is said when the gate has passed, and not before', async (t) => {
        const head = (add) => ask({ add: ['Expect: 100-continue', ...add] }).slice(0, -HELLO.length);
        const good = await wire(t, hub), bad = await wire(t, hub);
        good.say(head([]));
        assert.equal((await good.reply()).status, 100);
        good.say(HELLO);
        assert.equal((await good.reply()).status, 200);
        bad.say(head(['Origin: https://example.com']));
        assert.equal((await bad.reply()).status, 403);
    });

    test('rule 16: a method that is not taken is told which are; OPTIONS answers a listed origin', async (t) => {
        const wrong = await wire(t, hub), asks = await wire(t, hub), alien = await wire(t, hub);
        wrong.say(ask({ first: 'PUT /mcp HTTP/1.1' }));
        const { headers: { allow } } = await wrong.reply();
        for (const method of ['GET', 'POST', 'DELETE']) assert.ok(allow.split(', ').includes(method), allow);
        const preflight = (origin) => `OPTIONS /mcp HTTP/1.1\r\nHost: localhost\r\nOrigin: ${origin}\r\nAccess-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: mcp-method\r\n\r\n`;
        asks.say(preflight(`http://localhost:${ANY}`));
        const allowed = await asks.reply();
        assert.equal(allowed.status, 204);
        assert.equal(allowed.headers['access-control-allow-origin'], `http://localhost:${ANY}`);
        assert.match(allowed.headers['access-control-allow-headers'].toLowerCase(), /mcp-method/);
        alien.say(preflight('https://example.com'));
        assert.equal((await alien.reply()).status, 403);
    });

    test('answers on MCP paths are neither stored nor guessed at', async (t) => {
        const line = await wire(t, hub);
        line.say(ask());
        const { headers } = await line.reply();
        assert.equal(headers['cache-control'], 'no-store');
        assert.equal(headers['x-content-type-options'], 'nosniff');
    });

    test('rule 20: an upgrade on a used connection is refused; ws itself connects', async (t) => {
        const line = await wire(t, hub);
        line.say(ask());
        assert.equal((await line.reply()).status, 200);
        line.say(upgrade('/api/v1/stream'));
        assert.equal((await line.reply()).status, 426);
        const socket = new WebSocket(`${hub.url.replace('http', 'ws')}/api/v1/stream`);
        t.after(() => socket.terminate());
        await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
        assert.equal(socket.extensions, '');
    });

    test('clients that leave in the middle leave nothing behind', async (t) => {
        for (const cut of [1, 20, 80, ask().length - 5])
            for (const leave of ['reset', 'hang_up']) {
                const line = await wire(t, hub);
                line.say(ask().slice(0, cut));
                line[leave]();
            }
        await is_well();
    });

    test('after all of this the hub lives and keeps no descriptor', async () => {
        await until('descriptors as before', () => {
            const now = hub.fds();
            if (now <= fds + 1) return true; // fetch keeps one connection of its own
            throw new Error(`${now}, at first ${fds}`);
        });
        await is_well();
    });
});
