// What servers log goes to the one caller it belongs to, at the level that one asked for, and to nobody else.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';

import { legacy_client } from '../../kit/js/clients.mjs';
import { hear, legacy, messages, modern } from '../../kit/js/raw.mjs';
import { lasting, servers, start_hub } from '../../kit/js/hub.mjs';
import { until } from '../../kit/js/until.mjs';

const LOUD = { name: 'test_tool_with_logging', arguments: {} };
const THREE = ['Tool execution started', 'Tool processing data', 'Tool execution completed'];
const both = (folder) => Object.fromEntries(['legacy', 'modern'].map((era) => [era, servers.fixture(era, { BED_LOG: join(folder, `${era}.log`) })]));
const logged = (frames) => frames.filter((frame) => frame.method === 'notifications/message').map((frame) => frame.params.data);

describe('logging', () => {
    const life = lasting();
    let hub;
    before(async () => { hub = await start_hub(life, { servers: both }); });
    after(() => life.end());
    const at = (era) => `/mcp/${era}`;
    const loud = async (client) => messages(await client.ask('tools/call', LOUD, 'loud'));
    const level = async (client, name) => assert.deepEqual((await client.call('logging/setLevel', { level: name })).result, {});
    const asked = async (era, logLevel) =>
        messages(await modern(hub, at(era)).post('tools/call', { ...LOUD, ...(logLevel ? { _meta: { 'io.modelcontextprotocol/logLevel': logLevel } } : {}) }));
    // A call of somebody else that is surely in flight at the server; gives the function that ends it.
    const occupy = async (era) => {
        const other = await legacy(hub, { path: at(era) }), before = hub.calls_of('slow', era).length;
        const held = hear(await other.ask('tools/call', { name: 'slow', arguments: { ms: 60_000 } }, 'held'));
        await until('the other call', () => hub.calls_of('slow', era).length > before);
        return { ear: held, done: async () => { await other.end(); await held.ended; } };
    };

    for (const era of ['legacy', 'modern']) {
        test(`a legacy client hears what its call logs, before the result (${era} server)`, async () => {
            const frames = await loud(await legacy(hub, { path: at(era) }));
            assert.deepEqual(logged(frames), THREE);
            assert.equal(frames.at(-1).id, 'loud');
            assert.ok(frames.at(-1).result.content);
        });

        test(`setLevel holds for its session alone (${era} server)`, async () => {
            const quiet = await legacy(hub, { path: at(era) }), curious = await legacy(hub, { path: at(era) }), silent = await legacy(hub, { path: at(era) });
            await level(quiet, 'warning');
            await level(curious, 'info');
            await level(silent, 'emergency');
            assert.deepEqual(logged(await loud(quiet)), []);
            assert.deepEqual(logged(await loud(curious)), THREE);
            assert.deepEqual(logged(await loud(silent)), []);
            await level(quiet, 'debug');
            assert.deepEqual(logged(await loud(quiet)), THREE);
        });

        test(`a modern client hears it when its request says so (${era} server)`, async () => {
            assert.deepEqual(logged(await asked(era)), []);
            assert.deepEqual(logged(await asked(era, 'info')), THREE);
            assert.deepEqual(logged(await asked(era, 'debug')), THREE);
            assert.deepEqual(logged(await asked(era, 'notice')), []);
        });

        test(`with two calls at the server nobody hears what one of them logs (${era} server)`, async () => {
            const other = await occupy(era);
            assert.deepEqual(logged(await loud(await legacy(hub, { path: at(era) }))), []);
            assert.deepEqual(logged(await asked(era, 'debug')), []);
            assert.deepEqual(logged(other.ear.frames), []);
            await other.done();
            assert.deepEqual(logged(await loud(await legacy(hub, { path: at(era) }))), THREE);
        });

        test(`a GET stream, of the same session or of another, hears nothing of it (${era} server)`, async (t) => {
            const client = await legacy(hub, { path: at(era) }), other = await legacy(hub, { path: at(era) });
            const stop = new AbortController();
            t.after(() => stop.abort());
            const ears = await Promise.all([client, other].map(async (c) => hear(await c.get({}, stop.signal))));
            assert.deepEqual(logged(await loud(client)), THREE);
            await modern(hub, at(era)).call('tools/call', { name: 'set_list', arguments: { n: era === 'legacy' ? 1 : 2 } });
            for (const ear of ears) {
                await ear.next('the change, which came later', (frame) => frame.method === 'notifications/tools/list_changed');
                assert.deepEqual(logged(ear.frames), []);
            }
        });

    }

    test('a client with a process of its own hears it beside other calls', async () => {
        const other = await occupy('legacy');
        const own = await legacy(hub, { path: at('legacy'), capabilities: { elicitation: {} } });
        assert.deepEqual(logged(await loud(own)), THREE);
        await other.done();
    });

    test('the SDK client hears it', async (t) => {
        for (const era of ['legacy', 'modern']) {
            const heard = [];
            const client = await legacy_client(t, hub, { prepare: (c) => c.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => { heard.push(params.data); }) });
            await client.setLoggingLevel('info');
            await client.callTool({ name: `${era}__${LOUD.name}`, arguments: {} });
            assert.deepEqual(heard, THREE);
        }
    });
});

test('one client that wants silence takes nothing from the others of a legacy server', async (t) => {
    const hub = await start_hub(t, { servers: both });
    const path = '/mcp/legacy';
    const silent = await legacy(hub, { path }), other = await legacy(hub, { path });
    const loud = async (client) => logged(await messages(await client.ask('tools/call', LOUD, 1)));
    await silent.call('logging/setLevel', { level: 'emergency' });
    assert.deepEqual(await loud(silent), []);
    assert.deepEqual(await loud(other), THREE, 'one that said nothing hears everything');
    await other.end();
    const asked = await messages(await modern(hub, path).post('tools/call', { ...LOUD, _meta: { 'io.modelcontextprotocol/logLevel': 'info' } }));
    assert.deepEqual(logged(asked), THREE, 'one that asks with its call hears it');
});

test('a client with a process of its own changes its mind', async (t) => {
    const hub = await start_hub(t, { servers: both });
    const client = await legacy(hub, { path: '/mcp/legacy', capabilities: { elicitation: {} } });
    const loud = async () => logged(await messages(await client.ask('tools/call', LOUD, 1)));
    for (const [level, heard] of [['error', []], ['debug', THREE], ['error', []], ['info', THREE]]) {
        await client.call('logging/setLevel', { level });
        assert.deepEqual(await loud(), heard, level);
    }
});
