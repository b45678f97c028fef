// Lists come from the hub: with dead and slow servers, right after a restart, and changes are told to both eras.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { ToolListChangedNotificationSchema, ResourceUpdatedNotificationSchema } from '@modelcontextprotocol/sdk/types.js';

import { legacy_client } from '../../kit/js/clients.mjs';
import { events, legacy, modern } from '../../kit/js/raw.mjs';
import { servers, start_hub } from '../../kit/js/hub.mjs';
import { until } from '../../kit/js/until.mjs';

const tool_names = async (client) => (await client.call('tools/list', {})).result.tools.map((tool) => tool.name);

test('lists answer at once beside a dead and a slow server', async (t) => {
    const hub = await start_hub(t, {
        wait: false,
        servers: {
            dead: { command: '/nonexistent/server', args: [] },
            slow: servers.fixture('modern', { BED_START_MS: '20000' }),
            good: servers.fixture('modern'),
        },
    });
    await hub.ready('good');
    const began = performance.now();
    const names = await tool_names(modern(hub));
    assert.ok(performance.now() - began < 1000); // a bound against waiting for a server, not a measure of speed
    assert.ok(names.every((name) => name.startsWith('good__')), String(names));
    const dead = await until('the dead server to be given up', async () => {
        const server = await hub.server('dead');
        return ['lost', 'quarantined'].includes(server.state) && server;
    });
    assert.match(dead.reason, /nonexistent/);
    const call = await modern(hub).call('tools/call', { name: 'good__echo_raw', arguments: { a: 1 } });
    assert.deepEqual(JSON.parse(call.result.content[0].text), { a: 1 });
});

test('the catalogue survives a restart with every server gone', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tl-keep-'));
    const bed = servers.fixture('modern');
    const first = await start_hub(t, { folder, servers: { bed } });
    const names = await tool_names(modern(first));
    assert.ok(names.length > 10);
    await first.stop();
    // The same definition, but its program cannot be started any more.
    const second = await start_hub(t, { folder, wait: false, servers: { bed }, env: { PATH: '/nonexistent' } });
    t.after(() => rmSync(folder, { recursive: true, force: true })); // after the hub: its end writes there
    assert.deepEqual(await tool_names(modern(second)), names);
});

test('list_changed reaches clients of both eras, and the new list is there', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('modern') } });
    const stop = new AbortController();
    t.after(() => stop.abort());
    let told = 0;
    await legacy_client(t, hub, { prepare: (c) => c.setNotificationHandler(ToolListChangedNotificationSchema, () => { told++; }) });
    const listen = await modern(hub).post('subscriptions/listen', { notifications: { toolsListChanged: true } }, { id: 'ear', signal: stop.signal });
    const frames = [];
    (async () => { for await (const event of events(listen)) if (event.data) frames.push(JSON.parse(event.data)); })().catch(() => {});
    await until('the acknowledgement', () => frames.some((frame) => frame.method === 'notifications/subscriptions/acknowledged'));
    assert.deepEqual(frames[0].params.notifications, { toolsListChanged: true });
    await modern(hub).call('tools/call', { name: 'bed__set_list', arguments: { n: 3 } });
    const change = await until('the change on the listen stream', () => frames.find((frame) => frame.method === 'notifications/tools/list_changed'));
    assert.equal(change.params._meta['io.modelcontextprotocol/subscriptionId'], 'ear');
    await until('the change at the legacy client', () => told > 0);
    await until('the new list', async () => (await tool_names(modern(hub))).includes('bed__extra_2'));
});

for (const era of ['legacy', 'modern']) {
    test(`updated goes to those who subscribed, and to nobody else (${era} server)`, async (t) => {
        const hub = await start_hub(t, { servers: { bed: servers.fixture(era) } });
        const heard = { one: 0, two: 0, none: 0 };
        const client = (name) => legacy_client(t, hub, { prepare: (c) => c.setNotificationHandler(ResourceUpdatedNotificationSchema, () => { heard[name]++; }) });
        const [one, two] = [await client('one'), await client('two')];
        await client('none');
        await one.subscribeResource({ uri: 'test://watched-resource' });
        await two.subscribeResource({ uri: 'test://watched-resource' });
        await modern(hub).call('tools/call', { name: 'bed__touch', arguments: {} });
        await until('both to hear', () => heard.one > 0 && heard.two > 0);
        await two.unsubscribeResource({ uri: 'test://watched-resource' });
        const before = heard.one;
        await modern(hub).call('tools/call', { name: 'bed__touch', arguments: {} });
        await until('the first to hear again', () => heard.one > before);
        assert.equal(heard.two, before);
        assert.equal(heard.none, 0);
    });
}

test('two servers with the same names keep apart, on both endpoints', async (t) => {
    const hub = await start_hub(t, { servers: { left: servers.fixture('modern'), right: servers.fixture('legacy') } });
    const names = await tool_names(modern(hub));
    assert.equal(new Set(names).size, names.length);
    assert.ok(names.includes('left__slow') && names.includes('right__slow'));
    assert.ok((await tool_names(modern(hub, '/mcp/left'))).includes('slow'));
    const uris = (await modern(hub).call('resources/list', {})).result.resources.map((row) => row.uri);
    assert.equal(new Set(uris).size, uris.length, String(uris));
    for (const uri of uris.filter((uri) => uri.endsWith('static-text'))) {
        const read = await modern(hub).call('resources/read', { uri });
        assert.equal(read.result.contents[0].uri, uri);
    }
    assert.equal((await fetch(`${hub.url}/mcp/nobody`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })).status, 404);
    const old = await legacy(hub, { path: '/mcp/right' });
    assert.equal(old.initialized.serverInfo.name, 'trunkline');
});

test('a change is told within half a second, round after round', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('modern') } });
    const stop = new AbortController();
    t.after(() => stop.abort());
    const listen = await modern(hub).post('subscriptions/listen', { notifications: { toolsListChanged: true } }, { id: 1, signal: stop.signal });
    let told = [];
    (async () => { for await (const event of events(listen)) if (event.data.includes('tools/list_changed')) told.push(performance.now()); })().catch(() => {});
    const took = [];
    for (let round = 1; round <= 20; round++) {
        await until('the list to have settled', async () => (await tool_names(modern(hub))).filter((name) => name.includes('extra_')).length === round - 1);
        told = [];
        const began = performance.now();
        await modern(hub).call('tools/call', { name: 'bed__set_list', arguments: { n: round } });
        await until('the change', () => told.length > 0);
        took.push(told[0] - began);
    }
    took.sort((a, b) => a - b);
    assert.ok(took[10] < 500, `half of the changes took longer than ${took[10]} ms`);
});
