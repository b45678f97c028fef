// Bad neighbours: whatever one server does, it is the only one that suffers, and the reason can be read.
import assert from 'node:assert/strict';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';

import { clients, text_of } from '../../kit/js/clients.mjs';
import { hear, legacy, messages, modern } from '../../kit/js/raw.mjs';
import { descendants, hub_with_bed, is_alive, lasting, NODE, servers, start_hub } from '../../kit/js/hub.mjs';
import { ANSWERS, odd, REFUSES } from '../../kit/js/odd.mjs';
import { until } from '../../kit/js/until.mjs';

const said = (answer) => answer.result?.content?.[0]?.text;
const fault_of = (answer) => answer.result?._meta?.['dev.trunkline/fault'];

describe('a good server beside bad ones', () => {
    const life = lasting();
    let hub, pid;
    before(async () => {
        hub = await start_hub(life, {
            wait: false,
            servers: {
                good: servers.fixture('modern'), plain: servers.fixture('legacy'),
                dead: { command: '/nonexistent/server', args: [] },
                slow: servers.fixture('modern', { BED_START_MS: '20000' }),
                looping: { command: '/bin/false', args: [] },
                noisy: odd(REFUSES, `for (let n = 0; n < 90; n++) process.stdout.write('noise ' + n + '\\n\\n');`),
                flooding: odd(REFUSES, `for (let n = 0; n < 300; n++) process.stdout.write('noise ' + n + '\\n');`),
                endless: odd(REFUSES, `setImmediate(function more() { process.stdout.write('x'.repeat(1 << 16)) ? setImmediate(more) : process.stdout.once('drain', more); });`),
                deaf: { command: NODE, args: ['-e', 'setInterval(() => {}, 1 << 30)'] }, // timer: its own, so that it lives
                mute: odd(`({ id, method }, say) => { if (method !== 'tools/call') say({ id, error: { code: -32601, message: 'no' } }); }`),
                twice: odd(`({ id, method }, say) => { for (let n = 0; n < 2; n++) ${ANSWERS}; }`),
                stranger: odd(`({ id, method }, say) => { say({ id: 999999, result: {} }); say({ id: String(id), result: {} }); say({ id: null, result: {} }); ${ANSWERS}; }`),
                broken: odd(`({ id, method }, say) => { process.stdout.write('{"jsonrpc":"2.0","id":' + id + ',"result":{\\n'); ${ANSWERS}; }`),
                wrong: odd(`({ id, method }, say) => say(method === 'tools/call' ? { id, result: 7 } : { id, error: 'no' })`),
            },
        });
        await Promise.all(['good', 'plain', 'noisy', 'mute', 'twice', 'stranger', 'broken', 'wrong'].map((name) => hub.ready(name)));
        pid = hub.roles().hub;
    });
    after(() => life.end());
    const call = (name, args = {}, meta) => modern(hub).call('tools/call', { name, arguments: args, ...(meta ? { _meta: meta } : {}) });
    const goes_on = async () => {
        const [a, b] = await Promise.all([call('good__echo_raw', { a: 1 }), call('plain__echo_raw', { b: 2 })]);
        assert.deepEqual([said(a), said(b)], ['{"a":1}', '{"b":2}']);
        assert.equal(hub.roles().hub, pid);
    };

    for (const era of ['legacy', 'modern'])
        test(`the SDK client (${era}) lists and calls as if they were alone`, async (t) => {
            const client = await clients[era](t, hub);
            const names = (await client.listTools()).tools.map((tool) => tool.name);
            assert.ok(names.includes('good__echo_raw') && names.includes('plain__echo_raw'), String(names));
            assert.equal(text_of(await client.callTool({ name: 'good__test_simple_text', arguments: {} })), 'This is a simple text response for testing.');
        });

    test('those that cannot start say why', async () => {
        const dead = await until('the dead one', async () => { const s = await hub.server('dead'); return ['lost', 'quarantined'].includes(s.state) && s; });
        assert.match(dead.reason, /nonexistent/);
        const looping = await until('the crash loop', async () => { const s = await hub.server('looping'); return s.state === 'quarantined' && s; }, 20_000);
        assert.match(looping.reason, /crash loop/);
        const slow = await hub.server('slow');
        assert.ok(!['ready', 'lost'].includes(slow.state), slow.state);
        await goes_on();
    });

    test('a server that prints a little besides is served, and what it printed can be read', async () => {
        assert.equal((await hub.server('noisy')).state, 'ready');
        await goes_on();
    });

    test('a server that floods with noise, or with a line without end, is ended', async () => {
        for (const name of ['flooding', 'endless']) {
            const seen = await until(`${name} to be lost`, async () => { const s = await hub.server(name); return ['lost', 'quarantined'].includes(s.state) && s; }, 20_000);
            assert.ok(seen.reason, name);
        }
        await goes_on();
    });

    test('a server that answers twice, for others, or in ruins answers its callers once', async () => {
        for (const name of ['twice', 'stranger', 'broken']) {
            const all = await messages(await modern(hub).post('tools/call', { name: `${name}__odd`, arguments: {} }));
            assert.equal(all.length, 1);
            assert.equal(said(all[0]), 'odd', name);
            const answers = await Promise.all(Array.from({ length: 20 }, () => call(`${name}__odd`)));
            assert.ok(answers.every((answer) => said(answer) === 'odd'));
            assert.equal((await hub.server(name)).state, 'ready');
        }
        await goes_on();
    });

    test('a server that never answers a call costs its caller the deadline, and nobody else anything', async () => {
        const held = call('mute__odd', {}, { 'dev.trunkline/timeoutMs': 800 });
        await goes_on();
        assert.equal(fault_of(await held).name, 'deadline_exceeded');
    });

    test('a server that does not even read is not called, and says so', async () => {
        const answer = await modern(hub, '/mcp/deaf').call('tools/list', {});
        assert.ok(answer.result?.tools?.length === 0 || answer.error, JSON.stringify(answer));
        assert.notEqual((await hub.server('deaf')).state, 'ready');
        await goes_on();
    });

    test('an answer that is none is told as the fault of that server', async () => {
        const answer = await call('wrong__odd');
        assert.ok(answer.error ?? answer.result.isError, JSON.stringify(answer));
        assert.match(JSON.stringify(answer), /wrong/);
        await goes_on();
    });
});

