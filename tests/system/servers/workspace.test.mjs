// The workspace server through the hub, before the official SDK clients of both eras, over a git repository made here.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { clients, text_of } from '../../kit/js/clients.mjs';
import { lasting, servers, start_hub } from '../../kit/js/hub.mjs';
import { until } from '../../kit/js/until.mjs';

const life = lasting();
let root;
let hub;

function git(...words) {
    execFileSync('git', ['-C', root, '-c', 'user.name=Ann', '-c', 'user.email=ann@example.org', ...words], {
        env: { PATH: process.env.PATH, HOME: root, GIT_CONFIG_NOSYSTEM: '1' },
        stdio: 'ignore',
    });
}

const put = (name, content) => writeFileSync(join(root, name), content);
const lines = (count) => Array.from({ length: count }, (_, n) => `line ${n} é`).join('\n');

before(async () => {
    root = mkdtempSync(join(tmpdir(), 'workspace-'));
    life.after(() => rmSync(root, { recursive: true, force: true }));
    git('init', '-q');
    mkdirSync(join(root, 'src'));
    put('.gitignore', '*.o\n');
    put('src/main.c', 'int main(void)\n{\n    return Needle;\n}\n');
    put('src/main.o', 'object');
    put('big.txt', lines(9000));
    put('data.bin', Buffer.from([0, 1, 2, 255]));
    for (let n = 0; n < 120; n++) put(`src/file-${String(n).padStart(3, '0')}.txt`, `file ${n}\n`);
    symlinkSync('/etc', join(root, 'outside'));
    git('add', '-A');
    git('commit', '-q', '-m', 'first');
    for (let n = 0; n < 25; n++) {
        put('src/main.c', `int main(void)\n{\n    return Needle + ${n};\n}\n`);
        git('commit', '-q', '-a', '-m', `change ${n}`);
    }
    hub = await start_hub(life, { servers: { work: servers.workspace(root) } });
});
after(() => life.end());

// Pages of a tool to the end: all rows of its JSON.
async function pages(client, name, args) {
    const rows = [];
    for (let cursor; ; ) {
        const result = await client.callTool({ name, arguments: { ...args, format: 'json', ...(cursor ? { cursor } : {}) } });
        assert.ok(!result.isError, text_of(result));
        const page = JSON.parse(text_of(result));
        rows.push(...page.items);
        cursor = page.next_cursor;
        if (!cursor) return rows;
    }
}

// The same for text that comes with `…[+N B] next_cursor=C` at its end.
async function whole(client, name, args) {
    let text = '';
    for (let cursor; ; ) {
        const result = await client.callTool({ name, arguments: { ...args, ...(cursor ? { cursor } : {}) } });
        assert.ok(!result.isError, text_of(result));
        const [, part, next] = /^(.*?)(?:…\[\+\d+ B\] next_cursor=(\S+))?$/s.exec(text_of(result));
        text += part;
        cursor = next;
        if (!cursor) return text;
    }
}

