// From bytes to a dispatched call: which era a request is of, its headers, and what is refused how. Nothing that is
// refused here may reach the server.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { legacy, meta, MODERN, send } from '../../kit/js/raw.mjs';
import { hub_with_bed, lasting } from '../../kit/js/hub.mjs';
import { wire } from '../../kit/js/wire.mjs';

const PATH = '/mcp/bed';
const VERSION = 'io.modelcontextprotocol/protocolVersion';
const CAPABILITIES = 'io.modelcontextprotocol/clientCapabilities';
const b64 = (text) => `=?base64?${Buffer.from(text).toString('base64')}?=`;

// A whole modern request, with `change`d members of _meta and headers (undefined takes one away).
function request(method, params = {}, { meta: more = {}, headers = {}, id = 1, ...rest } = {}) {
    const name = params.name ?? params.uri;
    const usual = { 'mcp-protocol-version': MODERN, 'mcp-method': method, ...(typeof name === 'string' ? { 'mcp-name': name } : {}) };
    const kept = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
    return {
        headers: kept({ ...usual, ...headers }),
        body: kept({ jsonrpc: '2.0', ...rest, id, method, params: Array.isArray(params) ? params : { ...params, _meta: kept({ ...meta(), ...more }) } }),
    };
}
const call = (options, args = { a: 1 }, name = 'echo_raw') => request('tools/call', { name, arguments: args }, options);
const region = (headers, value = 'eu-west') => call({ headers }, { region: value }, 'test_x_mcp_header');
const INITIALIZE = { jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'raw', version: '1' } } };

// [what, request, status, code]; no code: a result
const eras = [
    ['a modern claim', call(), 200],
    ['a modern claim, initialize', request('initialize', {}), 404, -32601],
    ['a modern claim, newer than we know', call({ meta: { [VERSION]: '2027-01-01' }, headers: { 'mcp-protocol-version': '2027-01-01' } }), 400, -32022],
    ['a legacy claim', call({ meta: { [VERSION]: '2025-11-25' }, headers: { 'mcp-protocol-version': '2025-11-25' } }), 400, -32022],
    ['a legacy claim, initialize', { headers: {}, body: { ...INITIALIZE, params: { ...INITIALIZE.params, _meta: { [VERSION]: '2025-11-25' } } } }, 200],
    ['a claim that is a number', call({ meta: { [VERSION]: 20260728 } }), 400, -32602],
    ['a claim that is null', call({ meta: { [VERSION]: null } }), 400, -32602],
    ['initialize', { headers: {}, body: INITIALIZE }, 200],
    ['initialize with a modern header', { headers: { 'mcp-protocol-version': MODERN }, body: INITIALIZE }, 400, -32020],
    ['no claim, modern header', call({ meta: { [VERSION]: undefined } }), 400, -32602],
    ['no _meta at all, modern header', { ...call(), body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } }, 400, -32602],
    ['no capabilities', call({ meta: { [CAPABILITIES]: undefined } }), 400, -32602],
    ['capabilities that are a list', call({ meta: { [CAPABILITIES]: [] } }), 400, -32602],
    ['a client that does not tell its name', call({ meta: { 'io.modelcontextprotocol/clientInfo': undefined } }), 200],
    ['a client whose name is a text', call({ meta: { 'io.modelcontextprotocol/clientInfo': 'me' } }), 400, -32602],
    ['a modern notification', { headers: { 'mcp-protocol-version': MODERN }, body: { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } } }, 202],
    ['a modern request with a session of yesterday', call({ headers: { 'mcp-session-id': 'A'.repeat(43), 'last-event-id': '1-1' } }), 200],
    ['neither claim nor header nor session', { headers: {}, body: { jsonrpc: '2.0', id: 1, method: 'tools/list' } }, 400, -32600],
    ['an answer with a modern header', { headers: { 'mcp-protocol-version': MODERN }, body: { jsonrpc: '2.0', id: 1, result: {} } }, 400, -32600],
    ['a batch with a modern header', { headers: { 'mcp-protocol-version': MODERN }, body: [call().body] }, 400, -32600],
];
for (const method of ['initialize', 'ping', 'logging/setLevel', 'resources/subscribe', 'resources/unsubscribe', 'roots/list', 'tasks/list', 'tasks/result', 'no/such', 'Tools/call'])
    eras.push([`${method}, which modern servers have not`, request(method, {}), 404, -32601]);

