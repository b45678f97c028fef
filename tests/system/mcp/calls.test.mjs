// One call and its one answer: ids, bytes, progress, cancellation.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { legacy, messages, modern } from '../../kit/js/raw.mjs';
import { servers, start_hub } from '../../kit/js/hub.mjs';
import { until } from '../../kit/js/until.mjs';

const journal = (file) => readFileSync(file, 'utf8').trim().split('\n').filter(Boolean).map((line) => JSON.parse(line));

async function hub_with_bed(t, era, options = {}) {
    const bed = (folder) => ({ bed: servers.fixture(era, { BED_LOG: join(folder, 'bed.log') }) });
    const hub = await start_hub(t, { ...options, servers: bed });
    hub.bed_log = join(hub.folder, 'bed.log');
    return hub;
}

for (const era of ['legacy', 'modern']) {
    test(`32 clients with the same ids get their own answers (${era} server)`, async (t) => {
        const hub = await hub_with_bed(t, era);
        const ids = ['1', 1, 'a'];
        await Promise.all(Array.from({ length: 32 }, async (_, c) => {
            const client = c % 2 ? modern(hub, '/mcp/bed') : await legacy(hub, { path: '/mcp/bed' });
            for (let n = 0; n < 30; n++) {
                const id = ids[n % ids.length];
                const said = { who: c, n };
                const answer = c % 2
                    ? await client.call('tools/call', { name: 'echo_raw', arguments: said }, { id })
                    : await client.call('tools/call', { name: 'echo_raw', arguments: said }, id);
                assert.strictEqual(answer.id, id);
                assert.deepEqual(JSON.parse(answer.result.content[0].text), said);
            }
        }));
    });

    test(`arguments and results keep every byte (${era} server)`, async (t) => {
        const hub = await hub_with_bed(t, era);
        const client = await legacy(hub, { path: '/mcp/bed' });
        const odd = '{"a":1.0,"b":-0,"c":1E+2,"d":9223372036854775808,"e":123456789012345678901234567890,"f":"\\u00e9é","z":1,"y":2}';
        const response = await client.post(`{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo_raw","arguments":${odd}}}`);
        const text = await response.text();
        assert.ok(text.includes(JSON.stringify(odd).slice(1, -1)), text);
    });

    test(`a cancel reaches the server (${era} server)`, async (t) => {
        const hub = await hub_with_bed(t, era);
        const stop = new AbortController();
        const gone = modern(hub, '/mcp/bed').post('tools/call', { name: 'slow', arguments: { ms: 60_000 } }, { signal: stop.signal });
        await until('the call to reach the bed', () => journal(hub.bed_log).some((row) => row.event === 'call'));
        stop.abort();
        await assert.rejects(gone);
        await until('the bed to see the cancel', () => journal(hub.bed_log).some((row) => row.event === 'cancelled'));

        const client = await legacy(hub, { path: '/mcp/bed' });
        const before = journal(hub.bed_log).filter((row) => row.event === 'cancelled').length;
        const calls = journal(hub.bed_log).filter((row) => row.event === 'call').length;
        const drop = new AbortController();
        const held = client.post({ jsonrpc: '2.0', id: 'mine', method: 'tools/call', params: { name: 'slow', arguments: { ms: 60_000 } } }, { signal: drop.signal }).catch(() => {});
        await until('the second call to reach the bed', () => journal(hub.bed_log).filter((row) => row.event === 'call').length > calls);
        assert.equal((await client.notify('notifications/cancelled', { requestId: 'mine' })).status, 202);
        await until('the bed to see the second cancel', () => journal(hub.bed_log).filter((row) => row.event === 'cancelled').length > before);
        drop.abort();
        await held;
    });

    test(`a call past its deadline is told so, and the server is told to stop (${era} server)`, async (t) => {
        const hub = await hub_with_bed(t, era);
        const answer = await modern(hub, '/mcp/bed').call('tools/call', { name: 'slow', arguments: { ms: 60_000 }, _meta: { 'dev.trunkline/timeoutMs': 300 } });
        assert.equal(answer.result.isError, true);
        assert.equal(answer.result._meta['dev.trunkline/fault'].name, 'deadline_exceeded');
        assert.equal(answer.result._meta['dev.trunkline/fault'].code, -31504);
        await until('the bed to see the cancel', () => journal(hub.bed_log).some((row) => row.event === 'cancelled'));
    });
}

