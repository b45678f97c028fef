// raw -- MCP over plain fetch, for tests that must choose ids, headers and bytes themselves.
import assert from 'node:assert/strict';

import { Agent, fetch as socket_fetch } from 'undici';

import { until } from './until.mjs';

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

// A stream read as it comes: ear.frames grows, ear.next(fits) waits for one, ear.ended for its end.
export function hear(response) {
    const ear = { status: response.status, frames: [], events: [], is_over: false };
    ear.ended = (async () => {
        for await (const event of events(response)) {
            ear.events.push(event);
            if (event.data) ear.frames.push(JSON.parse(event.data));
        }
    })().catch((error) => { ear.error = error; }).finally(() => { ear.is_over = true; });
    ear.next = (what, fits) =>
        until(what, () => {
            const found = ear.frames.find(fits);
            if (!found && ear.is_over) throw new Error(`the stream is over: ${JSON.stringify(ear.frames)}`);
            return found;
        });
    return ear;
}

// Exactly these headers and this body, and what came back: {status, headers, text, json}.
export async function send(hub, { method = 'POST', path = '/mcp', headers = {}, body, fetch: by = fetch } = {}) {
    const response = await by(hub.url + path, {
        method,
        headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), accept, ...headers },
        body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
    });
    if (response.headers.get('content-type')?.startsWith('text/event-stream')) {
        const all = await messages(response);
        return { status: response.status, headers: response.headers, frames: all, json: all.at(-1) };
    }
    const text = await response.text();
    return { status: response.status, headers: response.headers, text, json: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : null };
}

// fetch over the hub's Unix socket: another principal than loopback.
export function fetch_by_socket(t, hub) {
    const dispatcher = new Agent({ connect: { socketPath: hub.socket } });
    t.after(() => dispatcher.destroy());
    return (url, init) => socket_fetch(url, { ...init, dispatcher });
}

export function modern(hub, path = '/mcp', by = fetch) {
    return {
        async post(method, params = {}, { id = 1, headers = {}, signal, capabilities } = {}) {
            const name = params.name ?? params.uri;
            return by(hub.url + path, {
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

export async function legacy(hub, { path = '/mcp', version = '2025-11-25', capabilities = {}, fetch: by = fetch } = {}) {
    const send = (body, { signal, session, headers = {} } = {}) =>
        by(hub.url + path, {
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
        ask: (method, params, id = 1, options) => client.post({ jsonrpc: '2.0', id, method, params }, options),
        answer: (id, result) => client.post({ jsonrpc: '2.0', id, result }),
        get: (headers = {}, signal) => by(hub.url + path, { signal, headers: { accept: 'text/event-stream', 'mcp-session-id': session, 'mcp-protocol-version': version, ...headers } }),
        end: () => by(hub.url + path, { method: 'DELETE', headers: { 'mcp-session-id': session, 'mcp-protocol-version': version } }),
    };
    assert.equal((await client.notify('notifications/initialized')).status, 202);
    return client;
}