const headers = [
    ...['mcp-protocol-version', 'mcp-method', 'mcp-name'].flatMap((name) => [
        // Without the version header nothing but the claim says which era it is.
        [`${name} missing`, call({ headers: { [name]: undefined } }), 400, -32020],
        [`${name} empty`, call({ headers: { [name]: '' } }), 400, -32020],
        [`${name} wrong`, call({ headers: { [name]: 'wrong' } }), 400, -32020],
        [`${name} with blanks around`, call({ headers: { [name]: `  ${{ 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/call', 'mcp-name': 'echo_raw' }[name]}\t ` } }), 200],
    ]),
    ['the version header is of another modern version', call({ headers: { 'mcp-protocol-version': '2027-01-01' } }), 400, -32020],
    ['mcp-method in capitals', call({ headers: { 'mcp-method': 'Tools/Call' } }), 400, -32020],
    ['mcp-name in capitals', call({ headers: { 'mcp-name': 'ECHO_RAW' } }), 400, -32020],
    ['mcp-name with the prefix of the other endpoint', call({ headers: { 'mcp-name': 'bed__echo_raw' } }), 400, -32020],
    ['mcp-name in base64', call({ headers: { 'mcp-name': b64('echo_raw') } }), 200],
    ['mcp-name in base64, wrong', call({ headers: { 'mcp-name': b64('echo_ram') } }), 400, -32020],
    ['mcp-name in base64 of an odd length without padding', call({ headers: { 'mcp-name': '=?base64?ZWNob19yYXc?=' } }), 400, -32020],
    ['mcp-name in base64 with too much padding', call({ headers: { 'mcp-name': '=?base64?ZWNob19yYXc==?=' } }), 400, -32020],
    ['mcp-name in base64 with bits left over', call({ headers: { 'mcp-name': '=?base64?ZWNob19yYXd=?=' } }), 400, -32020],
    ['mcp-name in base64 for addresses', call({ headers: { 'mcp-name': '=?base64?ZWNo_19yYXc=?=' } }), 400, -32020],
    ['mcp-name in base64 with a blank', call({ headers: { 'mcp-name': '=?base64?ZWNo b19yYXc=?=' } }), 400, -32020],
    ['mcp-name in base64 that is no UTF-8', call({ headers: { 'mcp-name': '=?base64?/w==?=' } }), 400, -32020],
    ['mcp-name with the wrapper in capitals, which is literal', call({ headers: { 'mcp-name': `=?BASE64?${b64('echo_raw').slice(9)}` } }), 400, -32020],
    ['mcp-name with the wrapper cut, which is literal', call({ headers: { 'mcp-name': b64('echo_raw').slice(0, -1) } }), 400, -32020],
    ['a uri in mcp-name', request('resources/read', { uri: 'test://static-text' }), 200],
    ['a uri in mcp-name, wrong', request('resources/read', { uri: 'test://static-text' }, { headers: { 'mcp-name': 'test://static-texT' } }), 400, -32020],
    ['a prompt in mcp-name', request('prompts/get', { name: 'test_simple_prompt' }), 200],
    ['a prompt not in mcp-name', request('prompts/get', { name: 'test_simple_prompt' }, { headers: { 'mcp-name': undefined } }), 400, -32020],
    ['mcp-name where nothing has a name', request('tools/list', {}, { headers: { 'mcp-name': 'anything' } }), 200],
    ['a parameter in its header', region({ 'mcp-param-region': 'eu-west' }), 200],
    ['a parameter in its header, name in capitals', region({ 'MCP-PARAM-REGION': 'eu-west' }), 200],
    ['a parameter not in its header', region({}), 400, -32020],
    ['a parameter and another one in its header', region({ 'mcp-param-region': 'us-east' }), 400, -32020],
    ['a parameter in capitals in its header', region({ 'mcp-param-region': 'EU-WEST' }), 400, -32020],
    ['a parameter in base64', region({ 'mcp-param-region': b64('Zürich 東京') }, 'Zürich 東京'), 200],
    ['a parameter that looks like base64, said literally in base64', region({ 'mcp-param-region': b64('=?base64?eHk=?=') }, '=?base64?eHk=?='), 200],
    ['a parameter that looks like base64, said literally', region({ 'mcp-param-region': '=?base64?eHk=?=' }, '=?base64?eHk=?='), 400, -32020],
    ['a parameter in broken base64', region({ 'mcp-param-region': '=?base64?###?=' }), 400, -32020],
    ['a null parameter, its header ignored', region({ 'mcp-param-region': 'eu-west' }, null), 200],
    ['a header for a parameter that is not declared', call({ headers: { 'mcp-param-a': '2' } }), 200],
    ['a log level', call({ meta: { 'io.modelcontextprotocol/logLevel': 'warning' } }), 200],
    ['a log level that is none', call({ meta: { 'io.modelcontextprotocol/logLevel': 'loud' } }), 200, -32602],
    ['a log level in capitals', call({ meta: { 'io.modelcontextprotocol/logLevel': 'INFO' } }), 200, -32602],
];

