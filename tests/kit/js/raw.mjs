// raw -- MCP over plain fetch, for tests that must choose ids, headers and bytes themselves.
import assert from 'node:assert/strict';

export const MODERN = '2026-07-28';
const accept = 'application/json, text/event-stream';

export const meta = (capabilities = {}) => ({
    'io.modelcontextprotocol/protocolVersion': MODERN,
    'io.modelcontextprotocol/clientInfo': { name: 'raw', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': capabilities,
});

// The events of an SSE body, as they come.
export async function* events(response) {
    let rest = '';
    for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
        rest += piece;
        for (let end; (end = rest.indexOf('\n\n')) >= 0; rest = rest.slice(end + 2)) {
            const event = { data: '' };
            for (const line of rest.slice(0, end).split('\n')) {
                const at = line.indexOf(':');
                if (at > 0) event[line.slice(0, at)] = (line.slice(0, at) === 'data' ? event.data : '') + line.slice(at + 1).replace(/^ /, '');
            }
            if (event.data !== '' || event.id) yield event;
        }
    }
}

// All messages of an answer, JSON or SSE, the last one being the result.
export async function messages(response) {
    if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
        const text = await response.text();
        return text ? [JSON.parse(text)] : [];
    }
    const all = [];
    for await (const event of events(response)) if (event.data) all.push(JSON.parse(event.data));
    return all;
}

export function modern(hub, path = '/mcp') {
    return {
        async post(method, params = {}, { id = 1, headers = {}, signal, capabilities } = {}) {
            const name = params.name ?? params.uri;
            return fetch(hub.url + path, {
                method: 'POST',
                signal,
                headers: {
                    accept, 'content-type': 'application/json', 'mcp-protocol-version': MODERN, 'mcp-method': method,
                    ...(name === undefined ? {} : { 'mcp-name': name }), ...headers,
                },
                body: JSON.stringify({ jsonrpc: '2.0', id, method, params: { ...params, _meta: { ...meta(capabilities), ...params._meta } } }),
            });
        },
        async call(method, params, options) {
            return (await messages(await this.post(method, params, options))).at(-1);
        },
    };
}

export async function legacy(hub, { path = '/mcp', version = '2025-11-25', capabilities = {} } = {}) {
    const send = (body, { signal, session, headers = {} } = {}) =>
        fetch(hub.url + path, {
            method: 'POST',
            signal,
            headers: {
                accept, 'content-type': 'application/json',
                ...(session ? { 'mcp-session-id': session, 'mcp-protocol-version': version } : {}), ...headers,
            },
            body: typeof body === 'string' ? body : JSON.stringify(body),
        });
    const hello = await send({ jsonrpc: '2.0', id: 0, method: 'initialize', params: { protocolVersion: version, capabilities, clientInfo: { name: 'raw', version: '1' } } });
    assert.equal(hello.status, 200);
    const session = hello.headers.get('mcp-session-id');
    const initialized = (await messages(hello)).at(-1).result;
    const client = {
        session, initialized,
        post: (body, options) => send(body, { session, ...options }),
        call: async (method, params, id = 1) => (await messages(await client.post({ jsonrpc: '2.0', id, method, params }))).at(-1),
        notify: (method, params) => client.post({ jsonrpc: '2.0', method, params }),
        get: (headers = {}, signal) => fetch(hub.url + path, { signal, headers: { accept: 'text/event-stream', 'mcp-session-id': session, 'mcp-protocol-version': version, ...headers } }),
        end: () => fetch(hub.url + path, { method: 'DELETE', headers: { 'mcp-session-id': session, 'mcp-protocol-version': version } }),
    };
    assert.equal((await client.notify('notifications/initialized')).status, 202);
    return client;
}
