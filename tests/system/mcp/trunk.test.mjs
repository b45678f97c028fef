// The main job: clients of both eras use several real servers through one endpoint, at once.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, after, describe, test } from 'node:test';

import { CreateMessageRequestSchema, ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';

import { clients, legacy_client, modern_client, text_of } from '../../kit/js/clients.mjs';
import { ROOT, servers, start_hub } from '../../kit/js/hub.mjs';

const lasting = () => {
    const undo = [];
    return { after: (fn) => undo.push(fn), end: async () => { for (const fn of undo.reverse()) await fn(); } };
};

describe('one configuration, five servers, both eras', () => {
    const life = lasting();
    let hub, files;
    before(async () => {
        files = mkdtempSync(join(tmpdir(), 'tl-files-'));
        life.after(() => rmSync(files, { recursive: true, force: true }));
        writeFileSync(join(files, 'hello.txt'), 'hello from a file\n');
        hub = await start_hub(life, {
            servers: {
                workspace: servers.workspace(ROOT),
                fs: servers.filesystem(files),
                memory: servers.memory(join(files, 'memory.jsonl')),
                everything: servers.everything(),
                bed: servers.fixture('dual'),
            },
        });
    });
    after(() => life.end());

    for (const era of ['legacy', 'modern']) {
        test(`${era}: every server lists its tools under its own prefix`, async (t) => {
            const client = await clients[era](t, hub);
            const names = (await client.listTools()).tools.map((tool) => tool.name);
            for (const prefix of ['workspace', 'fs', 'memory', 'everything', 'bed'])
                assert.ok(names.some((name) => name.startsWith(`${prefix}__`)), `${prefix} in ${names}`);
            assert.equal(new Set(names).size, names.length);
        });

        test(`${era}: calls reach the server that is meant`, async (t) => {
            const client = await clients[era](t, hub);
            const [log, file, graph, echo, simple] = await Promise.all([
                client.callTool({ name: 'workspace__show_log', arguments: { limit: 3 } }),
                client.callTool({ name: 'fs__read_text_file', arguments: { path: join(files, 'hello.txt') } }),
                client.callTool({ name: 'memory__read_graph', arguments: {} }),
                client.callTool({ name: 'everything__echo', arguments: { message: 'a word' } }),
                client.callTool({ name: 'bed__test_simple_text', arguments: {} }),
            ]);
            assert.match(text_of(log), /^# rows=3 /);
            assert.equal(text_of(file), 'hello from a file\n');
            assert.match(text_of(graph), /entities/);
            assert.equal(text_of(echo), 'Echo: a word');
            assert.equal(text_of(simple), 'This is a simple text response for testing.');
        });

        test(`${era}: progress comes in order, and all of it before the result`, async (t) => {
            const client = await clients[era](t, hub);
            const seen = [];
            const result = await client.callTool(
                { name: 'bed__test_tool_with_progress', arguments: {} },
                ...(era === 'legacy'
                    ? [undefined, { onprogress: (p) => seen.push(p.progress) }]
                    : [{ onprogress: (p) => seen.push(p.progress) }]),
            );
            assert.ok(result.content);
            assert.deepEqual(seen, [0, 50, 100]);
        });

        test(`${era}: resources and prompts come from every server`, async (t) => {
            const client = await clients[era](t, hub);
            const read = await client.readResource({ uri: 'test://static-text' });
            assert.equal(read.contents[0].text, 'This is the content of the static text resource.');
            const templates = (await client.listResourceTemplates()).resourceTemplates.map((row) => row.uriTemplate);
            assert.ok(templates.includes('workspace://{id}/files/{+path}'), String(templates));
            const license = await client.readResource({ uri: 'workspace://main/files/LICENSE' });
            assert.match(license.contents[0].text, /Apache License/);
            const prompt = await client.getPrompt({ name: 'bed__test_prompt_with_arguments', arguments: { arg1: 'x', arg2: 'y' } });
            assert.equal(prompt.messages[0].content.text, "Prompt with arguments: arg1='x', arg2='y'");
        });

        test(`${era}: an unknown tool is named in the error`, async (t) => {
            const client = await clients[era](t, hub);
            await assert.rejects(client.callTool({ name: 'bed__nothing', arguments: {} }), (error) => {
                assert.equal(error.code, -32602);
                assert.match(error.message, /bed__nothing/);
                return true;
            });
        });
    }

    test('legacy: a server asks the person back, and hears the answer', async (t) => {
        const asked = [];
        const client = await legacy_client(t, hub, {
            capabilities: { elicitation: {}, sampling: {} },
            prepare: (c) => {
                c.setRequestHandler(ElicitRequestSchema, (request) => {
                    asked.push(request.params.message);
                    return { action: 'accept', content: { username: 'ada', email: 'ada@example.com' } };
                });
                c.setRequestHandler(CreateMessageRequestSchema, () => ({
                    role: 'assistant', model: 'none', content: { type: 'text', text: 'forty-two' },
                }));
            },
        });
        const said = await client.callTool({ name: 'bed__test_elicitation', arguments: { message: 'who are you?' } });
        assert.match(text_of(said), /User response: /);
        assert.match(text_of(said), /ada/);
        assert.equal(asked[0], '[bed] who are you?');
        const sampled = await client.callTool({ name: 'bed__test_sampling', arguments: { prompt: 'the question' } });
        assert.match(text_of(sampled), /forty-two/);
    });

    test('modern: a server asks the person back, and hears the answer', async (t) => {
        const client = await modern_client(t, hub, {
            capabilities: { elicitation: { form: {} } },
            prepare: (c) => c.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { name: 'Ada' } })),
        });
        const said = await client.callTool({ name: 'bed__test_input_required_result_elicitation', arguments: {} });
        assert.match(text_of(said), /Hello, Ada!/);
    });
});
