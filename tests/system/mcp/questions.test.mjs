// Servers ask back: the person, the model, the roots. Clients of both eras, servers of both eras, and the tickets that
// stand for the state of a modern server.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';

import { CreateMessageRequestSchema, ElicitRequestSchema, ListRootsRequestSchema } from '@modelcontextprotocol/sdk/types.js';

import { legacy_client, modern_client, text_of } from '../../kit/js/clients.mjs';
import { fetch_by_socket, hear, legacy, modern } from '../../kit/js/raw.mjs';
import { HOLDS_CLOCK, PATIENT, hub_with_bed, is_alive, lasting, marked, servers, start_hub } from '../../kit/js/hub.mjs';
import { until } from '../../kit/js/until.mjs';

const NEEDS_CLOCK = HOLDS_CLOCK ? false : 'needs a build that lets tests move the clock';
const ASK = 'test_input_required_result_';
const ALL = { elicitation: {}, sampling: {}, roots: {} };
const both = (folder) => Object.fromEntries(['legacy', 'modern'].map((era) => [era, servers.fixture(era, { BED_LOG: join(folder, `${era}.log`) })]));

// A legacy client whose person, model and roots answer as told.
const able = (t, hub, path, { person, model = 'forty-two', roots = ['file:///one'], capabilities = ALL } = {}) =>
    legacy_client(t, hub, {
        path, capabilities,
        prepare: (c) => {
            if (capabilities.elicitation) c.setRequestHandler(ElicitRequestSchema, (request) => person(request.params));
            if (capabilities.sampling) c.setRequestHandler(CreateMessageRequestSchema, () => ({ role: 'assistant', model: 'none', content: { type: 'text', text: model } }));
            if (capabilities.roots) c.setRequestHandler(ListRootsRequestSchema, () => ({ roots: roots.map((uri) => ({ uri })) }));
        },
    });
const accept = (content) => ({ action: 'accept', content });
const called = async (client, name, args = {}) => text_of(await client.callTool({ name, arguments: args }));

