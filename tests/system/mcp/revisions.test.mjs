// Servers of every legacy revision behind clients of both eras, and clients of every revision before new servers.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { clients, modern_client, text_of } from '../../kit/js/clients.mjs';
import { hear, legacy, modern } from '../../kit/js/raw.mjs';
import { lasting, servers, start_hub } from '../../kit/js/hub.mjs';

const REVISIONS = ['2024-10-07', '2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'];
const FIXTURES = { v2024: '2024-11-05', v2503: '2025-03-26', v2506: '2025-06-18', v2511: '2025-11-25' };

describe('revisions', () => {
    const life = lasting();
    let hub;
    before(async () => {
        hub = await start_hub(life, {
            servers: {
                old: servers.old(), everything: servers.everything(), modern: servers.fixture('modern'),
                ...Object.fromEntries(Object.entries(FIXTURES).map(([name, version]) => [name, servers.fixture('legacy', { BED_VERSIONS: version })])),
            },
        });
    });
    after(() => life.end());

    test('each server is known by the revision it speaks', async () => {
        const seen = await Promise.all(['old', ...Object.keys(FIXTURES), 'modern'].map(async (name) => (await hub.server(name)).revision));
        assert.deepEqual(seen, ['2024-11-05', ...Object.values(FIXTURES), '2026-07-28']);
    });

    for (const era of ['legacy', 'modern']) {
        test(`a server of 2024-11-05 that ends on any other first message serves a ${era} client`, async (t) => {
            const client = await clients[era](t, hub, { path: '/mcp/old' });
            assert.deepEqual((await client.listTools()).tools.map((tool) => tool.name), ['echo', 'add', 'fail'], 'all pages');
            assert.equal(text_of(await client.callTool({ name: 'echo', arguments: { words: 'grüß dich' } })), 'grüß dich');
            assert.equal(text_of(await client.callTool({ name: 'add', arguments: { a: 40, b: 2 } })), '42');
            const failed = await client.callTool({ name: 'fail', arguments: {} });
            assert.deepEqual([failed.isError, text_of(failed)], [true, 'failed as asked']);
            assert.equal((await client.readResource({ uri: 'old://note' })).contents[0].text, 'An old note.');
            const prompt = await client.getPrompt({ name: 'greet', arguments: { who: 'Ada' } });
            assert.equal(prompt.messages[0].content.text, 'Greet Ada.');
            await assert.rejects(client.readResource({ uri: 'old://nothing' }), (error) => {
                assert.deepEqual([error.code, error.data?.uri], [era === 'legacy' ? -32002 : -32602, 'old://nothing']);
                return true;
            });
        });

        for (const [name, version] of Object.entries(FIXTURES))
            test(`a server of ${version} serves a ${era} client, progress and subscriptions included`, async (t) => {
                const client = await clients[era](t, hub, { path: `/mcp/${name}` });
                assert.equal(text_of(await client.callTool({ name: 'test_simple_text', arguments: {} })), 'This is a simple text response for testing.');
                const seen = [];
                const onprogress = ({ progress }) => seen.push(progress);
                await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, ...(era === 'legacy' ? [undefined, { onprogress }] : [{ onprogress }]));
                assert.deepEqual(seen, [0, 50, 100]);
                const done = await client.complete({ ref: { type: 'ref/prompt', name: 'test_prompt_with_arguments' }, argument: { name: 'arg1', value: '' } });
                assert.ok(Array.isArray(done.completion.values));
                const [template] = (await client.listResourceTemplates()).resourceTemplates;
                assert.equal(template.uriTemplate, 'test://template/{id}/data');
                const read = await client.readResource({ uri: 'test://template/7/data' });
                assert.equal(JSON.parse(read.contents[0].text).id, '7');
            });

        test(`through the one endpoint a ${era} client has all of them`, async (t) => {
            const client = await clients[era](t, hub);
            const said = await Promise.all(Object.keys(FIXTURES).map(async (name) => text_of(await client.callTool({ name: `${name}__echo_raw`, arguments: { name } }))));
            assert.deepEqual(said.map((text) => JSON.parse(text).name), Object.keys(FIXTURES));
            assert.equal(text_of(await client.callTool({ name: 'old__add', arguments: { a: 1, b: 2 } })), '3');
        });
    }

    test('a client that looks for itself what the hub speaks finds the newest', async (t) => {
        const client = await modern_client(t, hub, { path: '/mcp/old', mode: 'auto' });
        assert.equal(text_of(await client.callTool({ name: 'echo', arguments: { words: 'x' } })), 'x');
    });

    for (const version of REVISIONS) {
        test(`a client of ${version} gets only kinds of content it knows`, async () => {
            const client = await legacy(hub, { version });
            const kinds = async (name, args = {}) => (await client.call('tools/call', { name, arguments: args })).result.content.map((block) => block.type);
            const knows_audio = version >= '2025-03-26', knows_links = version >= '2025-06-18';
            assert.deepEqual(await kinds('modern__test_audio_content'), [knows_audio ? 'audio' : 'text']);
            assert.deepEqual(await kinds('v2511__test_audio_content'), [knows_audio ? 'audio' : 'text']);
            assert.deepEqual(await kinds('modern__test_image_content'), ['image']);
            assert.deepEqual(await kinds('everything__get-resource-links', { count: 2 }), ['text', ...Array(2).fill(knows_links ? 'resource_link' : 'text')]);
        });

        test(`a client of ${version} sees nothing of newer revisions`, async () => {
            const client = await legacy(hub, { version, path: '/mcp/modern' });
            for (const [method, params] of [['tools/list', {}], ['resources/list', {}], ['prompts/list', {}], ['resources/read', { uri: 'test://static-text' }], ['tools/call', { name: 'test_simple_text' }]]) {
                const { result } = await client.call(method, params);
                for (const member of ['resultType', 'ttlMs', 'cacheScope']) assert.ok(!Object.hasOwn(result, member), `${member} in ${method}`);
                assert.ok(!Object.keys(result._meta ?? {}).some((key) => key.startsWith('io.modelcontextprotocol/')), JSON.stringify(result._meta));
            }
        });
    }

    test('what is named in a result is still readable where a link became text', async () => {
        const client = await legacy(hub, { version: '2025-03-26' });
        const { result } = await client.call('tools/call', { name: 'everything__get-resource-links', arguments: { count: 1 } });
        const [uri] = result.content[1].text.match(/[a-z]+:\/\/\S*[\w/]/);
        assert.ok((await client.call('resources/read', { uri })).result.contents.length > 0);
    });

    test('a form is asked in the words of the client\'s revision', async () => {
        for (const [version, mode] of [['2025-06-18', undefined], ['2025-11-25', 'form']])
            for (const name of ['modern', 'v2511']) {
                const client = await legacy(hub, { version, path: `/mcp/${name}`, capabilities: { elicitation: {} } });
                const ear = hear(await client.ask('tools/call', { name: 'test_elicitation', arguments: { message: 'who?' } }, 1));
                const question = await ear.next('the question', (frame) => frame.method === 'elicitation/create');
                assert.equal(question.params.mode, mode, `${version} ${name}`);
                await client.answer(question.id, { action: 'cancel' });
                await ear.ended;
                assert.match(ear.frames.at(-1).result.content[0].text, /action=cancel/);
            }
    });

    test('a client of 2025-03-26 cannot be asked by a form, whatever it declares', async () => {
        const client = await legacy(hub, { version: '2025-03-26', path: '/mcp/modern', capabilities: { elicitation: {} } });
        const { result } = await client.call('tools/call', { name: 'test_elicitation', arguments: { message: 'who?' } });
        assert.equal(result.isError, true);
        assert.match(result.content[0].text, /elicitation/);
    });

    test('to a modern client every result says what it is', async () => {
        for (const name of ['old', 'v2503', 'v2511', 'modern'])
            for (const [method, params] of [['tools/list', {}], ['resources/read', { uri: name === 'old' ? 'old://note' : 'test://static-text' }], ['prompts/list', {}]]) {
                const { result } = await modern(hub, `/mcp/${name}`).call(method, params);
                assert.equal(result.resultType, 'complete', `${method} of ${name}`);
                assert.equal(result.ttlMs >= 0 && ['private', 'public'].includes(result.cacheScope), true, JSON.stringify([result.ttlMs, result.cacheScope]));
            }
    });
});
