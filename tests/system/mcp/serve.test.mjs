// A built-in server alone, before the official SDK clients of both eras: what core/rpc/serve says on stdin and stdout.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';

import { legacy_stdio, modern_stdio, text_of } from '../../kit/js/clients.mjs';
import { TRUNKLINE } from '../../kit/js/hub.mjs';
import { until } from '../../kit/js/until.mjs';

// The server reads its settings from descriptor 3, as the supervisor hands them over.
const start = 'exec "$0" role server workspace 3<"$1"';

function folder(t) {
    const root = mkdtempSync(join(tmpdir(), 'serve-'));
    t.after(() => rmSync(root, { recursive: true, force: true }));
    writeFileSync(join(root, 'hello.txt'), 'hello é\n');
    const settings = join(root, '.settings.json');
    writeFileSync(settings, JSON.stringify({ path: root }));
    return { root, args: ['-c', start, TRUNKLINE, settings] };
}

const kinds = {
    legacy: (t, args) => legacy_stdio(t, '/bin/sh', args),
    modern: (t, args) => modern_stdio(t, '/bin/sh', args, { mode: { pin: '2026-07-28' } }),
    auto: (t, args) => modern_stdio(t, '/bin/sh', args, { mode: 'auto' }),
};

for (const [kind, connect] of Object.entries(kinds)) {
    test(`${kind}: an SDK client lists, calls and reads`, async (t) => {
        const bed = folder(t);
        const client = await connect(t, bed.args);
        assert.equal(client.getServerVersion().name, 'workspace');
        const { tools } = await client.listTools();
        assert.ok(tools.length >= 3);
        assert.ok(tools.every((tool) => tool.annotations.readOnlyHint === true));
        assert.ok(tools.every((tool) => tool.inputSchema.additionalProperties === false));
        const read = await client.callTool({ name: 'read_file', arguments: { path: 'hello.txt' } });
        assert.match(text_of(read), /hello é/);
        const { resourceTemplates } = await client.listResourceTemplates();
        assert.deepEqual(resourceTemplates.map((template) => template.uriTemplate), ['workspace://{id}/files/{+path}']);
        const { contents } = await client.readResource({ uri: 'workspace://main/files/hello.txt' });
        assert.equal(contents[0].text, 'hello é\n');
    });

    test(`${kind}: an SDK client is told what is wrong`, async (t) => {
        const bed = folder(t);
        const client = await connect(t, bed.args);
        const wrong = await client.callTool({ name: 'read_file', arguments: { paht: 'hello.txt' } });
        assert.equal(wrong.isError, true);
        assert.match(text_of(wrong), /^invalid: .*did you mean 'path'/);
        assert.equal(wrong._meta['dev.trunkline/fault'].name, 'invalid');
        await assert.rejects(client.callTool({ name: 'no_such_tool', arguments: {} }), { code: -32602 });
        await assert.rejects(client.readResource({ uri: 'workspace://main/files/none' }), (error) => {
            assert.equal(error.data.uri, 'workspace://main/files/none');
            return [-32602, -32002].includes(error.code);
        });
    });
}

test('modern: a stream hears of a changed file', async (t) => {
    const bed = folder(t);
    const client = await kinds.modern(t, bed.args);
    const uri = 'workspace://main/files/hello.txt';
    const heard = [];
    client.setNotificationHandler('notifications/resources/updated', (note) => heard.push(note.params.uri));
    const stream = await client.listen({ resourceSubscriptions: [uri, 'other://x'] });
    assert.deepEqual(stream.honoredFilter, { resourceSubscriptions: [uri] });
    writeFileSync(join(bed.root, 'hello.txt'), 'changed\n');
    await until('the update', () => heard.includes(uri));
    await stream.close();
});

test('legacy: a subscriber hears of a changed file', async (t) => {
    const bed = folder(t);
    const client = await kinds.legacy(t, bed.args);
    const { ResourceUpdatedNotificationSchema } = await import('@modelcontextprotocol/sdk/types.js');
    const uri = 'workspace://main/files/hello.txt';
    const heard = [];
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, (note) => heard.push(note.params.uri));
    await client.subscribeResource({ uri });
    writeFileSync(join(bed.root, 'hello.txt'), 'changed\n');
    await until('the update', () => heard.includes(uri));
    await assert.rejects(client.subscribeResource({ uri: 'other://x' }), { code: -32002 });
    await client.setLoggingLevel('info').catch((error) => assert.match(error.message, /logging/));
    await client.ping();
});

// Without a client: exact bytes.
function raw(t, bed) {
    const child = spawn('/bin/sh', bed.args, { stdio: ['pipe', 'pipe', 'inherit'] });
    t.after(() => child.kill('SIGKILL'));
    const lines = [];
    createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line)));
    const exit = new Promise((resolve) => child.on('exit', resolve));
    return { child, lines, exit, say: (message) => child.stdin.write(`${JSON.stringify(message)}\n`) };
}

test('both eras are served on one line, and the end of input ends the server', async (t) => {
    const server = raw(t, folder(t));
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
    server.say({ jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: '2025-06-18', capabilities: {}, clientInfo: { name: 'x', version: '1' } } });
    server.say({ jsonrpc: '2.0', id: 'two', method: 'server/discover', params: { _meta: meta } });
    server.say({ jsonrpc: '2.0', id: 3, method: 'subscriptions/listen', params: { notifications: {}, _meta: meta } });
    server.say({ jsonrpc: '2.0', id: 4, method: 'tools/list', params: { _meta: { ...meta, 'io.modelcontextprotocol/protocolVersion': '2027-01-01' } } });
    await until('four messages', () => server.lines.length === 4);
    assert.equal(server.lines[0].result.protocolVersion, '2025-06-18');
    assert.equal(server.lines[0].result.resultType, undefined);
    assert.deepEqual(server.lines[1].result.supportedVersions, ['2026-07-28']);
    assert.equal(server.lines[1].result.resultType, 'complete');
    assert.equal(server.lines[2].params._meta['io.modelcontextprotocol/subscriptionId'], 3);
    assert.deepEqual(server.lines[3].error.data, { supported: ['2026-07-28'], requested: '2027-01-01' });
    server.child.stdin.end();
    assert.equal(await server.exit, 0);
    assert.deepEqual(server.lines[4].result._meta['io.modelcontextprotocol/subscriptionId'], 3);
});