test('the last progress frame always comes before the result', async (t) => {
    const hub = await hub_with_bed(t, 'modern');
    const client = modern(hub, '/mcp/bed');
    const rounds = Number(process.env.PROGRESS_ROUNDS ?? 40);
    for (let round = 0; round < rounds; round++) {
        await Promise.all(Array.from({ length: 25 }, async (_, n) => {
            const token = `${round}-${n}`;
            const all = await messages(await client.post('tools/call', { name: 'test_tool_with_progress', arguments: {}, _meta: { progressToken: token } }));
            const frames = all.filter((message) => message.method === 'notifications/progress');
            assert.equal(frames.at(-1).params.progress, 100);
            assert.ok(frames.every((frame) => frame.params.progressToken === token));
            assert.ok(all.at(-1).result.content, JSON.stringify(all.at(-1)));
        }));
    }
});

test('a server that answers twice or prints noise harms nobody', async (t) => {
    const hub = await hub_with_bed(t, 'legacy');
    const client = modern(hub, '/mcp/bed');
    await client.call('tools/call', { name: 'noise', arguments: { lines: 20 } });
    await client.call('tools/call', { name: 'twice', arguments: {} });
    const answer = await client.call('tools/call', { name: 'echo_raw', arguments: { still: 'here' } });
    assert.deepEqual(JSON.parse(answer.result.content[0].text), { still: 'here' });
    assert.equal((await hub.server('bed')).state, 'ready');
});

test('a server that dies in mid-call: the outcome is unknown, others go on, it comes back', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('legacy'), other: servers.fixture('modern') } });
    const client = modern(hub);
    const answer = await client.call('tools/call', { name: 'bed__die', arguments: {} });
    assert.equal(answer.result.isError, true);
    assert.equal(answer.result._meta['dev.trunkline/fault'].code, -31599);
    const other = await client.call('tools/call', { name: 'other__echo_raw', arguments: { a: 1 } });
    assert.deepEqual(JSON.parse(other.result.content[0].text), { a: 1 });
    await hub.ready('bed');
    const again = await client.call('tools/call', { name: 'bed__echo_raw', arguments: { b: 2 } });
    assert.deepEqual(JSON.parse(again.result.content[0].text), { b: 2 });
});

test('600 calls at once are more than any store of spare parts holds', async (t) => {
    const hub = await hub_with_bed(t, 'modern', { config: { mcp: { sse_after: '20s' } } });
    const { hub: pid } = hub.roles();
    for (let round = 0; round < 2; round++) {
        const answers = await Promise.all(Array.from({ length: 600 }, (_, n) =>
            modern(hub, '/mcp/bed').call('tools/call', { name: 'slow', arguments: { ms: 1500 } }, { id: n })));
        answers.forEach((answer, n) => assert.equal(answer.id, n));
    }
    assert.equal(hub.roles().hub, pid);
});

test('the log names a call that went wrong, with the trace of its caller', async (t) => {
    const hub = await hub_with_bed(t, 'modern');
    const trace = '0af7651916cd43dd8448eb211c80319c';
    await modern(hub, '/mcp/bed').call('tools/call', { name: 'slow', arguments: { ms: 60_000 }, _meta: { 'dev.trunkline/timeoutMs': 200 } }, { headers: { traceparent: `00-${trace}-b7ad6b7169203331-01` } });
    const line = await until('the line', () => hub.log().split('\n').find((row) => row.includes('"call.ended"') && row.endsWith('}')));
    const said = JSON.parse(line);
    assert.equal(said.trace, trace);
    assert.match(said.call, /^call_/);
    assert.deepEqual([said.server, said.tool, said.outcome, said.principal], ['bed', 'slow', 'timeout', 'loopback']);
});
