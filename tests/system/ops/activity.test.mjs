// What agents do is seen by people: finished calls, and resources that change.
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { events, modern } from '../../kit/js/raw.mjs';
import { servers, start_hub } from '../../kit/js/hub.mjs';
import { until } from '../../kit/js/until.mjs';

test('a call made over MCP is in the list of calls when it has ended', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('modern') } });
    await modern(hub).call('tools/call', { name: 'bed__echo_raw', arguments: { a: 1 } });
    await modern(hub).call('tools/call', { name: 'bed__test_error_handling', arguments: {} });
    const { items } = (await hub.get('/api/v1/calls')).json;
    const row = (tool) => items.find((item) => item.tool === tool);
    assert.equal(row('bed__echo_raw').outcome, 'ok');
    assert.equal(row('bed__test_error_handling').outcome, 'tool_error');
    assert.equal(row('bed__echo_raw').via, 'mcp');
});

test('people see a resource change, by the live stream', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('legacy') } });
    const stop = new AbortController();
    t.after(() => stop.abort());
    const told = [];
    const stream = await fetch(`${hub.url}/api/v1/events?topics=${encodeURIComponent('resource:test://watched-resource')}`, {
        headers: { accept: 'text/event-stream' }, signal: stop.signal,
    });
    assert.equal(stream.status, 200);
    (async () => { for await (const event of events(stream)) if (event.data) told.push(JSON.parse(event.data)); })().catch(() => {});
    // The hub hears of changes because somebody watches: the server sends them to subscribers only.
    await until('the change to be told', async () => {
        await modern(hub).call('tools/call', { name: 'bed__touch', arguments: {} });
        return told.some((event) => event.type === 'resource.updated' && event.data.uri === 'test://watched-resource');
    });
});