for (const [era, connect] of Object.entries(clients)) {
    test(`${era}: every tool does its work`, async (t) => {
        const client = await connect(t, hub);
        const { tools } = await client.listTools();
        assert.deepEqual(tools.map((tool) => tool.name).sort(),
            ['list_files', 'read_file', 'search_text', 'show_diff', 'show_log'].map((name) => `work__${name}`));
        const found = await client.callTool({ name: 'work__search_text', arguments: { find: 'needle', glob: '*.c' } });
        assert.match(text_of(found), /^# rows=1 total=1\npath,line,text\nsrc\/main\.c,3, +return Needle \+ 24;/);
        const read = await client.callTool({ name: 'work__read_file', arguments: { path: 'src/main.c', start: 3, lines: 1 } });
        assert.match(text_of(read), /^ {4}return Needle \+ 24;\n/);
        const diff = await client.callTool({ name: 'work__show_diff', arguments: { from: 'HEAD~1', to: 'HEAD' } });
        assert.match(text_of(diff), /\n-    return Needle \+ 23;\n\+    return Needle \+ 24;\n/);
    });

    test(`${era}: pages lose nothing`, async (t) => {
        const client = await connect(t, hub);
        const files = await pages(client, 'work__list_files', { path: 'src', limit: 17 });
        assert.equal(files.length, 121);
        assert.equal(new Set(files.map((file) => file.path)).size, 121);
        assert.ok(files.every((file) => !file.path.endsWith('.o')));
        const commits = await pages(client, 'work__show_log', { limit: 7 });
        assert.deepEqual(commits.map((commit) => commit.subject), [...Array.from({ length: 25 }, (_, n) => `change ${24 - n}`), 'first']);
        assert.equal((await pages(client, 'work__search_text', { find: 'file', path: 'src', limit: 50 })).length, 120);
        assert.equal(await whole(client, 'work__read_file', { path: 'big.txt', lines: 100000 }), lines(9000));
        put('fresh.txt', lines(9000));
        t.after(() => rmSync(join(root, 'fresh.txt'), { force: true }));
        const added = (await whole(client, 'work__show_diff', {})).split('\n').filter((line) => /^\+line/.test(line));
        assert.deepEqual(added.map((line) => line.slice(1)), lines(9000).split('\n'));
    });

    test(`${era}: nothing of .git, of outside or of a link is shown`, async (t) => {
        const client = await connect(t, hub);
        for (const path of ['.git/config', '.GIT/HEAD', 'src/../.git/HEAD', 'outside/passwd', '/etc/passwd', '../x']) {
            const result = await client.callTool({ name: 'work__read_file', arguments: { path } });
            assert.equal(result.isError, true, path);
            assert.equal(result._meta['dev.trunkline/fault'].name, 'refused', path);
        }
        for (const uri of ['workspace://main/files/.git/config', 'workspace://main/files/outside/passwd', 'workspace://main/files/..%2Fx'])
            await assert.rejects(client.readResource({ uri }), (error) => [-32602, -32002].includes(error.code), uri);
        const all = await pages(client, 'work__list_files', { limit: 1000 });
        assert.ok(all.every((file) => !file.path.startsWith('.git/') && !file.path.startsWith('outside/')));
        assert.equal(all.find((file) => file.path === 'outside').type, 'link');
    });

    test(`${era}: what is no text comes as a resource`, async (t) => {
        const client = await connect(t, hub);
        const result = await client.callTool({ name: 'work__read_file', arguments: { path: 'data.bin' } });
        const link = result.content.find((block) => block.type === 'resource_link');
        assert.match(text_of(result), /is not text: 4 bytes/);
        const { contents } = await client.readResource({ uri: link.uri });
        assert.equal(contents[0].blob, Buffer.from([0, 1, 2, 255]).toString('base64'));
    });
}

const watched = 'workspace://main/files/watched.txt';

// Written in place, then beside and renamed over: each is heard of.
async function changes(heard) {
    put('watched.txt', 'two\n');
    await until('the first update', () => heard.length > 0);
    assert.ok(heard.every((uri) => uri === watched));
    heard.length = 0;
    put('watched.tmp', 'three\n');
    renameSync(join(root, 'watched.tmp'), join(root, 'watched.txt'));
    await until('the second update', () => heard.length > 0);
}

test('legacy: a subscriber hears of every way to write a file, until it has had enough', async (t) => {
    const client = await clients.legacy(t, hub);
    const { ResourceUpdatedNotificationSchema } = await import('@modelcontextprotocol/sdk/types.js');
    const heard = [];
    put('watched.txt', 'one\n');
    client.setNotificationHandler(ResourceUpdatedNotificationSchema, (note) => heard.push(note.params.uri));
    await client.subscribeResource({ uri: watched });
    await changes(heard);
    const { contents } = await client.readResource({ uri: watched });
    assert.equal(contents[0].text, 'three\n');
    await client.unsubscribeResource({ uri: watched });
});

test('modern: a listener hears of every way to write a file', async (t) => {
    const client = await clients.modern(t, hub);
    const heard = [];
    put('watched.txt', 'one\n');
    client.setNotificationHandler('notifications/resources/updated', (note) => heard.push(note.params.uri));
    const stream = await client.listen({ resourceSubscriptions: [watched] });
    assert.deepEqual(stream.honoredFilter, { resourceSubscriptions: [watched] });
    // The hub's own subscription is on its way to the server when the stream has begun.
    await until('the subscription', () => {
        put('watched.txt', `one ${heard.length}\n`);
        return heard.length > 0;
    });
    heard.length = 0;
    await changes(heard);
    await stream.close();
});
