import assert from 'node:assert/strict';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';

import { MODERN_META, open_line } from '../line.mjs';

const SERVER = fileURLToPath(new URL('server-2024-11-05.mjs', import.meta.url));

test('the v1 client lists, pages and calls an old server', async (t) => {
    const client = new Client({ name: 'self', version: '1' });
    t.after(() => client.close());
    await client.connect(new StdioClientTransport({ command: process.execPath, args: [SERVER] }));
    const first = await client.listTools();
    const second = await client.listTools({ cursor: first.nextCursor });
    assert.deepEqual(
        [...first.tools, ...second.tools].map((tool) => tool.name),
        ['echo', 'add', 'fail'],
    );
    assert.equal(second.nextCursor, undefined);
    assert.equal((await client.callTool({ name: 'add', arguments: { a: 2, b: 3 } })).content[0].text, '5');
    assert.equal((await client.callTool({ name: 'fail' })).isError, true);
    assert.equal((await client.readResource({ uri: 'old://note' })).contents[0].text, 'An old note.');
    await assert.rejects(client.readResource({ uri: 'old://none' }), { code: -32002 });
});

test('an old server ends on a modern first message', async (t) => {
    const line = open_line(t, [SERVER]);
    line.send({ jsonrpc: '2.0', id: 1, method: 'server/discover', params: { _meta: MODERN_META } });
    assert.equal(await line.exit(), 1);
});