describe('a legacy client is asked', () => {
    const life = lasting();
    let hub;
    before(async () => { hub = await start_hub(life, { servers: both }); });
    after(() => life.end());
    const open_calls = async () => (await hub.get('/api/v1/calls')).json.items.filter((call) => call.state !== 'finished').length;
    // By their environment: pids that servers tell are of a namespace of their own.
    const processes = (era) => marked(join(hub.folder, `${era}.log`)).map((process) => process.pid);

    for (const era of ['legacy', 'modern']) {
        const path = `/mcp/${era}`;

        test(`what its person answers reaches the server (${era} server)`, async (t) => {
            for (const answer of [accept({ username: 'ada', email: 'ada@example.com' }), { action: 'decline' }, { action: 'cancel' }]) {
                const asked = [];
                const client = await able(t, hub, path, { person: (params) => { asked.push(params); return answer; } });
                const said = await called(client, 'test_elicitation', { message: 'who are you?' });
                assert.equal(said, `User response: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
                assert.equal(asked.length, 1);
                assert.equal(asked[0].message, 'who are you?');
                assert.deepEqual(asked[0].requestedSchema.required, ['username', 'email']);
            }
        });

        test(`defaults of a form arrive as they are, and what is filled in comes back (${era} server)`, async (t) => {
            let schema;
            const client = await able(t, hub, path, {
                capabilities: { elicitation: { form: { applyDefaults: true } } },
                person: (params) => { schema = params.requestedSchema; return accept({}); },
            });
            const said = await called(client, 'test_elicitation_sep1034_defaults');
            assert.deepEqual(Object.entries(schema.properties).map(([name, { type, default: value }]) => [name, type, value]), [
                ['name', 'string', 'John Doe'], ['age', 'integer', 30], ['score', 'number', 95.5], ['status', 'string', 'active'], ['verified', 'boolean', true],
            ]);
            assert.equal(said, 'Elicitation completed: action=accept, content={"name":"John Doe","age":30,"score":95.5,"status":"active","verified":true}');
        });

        test(`each kind of choice arrives as it is (${era} server)`, async (t) => {
            let schema;
            const client = await able(t, hub, path, { person: (params) => { schema = params.requestedSchema; return accept({ titledMulti: ['value1', 'value3'] }); } });
            assert.match(await called(client, 'test_elicitation_sep1330_enums'), /\{"titledMulti":\["value1","value3"\]\}$/);
            const { untitledSingle, titledSingle, legacyEnum, untitledMulti, titledMulti } = schema.properties;
            assert.deepEqual(untitledSingle.enum, ['option1', 'option2', 'option3']);
            assert.deepEqual(titledSingle.oneOf[1], { const: 'value2', title: 'Second Option' });
            assert.deepEqual(legacyEnum.enumNames, ['Option One', 'Option Two', 'Option Three']);
            assert.deepEqual([untitledMulti.minItems, untitledMulti.items.enum.length], [1, 3]);
            assert.deepEqual(titledMulti.items.anyOf[2], { const: 'value3', title: 'Third Choice' });
        });

        test(`its model and its roots are asked (${era} server)`, async (t) => {
            const client = await able(t, hub, path, { roots: ['file:///home/ada', 'file:///srv'] });
            assert.equal(await called(client, 'test_sampling', { prompt: 'the question' }), 'LLM response: forty-two');
            assert.equal(await called(client, `${ASK}list_roots`), 'Roots: file:///home/ada, file:///srv');
        });

        test(`three questions at once, and two one after the other (${era} server)`, async (t) => {
            const client = await able(t, hub, path, {
                model: 'Good morning',
                person: ({ requestedSchema: { properties } }) => accept(properties.color ? { color: 'green' } : { name: 'Ada' }),
            });
            assert.equal(await called(client, `${ASK}multiple_inputs`), 'Good morning Ada! Roots: file:///one');
            assert.equal(await called(client, `${ASK}multi_round`), 'done: Ada likes green');
        });

        test(`a client that cannot be asked is told what is missing (${era} server)`, async (t) => {
            const client = await able(t, hub, path, { capabilities: { roots: {} } });
            const result = await client.callTool({ name: 'test_missing_capability', arguments: {} }).catch((error) => error);
            assert.match(result.content ? text_of(result) : result.message, /sampling/i);
            assert.ok(result.isError ?? true);
            assert.equal(await called(client, `${ASK}capabilities`), 'Asked for: roots');
        });

        test(`clients asked at once do not hear each other's questions (${era} server)`, async (t) => {
            await Promise.all(Array.from({ length: 5 }, async (_, n) => {
                const asked = [];
                const client = await able(t, hub, path, { person: ({ message }) => { asked.push(message); return accept({ username: `client ${n}`, email: 'x' }); } });
                for (let round = 0; round < 4; round++)
                    assert.match(await called(client, 'test_elicitation', { message: `${n} ${round}` }), new RegExp(`"client ${n}"`));
                assert.deepEqual(asked, [0, 1, 2, 3].map((round) => `${n} ${round}`));
            }));
        });

        test(`one client asked in many calls at once answers each (${era} server)`, async (t) => {
            const client = await able(t, hub, path, { person: ({ message }) => accept({ username: message, email: 'x' }) });
            const said = await Promise.all(Array.from({ length: 6 }, (_, n) => called(client, 'test_elicitation', { message: `q${n}` })));
            said.forEach((text, n) => assert.match(text, new RegExp(`"q${n}"`)));
        });

        test(`a client that leaves with a question open leaves nothing (${era} server)`, async () => {
            const client = await legacy(hub, { path, capabilities: ALL });
            const before = processes(era);
            const ear = hear(await client.ask('tools/call', { name: 'test_elicitation', arguments: { message: 'still there?' } }, 'left'));
            const question = await ear.next('the question', (frame) => frame.method === 'elicitation/create');
            assert.equal(typeof question.id, 'string');
            assert.equal(await open_calls(), 1);
            assert.equal(processes(era).some((pid) => !before.includes(pid)), era === 'legacy');
            assert.equal((await client.end()).status, 204);
            await ear.ended;
            await until('the call to be gone', async () => await open_calls() === 0);
            await until('its process to be gone', () => processes(era).every((pid) => before.includes(pid)));
        });

        test(`a question is answered once; another's session cannot answer it (${era} server)`, async () => {
            const client = await legacy(hub, { path, capabilities: ALL }), stranger = await legacy(hub, { path, capabilities: ALL });
            const ear = hear(await client.ask('tools/call', { name: 'test_elicitation', arguments: { message: 'who?' } }, 1));
            const { id } = await ear.next('the question', (frame) => frame.method === 'elicitation/create');
            const answer = (name) => accept({ username: name, email: 'x' });
            assert.equal((await stranger.answer(id, answer('stranger'))).status, 202);
            assert.equal((await client.answer(id, answer('first'))).status, 202);
            assert.equal((await client.answer(id, answer('second'))).status, 202);
            await ear.ended;
            assert.match(ear.frames.at(-1).result.content[0].text, /"first"/);
            assert.ok(!JSON.stringify(ear.frames).includes('requestState'));
            assert.ok(!JSON.stringify(ear.frames).includes('inputRequests'));
        });

        test(`a client that refuses to answer is no accident (${era} server)`, async () => {
            const client = await legacy(hub, { path, capabilities: ALL });
            const ear = hear(await client.ask('tools/call', { name: 'test_elicitation', arguments: { message: 'who?' } }, 1));
            const { id } = await ear.next('the question', (frame) => frame.method === 'elicitation/create');
            assert.equal((await client.post({ jsonrpc: '2.0', id, error: { code: -32603, message: 'not now' } })).status, 202);
            await ear.ended;
            const last = ear.frames.at(-1);
            assert.ok(last.error ?? last.result.isError, JSON.stringify(last));
        });
    }

    test('a client that can be asked has a process of its own, which ends with its session', async () => {
        const [bare, bare2, one, two] = await Promise.all([{}, {}, ALL, ALL].map((capabilities) => legacy(hub, { path: '/mcp/legacy', capabilities })));
        const count = async (client) => (await client.call('tools/call', { name: 'stateful_counter', arguments: {} })).result.structuredContent.count;
        const shared = await count(bare), before = processes('legacy');
        assert.equal(await count(bare2), shared + 1);
        assert.deepEqual(processes('legacy'), before);
        assert.equal(await count(one), 1);
        const [its] = processes('legacy').filter((pid) => !before.includes(pid));
        assert.equal(await count(two), 1);
        assert.equal(await count(one), 2);
        await one.end();
        await until('its process to be gone', () => !is_alive(its));
        assert.equal(await count(two), 2);
        assert.equal(await count(bare), shared + 2);
    });

    test('on the aggregated endpoint people are told who asks', async (t) => {
        for (const era of ['legacy', 'modern']) {
            let message;
            const client = await able(t, hub, '/mcp', { person: (params) => { message = params.message; return { action: 'decline' }; } });
            await called(client, `${era}__test_elicitation`, { message: 'who are you?' });
            assert.equal(message, `[${era}] who are you?`);
        }
    });
});

describe('a modern client is asked by a modern server', () => {
    const life = lasting();
    let hub;
    before(async () => { hub = await hub_with_bed(life, 'modern', { clock: HOLDS_CLOCK, config: PATIENT }); });
    after(() => life.end());
    const NAME = `${ASK}request_state`;
    const YES = { confirm: accept({ ok: true }) };
    const calls = () => hub.calls_of(NAME).length;
    const ask = (more = {}, { path = '/mcp/bed', fetch: by } = {}) => {
        return modern(hub, path, by).call('tools/call', { name: path === '/mcp' ? `bed__${NAME}` : NAME, arguments: {}, ...more }, { capabilities: { elicitation: {} } });
    };
    const ticket = async () => {
        const { result } = await ask();
        assert.equal(result.resultType, 'input_required');
        assert.deepEqual(Object.keys(result.inputRequests), ['confirm']);
        assert.match(result.requestState, /^tl1\.[A-Za-z0-9_-]+$/);
        return result.requestState;
    };
    const retry = (requestState, more = {}, options) => ask({ requestState, inputResponses: YES, ...more }, options);
    const is_refused = async (answer, reason) => {
        const { error } = await answer;
        assert.deepEqual([error?.code, error?.data?.reason], [-32602, reason]);
    };

    test('the SDK client answers by retrying', async (t) => {
        const client = await modern_client(t, hub, {
            path: '/mcp/bed', capabilities: { elicitation: { form: {} } },
            prepare: (c) => c.setRequestHandler('elicitation/create', () => accept({ ok: true })),
        });
        assert.equal(text_of(await client.callTool({ name: NAME, arguments: {} })), 'state-ok: confirmed=true');
    });

    test('a ticket serves once, and the server gets its own state back', async () => {
        const state = await ticket();
        assert.equal((await retry(state)).result.content[0].text, 'state-ok: confirmed=true');
        const before = calls();
        await is_refused(retry(state), 'used');
        await is_refused(retry(state), 'used');
        assert.equal(calls(), before);
    });

    test('of two who play a ticket at once, one wins', async () => {
        const state = await ticket();
        const answers = await Promise.all([retry(state), retry(state), retry(state)]);
        assert.equal(answers.filter((answer) => answer.result?.content?.[0].text.startsWith('state-ok')).length, 1);
        assert.equal(answers.filter((answer) => answer.error?.data?.reason === 'used').length, 2);
    });

    test('an altered ticket is malformed, wherever it was altered', async () => {
        const state = await ticket();
        const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
        const places = Array.from({ length: 60 }, (_, n) => Math.round((n / 59) * (state.length - 1)));
        const before = calls();
        for (const at of new Set(places)) {
            // The next letter of the alphabet differs in the lowest bit or more; at the end that may be a bit nobody needs.
            const other = alphabet[(alphabet.indexOf(state[at]) + 1) % 64] ?? 'x';
            await is_refused(retry(state.slice(0, at) + other + state.slice(at + 1)), 'malformed');
        }
        for (const cut of [0, 3, 4, 5, 40, state.length - 1]) await is_refused(retry(state.slice(0, cut)), 'malformed');
        for (const odd of [`${state}A`, `${state}=`, ` ${state}`, `TL1.${state.slice(4)}`, 7, null, {}, []]) await is_refused(retry(odd), 'malformed');
        assert.equal(calls(), before);
        assert.ok((await retry(state)).result.content, 'the ticket itself is still good');
    });

    test('a ticket is for its own call only', async () => {
        const state = await ticket();
        const before = hub.journal().filter((row) => row.event === 'call').length;
        await is_refused(retry(state, { arguments: { more: 1 } }), 'request');
        await is_refused(retry(state, { name: `${ASK}tampered_state` }), 'request');
        await is_refused(retry(state, {}, { path: '/mcp' }), 'request');
        assert.equal(hub.journal().filter((row) => row.event === 'call').length, before);
        assert.ok((await retry(state)).result.content);
    });

    test('another principal has no such ticket', async (t) => {
        const state = await ticket(), before = calls();
        await is_refused(retry(state, {}, { fetch: fetch_by_socket(t, hub) }), 'malformed');
        assert.equal(calls(), before);
    });

    test('arguments may be written differently, they are the same call', async () => {
        const client = modern(hub, '/mcp/bed');
        const call = (args, more = {}) => client.call('tools/call', { name: NAME, arguments: args, ...more }, { capabilities: { elicitation: {} } });
        const { result } = await call({ a: 1, b: [2] });
        assert.ok((await call({ b: [2], a: 1 }, { requestState: result.requestState, inputResponses: YES })).result.content);
    });

    test('answers that are no objects are refused', async () => {
        const state = await ticket(), before = calls();
        for (const inputResponses of [7, [], 'x', { confirm: 7 }, { confirm: null }]) {
            const { error } = await ask({ requestState: state, inputResponses });
            assert.equal(error?.code, -32602, JSON.stringify(inputResponses));
        }
        assert.equal(calls(), before);
    });

    test('a ticket does not outlive ten minutes', { skip: NEEDS_CLOCK }, async () => {
        const state = await ticket(), good = await ticket(), before = calls();
        hub.move_clock(590_000);
        assert.ok((await retry(good)).result.content);
        hub.move_clock(11_000);
        await is_refused(retry(state), 'expired');
        assert.equal(calls(), before + 1);
    });

    test('after a restart of the hub a new ticket still serves, a used one still does not', async () => {
        const used = await ticket(), fresh = await ticket();
        assert.ok((await retry(used)).result.content);
        const { hub: pid } = hub.roles();
        process.kill(pid, 'SIGKILL');
        await until('another hub', () => hub.roles().hub !== pid);
        await hub.is_up();
        await hub.ready('bed');
        const before = calls();
        await is_refused(retry(used), 'used');
        assert.equal(calls(), before);
        // The server is another process now and knows its own state no more: it asks again, but it was asked.
        assert.ok((await retry(fresh)).result);
        assert.equal(calls(), before + 1);
        await is_refused(retry(fresh), 'used');
    });
});