const refusals = [
    ['an unknown tool', call({}, {}, 'no_such_tool'), 200, -32602],
    ['an unknown prompt', request('prompts/get', { name: 'no_such_prompt' }), 200, -32602],
    ['a name that is a number', request('tools/call', { name: 7 }), 200, -32602],
    ['no name', request('tools/call', {}), 200, -32602],
    ['arguments that are a list', call({}, [1]), 200, -32602],
    ['a cursor that is none of ours', request('tools/list', { cursor: 'xyz' }), 200, -32602],
    ['an empty cursor', request('tools/list', { cursor: '' }), 200, -32602],
    ['a cursor that is a number', request('tools/list', { cursor: 7 }), 200, -32602],
    ['a listen without notifications', request('subscriptions/listen', {}), 200, -32602],
    ['an id that is null', call({ id: null }), 400, -32600],
    ['an id with a fraction', call({ id: 1.5 }), 400, -32600],
    ['an id that is a list', call({ id: [1] }), 400, -32600],
    ['an id that is true', call({ id: true }), 400, -32600],
    ['an id of 129 bytes', call({ id: 'i'.repeat(129) }), 400, -31413],
    ['JSON-RPC 1.0', call({ jsonrpc: '1.0' }), 400, -32600],
    ['no JSON-RPC at all', call({ jsonrpc: undefined }), 400, -32600],
    ['a body that is no JSON', { headers: call().headers, body: '{"jsonrpc":' }, 400, -32700],
    ['an empty body', { headers: call().headers, body: '' }, 400, -32700],
    ['a body with a byte order mark', { headers: call().headers, body: `\ufeff${JSON.stringify(call().body)}` }, 400, -32700],
    ['a body with a comment', { headers: call().headers, body: `${JSON.stringify(call().body)}//` }, 400, -32700],
    ['a body that is a number', { headers: call().headers, body: '7' }, 400, -32600],
    ['the same key twice', { headers: call().headers, body: JSON.stringify(call().body).replace('{"a":1}', '{"a":1,"a":2}') }, 400, -32600],
    ['the same key twice, once with an escape', { headers: call().headers, body: JSON.stringify(call().body).replace('{"a":1}', '{"a":1,"\\u0061":2}') }, 400, -32600],
    ['65 levels', { headers: call().headers, body: JSON.stringify(call().body).replace('{"a":1}', `{"a":${'['.repeat(65)}${']'.repeat(65)}}`) }, 400, -31413],
    ['4,097 keys in one object', call({}, Object.fromEntries(Array.from({ length: 4097 }, (_, n) => [`k${n}`, n]))), 400, -31413],
];