test('a server that reads nothing while it is called is told apart, and the hub stays light', async (t) => {
    // Reads the handshake and one call, then stops reading for good. timer: its own, so that it lives.
    const deaf = odd(`({ id, method }, say) => { if (method === 'tools/call') { process.stdin.pause(); setInterval(() => {}, 1 << 30); } else say({ id, error: { code: -32601, message: 'no' } }); }`);
    const hub = await start_hub(t, { servers: { deaf, good: servers.fixture('modern') } });
    const client = modern(hub), stop = new AbortController();
    t.after(() => stop.abort());
    const first = client.post('tools/call', { name: 'deaf__odd', arguments: {} }, { signal: stop.signal }).catch(() => {});
    const big = 'x'.repeat(1 << 20);
    const answers = await Promise.all(Array.from({ length: 14 }, () =>
        client.call('tools/call', { name: 'deaf__odd', arguments: { big }, _meta: { 'dev.trunkline/timeoutMs': 1500 } })));
    // What the pipe took may have been read: its outcome is unknown. What comes to the next process may wait in vain.
    const names = answers.map((answer) => fault_of(answer)?.name);
    assert.ok(names.every((name) => ['outcome_unknown', 'server_down', 'deadline_exceeded'].includes(name)), String(names));
    assert.ok(answers.some((answer) => /does not read its input/.test(said(answer))), answers.map(said).join('\n'));
    assert.equal(said(await client.call('tools/call', { name: 'good__echo_raw', arguments: { a: 1 } })), '{"a":1}');
    stop.abort();
    await first;
    await hub.ready('deaf'); // another process, which reads
});

test('kill -9 of the hub in mid-call: the client sees the end, the hub is back, nothing is left', async (t) => {
    const hub = await hub_with_bed(t, 'modern');
    const client = await legacy(hub, { path: '/mcp/bed' });
    const streaming = hear(await client.ask('tools/call', { name: 'slow', arguments: { ms: 60_000 } }, 1));
    const pending = modern(hub, '/mcp/bed').call('tools/call', { name: 'slow', arguments: { ms: 60_000 } });
    pending.catch(() => {});
    await until('both calls', () => hub.calls_of('slow').length === 2);
    const { hub: pid, servers: running } = hub.roles();
    const tree = descendants(pid);
    process.kill(pid, 'SIGKILL');
    await streaming.ended;
    assert.ok(streaming.error, 'the stream broke');
    await assert.rejects(pending);
    await until('another hub', () => hub.roles().hub !== pid);
    await hub.is_up();
    await hub.ready('bed');
    await until('all of the old ones to be gone', () => ![pid, running.bed, ...tree].some(is_alive));
    assert.equal((await client.ask('ping')).status, 404);
    assert.equal(said(await modern(hub, '/mcp/bed').call('tools/call', { name: 'echo_raw', arguments: { a: 1 } })), '{"a":1}');
});

test('a server that dies in mid-call: its callers are told, calls of others go on', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('legacy'), other: servers.fixture('modern') } });
    const client = modern(hub);
    const call = (name, args) => client.call('tools/call', { name, arguments: args });
    const others = Promise.all(Array.from({ length: 20 }, (_, n) => call('other__slow', { ms: 20 * n })));
    const beside = call('bed__slow', { ms: 60_000 });
    for (const answer of [await call('bed__die', {}), await beside])
        assert.deepEqual([fault_of(answer).code, fault_of(answer).name], [-31599, 'outcome_unknown']);
    (await others).forEach((answer, n) => assert.equal(said(answer), `waited ${20 * n} ms`));
    await hub.ready('bed');
    assert.equal(said(await call('bed__echo_raw', { a: 1 })), '{"a":1}');
});
