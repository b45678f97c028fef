#!/usr/bin/env node
// rename -- a proxy that puts the conformance suite, which knows bare names, on the aggregated /mcp.
//
//   rename.mjs --url http://127.0.0.1:PORT [--prefix bed__] [--reverse]     prints its own port
//
// Adds the prefix to tool and prompt names that go up (bodies and Mcp-Name), strips it from those that come
// down (JSON and event streams). Everything else passes as it is: Host, Origin, other headers, ids, statuses.
// --reverse does the opposite, to stand in for an aggregating hub before a bare server.
import { once } from 'node:events';
import { Agent, createServer, request as http_request } from 'node:http';
import process from 'node:process';
import { Transform } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const NAMED = ['tools/call', 'prompts/get'];
// Of one hop only, or about a body that may change its length here
const OWN_HEADERS = ['connection', 'keep-alive', 'content-length', 'transfer-encoding'];

const adder = (prefix) => (name) => (typeof name === 'string' ? `${prefix}${name}` : name);
const stripper = (prefix) => (name) =>
    typeof name === 'string' && name.startsWith(prefix) ? name.slice(prefix.length) : name;

const with_name = (item, rename) => ({ ...item, name: rename(item.name) });

// One message on its way up, or unchanged the same object
function renamed_request(message, rename) {
    const { method, params } = message ?? {};
    if (NAMED.includes(method) && params?.name !== undefined) {
        return { ...message, params: with_name(params, rename) };
    }
    if (method === 'completion/complete' && params?.ref?.type === 'ref/prompt') {
        return { ...message, params: { ...params, ref: with_name(params.ref, rename) } };
    }
    return message;
}

function renamed_answer(message, rename) {
    const { result } = message ?? {};
    for (const list of ['tools', 'prompts']) {
        if (Array.isArray(result?.[list])) {
            return {
                ...message,
                result: { ...result, [list]: result[list].map((item) => with_name(item, rename)) },
            };
        }
    }
    return message;
}

// Text that is no JSON, or has nothing to rename in it, passes byte for byte: the suite sends bad bodies too.
function renamed_text(text, change, rename) {
    let message;
    try {
        message = JSON.parse(text);
    } catch {
        return text;
    }
    const changed = Array.isArray(message)
        ? message.map((one) => change(one, rename))
        : change(message, rename);
    return changed === message ? text : JSON.stringify(changed);
}

function method_of(text) {
    try {
        return JSON.parse(text)?.method;
    } catch {
        return undefined;
    }
}

// Mcp-Name may be wrapped as =?base64?...?=; a wrapper that does not decode to itself passes as it is.
function renamed_header(value, rename) {
    const [, inner] = /^=\?base64\?(.*)\?=$/.exec(value) ?? [];
    if (inner === undefined) {
        return rename(value);
    }
    const bytes = Buffer.from(inner, 'base64');
    return bytes.toString('base64') === inner
        ? `=?base64?${Buffer.from(rename(bytes.toString('utf8'))).toString('base64')}?=`
        : value;
}

// rawHeaders keep order, case and repetition, which the hub has rules about
function passed_headers(raw, change = (_name, value) => value) {
    const passed = [];
    for (let at = 0; at < raw.length; at += 2) {
        const name = raw[at].toLowerCase();
        if (!OWN_HEADERS.includes(name)) {
            passed.push(raw[at], change(name, raw[at + 1]));
        }
    }
    return passed;
}

function renamed_event(event, rename) {
    const lines = event.split(/\r?\n/);
    const data = lines
        .filter((line) => line.startsWith('data:'))
        .map((line) => line.slice(5).replace(/^ /, ''));
    const text = data.join('\n');
    const changed = renamed_text(text, renamed_answer, rename);
    if (changed === text) {
        return event;
    }
    return [...lines.filter((line) => !line.startsWith('data:')), `data: ${changed}`].join('\n');
}

// Whole events only, each sent on as soon as it is there
function event_stream(rename) {
    let rest = '';
    const decoder = new TextDecoder();
    return new Transform({
        transform(chunk, _encoding, done) {
            rest += decoder.decode(chunk, { stream: true });
            for (let end; (end = /\r?\n\r?\n/.exec(rest)) !== null;) {
                this.push(`${renamed_event(rest.slice(0, end.index), rename)}\n\n`);
                rest = rest.slice(end.index + end[0].length);
            }
            done();
        },
        flush(done) {
            done(null, rest === '' ? undefined : rest);
        },
    });
}

async function text_of(stream) {
    const chunks = [];
    for await (const chunk of stream) {
        chunks.push(chunk);
    }
    return Buffer.concat(chunks).toString('utf8');
}

async function send_down(answer, res, rename) {
    const headers = passed_headers(answer.rawHeaders);
    if ((answer.headers['content-type'] ?? '').includes('text/event-stream')) {
        res.writeHead(answer.statusCode, headers);
        res.flushHeaders();
        answer.pipe(event_stream(rename)).pipe(res);
        return;
    }
    const body = renamed_text(await text_of(answer), renamed_answer, rename);
    res.writeHead(answer.statusCode, [...headers, 'Content-Length', String(Buffer.byteLength(body))]);
    res.end(body);
}

function proxy({ upstream, up, down, agent }) {
    return async (req, res) => {
        const body = await text_of(req);
        const sent = renamed_text(body, renamed_request, up);
        const named = NAMED.includes(method_of(body));
        const headers = passed_headers(req.rawHeaders, (name, value) =>
            named && name === 'mcp-name' ? renamed_header(value, up) : value,
        );
        if (sent !== '' || req.method === 'POST') {
            headers.push('Content-Length', String(Buffer.byteLength(sent)));
        }
        const going = http_request(new URL(req.url, upstream), {
            method: req.method,
            headers,
            setHost: false,
            agent,
        });
        const failed = () => (res.headersSent ? res.destroy() : res.writeHead(502).end());
        going.on('response', (answer) => {
            answer.on('error', failed);
            send_down(answer, res, down).catch(failed);
        });
        going.on('error', failed);
        res.on('close', () => going.destroy()); // a client that leaves is a cancel: it must reach the hub
        going.end(sent);
    };
}

// upstream: base URL without a path; gives {base, close()}
export async function start_rename({ upstream, prefix, reverse = false, port = 0 }) {
    const [up, down] = reverse ? [stripper(prefix), adder(prefix)] : [adder(prefix), stripper(prefix)];
    const agent = new Agent({ keepAlive: true });
    const answer = proxy({ upstream, up, down, agent });
    const server = createServer((req, res) => {
        answer(req, res).catch(() => res.destroy());
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return {
        base: `http://127.0.0.1:${server.address().port}`,
        async close() {
            const closed = once(server, 'close');
            server.close();
            server.closeAllConnections();
            agent.destroy();
            await closed;
        },
    };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
    const { values } = parseArgs({
        options: {
            url: { type: 'string' },
            prefix: { type: 'string', default: 'bed__' },
            reverse: { type: 'boolean', default: false },
        },
    });
    const { base } = await start_rename({
        upstream: values.url,
        prefix: values.prefix,
        reverse: values.reverse,
    });
    process.stdout.write(`${new URL(base).port}\n`);
    for (const signal of ['SIGTERM', 'SIGINT']) {
        process.once(signal, () => process.exit(0));
    }
}