describe('the ladder', () => {
    const life = lasting();
    let hub;
    before(async () => { hub = await hub_with_bed(life, 'modern'); });
    after(() => life.end());
    const calls = () => hub.journal().filter((row) => row.event === 'call').length;

    for (const [group, table] of Object.entries({ era: eras, header: headers, refusal: refusals }))
        for (const [what, { headers: given, body }, status, code] of table)
            test(`${group}: ${what}: ${status}${code ? ` ${code}` : ''}`, async () => {
                const before = calls();
                const answer = await send(hub, { path: PATH, headers: given, body });
                assert.deepEqual([answer.status, answer.json?.error?.code], [status, code], answer.text);
                if (code === undefined) return;
                assert.equal(calls(), before, 'it reached the server');
                // The id comes back in its own form, or not at all: never as null.
                assert.ok(answer.json.id === body.id || !Object.hasOwn(answer.json, 'id'), answer.text);
                assert.notEqual(answer.json.id, null);
            });

    test('an unsupported version is told what is served, and nothing older', async () => {
        const { json } = await send(hub, { path: PATH, ...call({ meta: { [VERSION]: '2025-06-18' }, headers: { 'mcp-protocol-version': '2025-06-18' } }) });
        assert.deepEqual(json.error.data, { supported: [MODERN], requested: '2025-06-18' });
        const { json: found } = await send(hub, { path: PATH, ...request('server/discover') });
        assert.deepEqual(found.result.supportedVersions, [MODERN]);
    });

    test('a resource that is not there is an error with its uri, in both eras', async () => {
        const uri = 'test://nothing-here';
        const { status, json } = await send(hub, { path: PATH, ...request('resources/read', { uri }) });
        assert.deepEqual([status, json.error.code, json.error.data.uri], [200, -32602, uri]);
        const client = await legacy(hub, { path: PATH });
        const { error } = await client.call('resources/read', { uri });
        assert.deepEqual([error.code, error.data.uri], [-32002, uri]);
    });

    test('GET and DELETE without a session, or with a modern header, are 405', async () => {
        const client = await legacy(hub, { path: PATH });
        for (const method of ['GET', 'DELETE'])
            for (const given of [{}, { 'mcp-protocol-version': MODERN }, { 'mcp-protocol-version': MODERN, 'mcp-session-id': client.session }]) {
                const { status, headers: got } = await send(hub, { method, path: PATH, headers: { accept: 'text/event-stream', ...given } });
                assert.deepEqual([status, got.get('allow')], [405, 'POST'], `${method} ${JSON.stringify(given)}`);
            }
        assert.deepEqual((await client.call('ping')).result, {});
    });

    test('legacy refusals leave HTTP 200', async () => {
        const client = await legacy(hub, { path: PATH });
        for (const [method, params, code] of [
            ['no/such', {}, -32601], ['server/discover', {}, -32601], ['subscriptions/listen', { notifications: {} }, -32601],
            ['tools/call', { name: 'no_such' }, -32602], ['prompts/get', { name: 'no_such' }, -32602], ['tools/list', { cursor: 'x' }, -32602],
            ['logging/setLevel', { level: 'loud' }, -32602], ['tools/list', [], -32602],
        ]) {
            const response = await client.ask(method, params);
            assert.deepEqual([response.status, (await response.json()).error.code], [200, code], method);
        }
    });

    test('a header of ours that comes twice is a mismatch', async (t) => {
        const { headers: given, body } = call();
        for (const name of Object.keys(given)) {
            const line = await wire(t, hub), text = JSON.stringify(body);
            const lines = [...Object.entries(given), [name, given[name]]].map(([key, value]) => `${key}: ${value}\r\n`).join('');
            line.say(`POST ${PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n${lines}\r\n${text}`);
            const reply = await line.reply();
            assert.deepEqual([reply.status, JSON.parse(reply.text).error.code], [400, -32020], name);
        }
    });

    test('a body in many lines is the same body', async () => {
        const { headers: given, body } = call();
        const { status, json } = await send(hub, { path: PATH, headers: given, body: JSON.stringify(body, null, '\r\n\t') });
        assert.deepEqual([status, JSON.parse(json.result.content[0].text)], [200, { a: 1 }]);
    });
});
