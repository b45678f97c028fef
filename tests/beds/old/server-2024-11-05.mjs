#!/usr/bin/env node
// server-2024-11-05 -- a stdio MCP server of the first revision, written without an SDK, as many still are.
//
// Knows one version and answers it whatever is asked; ends on anything but `initialize` as the first message
// (some SDKs do); has no annotations, titles, output schemas or completions; pages its tools two by two.
import process from 'node:process';
import { createInterface } from 'node:readline';

const VERSION = '2024-11-05';
const PAGE = 2;

const object = (properties) => ({ type: 'object', properties, required: Object.keys(properties) });
const text = (words) => ({ content: [{ type: 'text', text: words }] });

const TOOLS = {
    echo: {
        description: 'Says it again',
        schema: object({ words: { type: 'string' } }),
        run: ({ words }) => text(words),
    },
    add: {
        description: 'Adds two numbers',
        schema: object({ a: { type: 'number' }, b: { type: 'number' } }),
        run: ({ a, b }) => text(String(a + b)),
    },
    fail: {
        description: 'Always fails',
        schema: object({}),
        run: () => ({ ...text('failed as asked'), isError: true }),
    },
};

const NOTE = { uri: 'old://note', name: 'note', mimeType: 'text/plain' };

class Fault extends Error {
    constructor(code, message) {
        super(message);
        this.code = code;
    }
}

function list_tools({ cursor } = {}) {
    const from = cursor === undefined ? 0 : Number(cursor);
    const rows = Object.entries(TOOLS).slice(from, from + PAGE);
    const tools = rows.map(([name, { description, schema }]) => ({ name, description, inputSchema: schema }));
    return from + PAGE < Object.keys(TOOLS).length ? { tools, nextCursor: String(from + PAGE) } : { tools };
}

function call_tool({ name, arguments: args = {} }) {
    if (!Object.hasOwn(TOOLS, name)) {
        throw new Fault(-32602, `Unknown tool: ${name}`);
    }
    return TOOLS[name].run(args);
}

function read_resource({ uri }) {
    if (uri !== NOTE.uri) {
        throw new Fault(-32002, `Resource not found: ${uri}`);
    }
    return { contents: [{ uri, mimeType: NOTE.mimeType, text: 'An old note.' }] };
}

const METHODS = {
    ping: () => ({}),
    'tools/list': list_tools,
    'tools/call': call_tool,
    'resources/list': () => ({ resources: [NOTE] }),
    'resources/read': read_resource,
    'prompts/list': () => ({ prompts: [{ name: 'greet', arguments: [{ name: 'who', required: true }] }] }),
    'prompts/get': ({ arguments: args }) => ({
        messages: [{ role: 'user', content: { type: 'text', text: `Greet ${args.who}.` } }],
    }),
};

const say = (message) => process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);

function answer({ id, method, params }) {
    try {
        if (!Object.hasOwn(METHODS, method)) {
            throw new Fault(-32601, `Method not found: ${method}`);
        }
        say({ id, result: METHODS[method](params) });
    } catch (error) {
        say({ id, error: { code: error.code ?? -32603, message: error.message } });
    }
}

function first(message) {
    if (message.method !== 'initialize') {
        process.stderr.write(`first message is '${message.method}', not 'initialize'\n`);
        process.exit(1);
    }
    say({
        id: message.id,
        result: {
            protocolVersion: VERSION,
            capabilities: { tools: {}, resources: {}, prompts: {} },
            serverInfo: { name: 'old', version: '0.1' },
        },
    });
}

let began = false; // the one thing this server remembers
createInterface({ input: process.stdin }).on('line', (line) => {
    const message = JSON.parse(line);
    if (!began) {
        first(message);
        began = true;
    } else if (message.id !== undefined) {
        answer(message);
    }
});
