// The command line before a real hub: what it prints, and what its exit status says.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chownSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { ROOT, TRUNKLINE, servers, start_hub } from '../../kit/js/hub.mjs';
import { until } from '../../kit/js/until.mjs';

// Runs one command: {code, out, err}; `live` has what was printed so far.
function start(words, { input, env = {}, cwd } = {}) {
    const child = spawn(TRUNKLINE, words, { cwd, env: { PATH: process.env.PATH, HOME: process.env.HOME, LANG: 'C.UTF-8', ...env } });
    const live = { child, out: '', err: '' };
    child.stdout.on('data', (text) => { live.out += text; });
    child.stderr.on('data', (text) => { live.err += text; });
    child.stdin.on('error', () => {});
    child.stdin.end(input);
    after(() => child.kill('SIGKILL'));
    live.ended = new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, out: live.out, err: live.err })));
    return live;
}
const run = (words, options) => start(words, options).ended;
const lines = (text) => text.trimEnd().split('\n');

// What a terminal of 40 columns shows. `script` gives the program one.
async function on_terminal(words) {
    const line = [TRUNKLINE, ...words].map((word) => `'${word}'`).join(' ');
    const child = spawn('script', ['-qec', `stty cols 40; ${line}`, '/dev/null'], { env: { PATH: process.env.PATH, LANG: 'C.UTF-8', TERM: 'dumb' } });
    let out = '';
    child.stdout.on('data', (text) => { out += text; });
    child.stdin.end();
    const code = await new Promise((resolve) => child.on('close', resolve));
    return { code, out };
}

const lasting = () => {
    const undo = [];
    return { after: (fn) => undo.push(fn), end: async () => { for (const fn of undo.reverse()) await fn(); } };
};

describe('before a hub', () => {
    const life = lasting();
    let hub, folder, to;
    before(async () => {
        folder = mkdtempSync(join(tmpdir(), 'tl-cli-'));
        life.after(() => rmSync(folder, { recursive: true, force: true }));
        writeFileSync(join(folder, 'hello.txt'), 'hello\n');
        hub = await start_hub(life, {
            servers: { bed: servers.fixture('modern', { BED_LOG: join(folder, 'bed.log') }), ws: servers.workspace(folder), gone: { command: '/no/such/program' } },
            wait: false,
        });
        await hub.ready('bed');
        await hub.ready('ws');
        to = (...words) => ['--hub', `unix:${hub.socket}`, ...words];
    });
    after(() => life.end());

    test('status, and the three ways to be told of it', async () => {
        const table = await run(to('status'));
        assert.equal(table.code, 0);
        assert.match(table.out, /^trunkline \d+\.\d+\.\d+ at unix:.*, ready\n\nSERVER +STATE/);
        assert.match(table.out, /^bed +ready +\d+ *$/m);
        const json = JSON.parse((await run(to('status', '-o', 'json'))).out);
        assert.equal(json.ready, true);
        assert.deepEqual(json.servers.map((row) => row.name).sort(), ['bed', 'gone', 'ws']);
        assert.deepEqual(await run(to('status', '-q')), { code: 0, signal: null, out: '', err: '' });
        assert.equal((await run(['status', '-q'], { env: { TRUNKLINE_HUB: `unix:${hub.socket}` } })).code, 0);
        assert.equal((await run(['--hub', hub.url, 'status', '-q'])).code, 0);
    });

    test('lists: table, json, jsonl, chosen columns', async () => {
        const json = JSON.parse((await run(to('tool', 'list', '-o', 'json'))).out);
        const jsonl = lines((await run(to('tool', 'list', '-o', 'jsonl'))).out).map((line) => JSON.parse(line));
        assert.deepEqual(jsonl, json.items);
        assert.ok(json.items.length > 30);
        const table = lines((await run(to('tool', 'list', '--columns', 'name'))).out);
        assert.deepEqual(table.slice(1), json.items.map((row) => row.name));
        const few = JSON.parse((await run(to('tool', 'list', '--server', 'ws', '--q', 'lines', '-o', 'json'))).out).items;
        assert.ok(few.length > 0 && few.every((row) => row.server === 'ws'));
        assert.match((await run(to('tool', 'list', '--token-cost'))).out, /^ws__read_file +ws +\d+ /m);
        for (const words of [['server', 'list'], ['resource', 'list'], ['prompt', 'list'], ['client', 'list']]) {
            const list = await run(to(...words, '-o', 'json'));
            assert.equal(list.code, 0, list.err);
            assert.ok(JSON.parse(list.out).items.length > 0, words.join(' '));
            assert.ok(lines((await run(to(...words))).out).length > 1);
        }
    });

    test('a list of many pages comes whole', async () => {
        await run(to('call', 'bed__set_list', 'n=450'));
        await until('450 more tools', async () => JSON.parse((await run(to('tool', 'list', '-o', 'json'))).out).items.length > 450);
        const { items, next_cursor } = JSON.parse((await run(to('tool', 'list', '--server', 'bed', '-o', 'json'))).out);
        assert.equal(next_cursor, null);
        assert.equal(new Set(items.map((row) => row.name)).size, items.length);
        await run(to('call', 'bed__set_list', 'n=0'));
    });

    test('a call: arguments by schema, by JSON, from a file, from standard input; bytes stay', async () => {
        const echo = async (words, input) => {
            const { code, out, err } = await run(to('call', 'bed__echo_raw', ...words), { input });
            assert.equal(code, 0, err);
            return out.trimEnd();
        };
        assert.equal(await echo(['a=1', 'b:=1.0', 'c=x y']), '{"a":"1","b":1.0,"c":"x y"}');
        const odd = '{"n": 9223372036854775808,  "f":1.0,"z":1,"a":"\\u00e9"}';
        assert.equal(await echo(['-j', odd]), odd);
        assert.equal(await echo(['--json', '-'], odd), odd);
        writeFileSync(join(folder, 'arguments.json'), odd);
        assert.equal(await echo(['--json', `@${folder}/arguments.json`]), odd);
        assert.equal(await echo([`text=@${folder}/hello.txt`]), '{"text":"hello\\n"}');
        assert.equal((await run(to('call', 'bed__slow', 'ms=soon'))).code, 2);
        assert.equal((await run(to('call', 'bed__echo_raw', '-j', '[1]'))).code, 2);
        assert.equal((await run(to('call', 'bed__echo_raw', '-j', '{}', 'a=1'))).code, 2);
        assert.equal((await run(to('call', 'bed__slow', 'ms=1', '--dry-run'))).out, '{"tool":"bed__slow","arguments":{"ms":1}}\n');
    });

    test('a call that takes longer than a second gives the same object as a short one', async () => {
        const [short, long] = await Promise.all([1, 1600].map(async (ms) => JSON.parse((await run(to('call', 'bed__slow', `ms=${ms}`, '-o', 'json'))).out)));
        assert.equal(long.result.content[0].text, 'waited 1600 ms');
        assert.equal(long.is_error, false);
        assert.equal(long.outcome, short.outcome);
        for (const key of Object.keys(long)) assert.ok(key in short, key);
    });

    test('exit statuses', async () => {
        for (const [code, words] of [
            [1, ['call', 'bed__no_such_tool']], [1, ['server', 'show', 'nobody']], [1, ['resource', 'read', 'no://where']],
            [2, ['call']], [2, ['no-such-command']], [2, ['tool', 'list', '--no-such-option']], [2, ['tool', 'list', '-o', 'xml']], [2, ['tool', 'list', '--q']],
            [2, ['wait', '--for', 'rain']], [2, ['completion', 'tcsh']], [2, ['--timeout', 'long', 'status']], [2, ['call', 'bed__slow', 'ms=1', '--deadline', 'x']],
            [5, ['wait', '--for', 'server:gone', '--timeout', '300ms']], [5, ['call', 'bed__slow', 'ms=60000', '--deadline', '200ms']],
            [6, ['call', 'bed__test_error_handling']],
        ]) {
            const { code: got, out, err } = await run(to(...words));
            assert.equal(got, code, `${words.join(' ')}: ${out}${err}`);
            assert.ok(code === 6 || (out === '' && err.startsWith('trunkline: ')), `${words.join(' ')}: ${out}${err}`);
        }
        assert.equal((await run(['--hub', `unix:${folder}/nothing.sock`, 'status'])).code, 3);
        assert.equal((await run(['--hub', `unix:${folder}/nothing.sock`, 'call', 'x'])).code, 3);
        assert.equal((await run(['--hub', 'carrier pigeon', 'call', 'x'])).code, 2);
    });

    test('errors are the hub\'s own envelope with -o json', async () => {
        const unknown = await run(to('call', 'bed__no_such_tool', '-o', 'json'));
        assert.equal(JSON.parse(unknown.err).error.code, 'not_found');
        assert.equal(JSON.parse((await run(to('wait', '--for', 'rain', '-o', 'json'))).err).error.code, 'usage');
    });

    test('mistakes are answered with what was probably meant', async () => {
        assert.match((await run(['sever', 'list'])).err, /did you mean 'server'/);
        assert.match((await run(['up', '--workspce', 'x'])).err, /did you mean '--workspace'/);
        assert.match((await run(['server', 'lst'])).err, /help server/);
    });

    test('Ctrl-C cancels the call at the server, soon and late', async () => {
        const events = (name) => readFileSync(join(folder, 'bed.log'), 'utf8').trim().split('\n').map((line) => JSON.parse(line)).filter((row) => row.event === name).length;
        for (const late of [false, true]) {
            const [calls, cancels] = [events('call'), events('cancelled')];
            const going = start(to('call', 'bed__slow', 'ms=60000'));
            await until('the call to reach the bed', () => events('call') > calls);
            const has_id = async () => (await hub.get('/api/v1/calls?state=running')).json.items.length > 0;
            await until('the call to be known', has_id);
            // Late: the command has been told the call's id, and listens to its events.
            if (late) await until('the command to listen', async () => (await hub.get('/api/v1/overview')).json.people > 0);
            const began = Date.now();
            going.child.kill('SIGINT');
            assert.equal((await going.ended).code, 130);
            assert.ok(Date.now() - began < 2500);
            await until('the bed to see the cancel', () => events('cancelled') > cancels);
        }
    });

    test('resources and prompts', async () => {
        assert.equal((await run(to('resource', 'read', 'workspace://main/files/hello.txt'))).out, 'hello\n');
        const file = join(folder, 'copy.png');
        assert.equal((await run(to('resource', 'read', 'test://static-binary', '-O', file))).code, 0);
        assert.deepEqual([...readFileSync(file).subarray(1, 4)], [...Buffer.from('PNG')]);
        const read = JSON.parse((await run(to('resource', 'read', 'test://static-binary', '-o', 'json'))).out);
        assert.deepEqual(Buffer.from(read.contents[0].blob, 'base64'), readFileSync(file));
        const prompt = await run(to('prompt', 'get', 'bed__test_prompt_with_arguments', 'arg1=one', 'arg2=two'));
        assert.match(prompt.out, /^user:\n.*one.*two/s);
        const watch = start(to('resource', 'watch', 'workspace://main/files/hello.txt'));
        await until('a change to be told', () => {
            writeFileSync(join(folder, 'hello.txt'), `hello\n${Date.now()}`);
            return watch.out.includes('workspace://main/files/hello.txt');
        });
        watch.child.kill('SIGINT');
        assert.equal((await watch.ended).code, 130);
        assert.equal((await run(to('resource', 'watch', 'no://where'))).code, 1);
        writeFileSync(join(folder, 'hello.txt'), 'hello\n');
    });

    test('servers: show with the last lines of a dead one, stop, start, restart, logs that go on', async () => {
        const gone = await run(to('server', 'show', 'gone'));
        assert.equal(gone.code, 0);
        assert.match(gone.out, /^state +(lost|starting|quarantined)/m);
        const noise = start(to('server', 'logs', 'bed', '-f'));
        const { pid } = await hub.server('bed');
        assert.equal((await run(to('server', 'restart', 'bed'))).code, 0);
        await until('another process', async () => (await hub.server('bed')).pid !== pid);
        assert.equal((await run(to('wait', '--for', 'server:bed'))).code, 0);
        assert.equal((await run(to('server', 'stop', 'bed'))).code, 0);
        await until('the server to be off', async () => (await hub.server('bed')).state === 'off');
        assert.equal((await run(to('server', 'start', 'bed'))).code, 0);
        assert.equal((await run(to('wait', '--for', 'server:bed', '--timeout', '20s'))).code, 0);
        noise.child.kill('SIGTERM');
        assert.equal((await noise.ended).code, 130);
    });

    test('configuration and snippets', async () => {
        assert.equal(JSON.parse((await run(to('config', 'show'))).out).servers.gone.command, '/no/such/program');
        assert.ok('origins' in JSON.parse((await run(to('config', 'show', '--origin'))).out));
        assert.equal((await run(['config', 'show', '--default'])).out, readFileSync(join(ROOT, 'config/default.jsonc'), 'utf8'));
        assert.equal(JSON.parse((await run(['config', 'schema'])).out).type, 'object');
        assert.deepEqual(await run(['config', 'check', hub.file]), { code: 0, signal: null, out: '', err: '' });
        writeFileSync(join(folder, 'bad.json'), '{\n  "servers": { "x": { "command": "y", "argss": [] } }\n}');
        const bad = await run(['config', 'check', join(folder, 'bad.json')]);
        assert.equal(bad.code, 2);
        assert.match(bad.err, /bad\.json:2:\d+: .*'args'/);
        const snippet = await run(to('client', 'snippet', 'claude-code', '-q'));
        assert.equal(JSON.parse(snippet.out).mcpServers.trunkline.url, `${hub.url}/mcp`);
    });

    test('doctor: what is well, what is not, and what mends it', async () => {
        const words = ['doctor', '--config', hub.file, '--state', hub.state, '-o', 'json'];
        const { code, out } = await run(to(...words));
        assert.equal(code, 8);
        const { items } = JSON.parse(out);
        const bad = items.filter((row) => row.state === 'bad');
        assert.deepEqual([...new Set(bad.map((row) => row.check))].sort(), ['programs', 'servers']);
        assert.ok(bad.every((row) => row.seen.includes('gone') && row.remedy));
        assert.ok(items.some((row) => row.check === 'hub' && row.state === 'ok'));
        const broken = JSON.parse((await run(to('doctor', '--config', join(folder, 'bad.json'), '-o', 'json'))).out);
        assert.equal(broken.items[0].state, 'bad');
    });

    test('completion: words of the table and names of the hub, at once; silent when there is none', async () => {
        const began = Date.now();
        assert.deepEqual(lines((await run(to('__complete', '--hub', `unix:${hub.socket}`, 'server', 'show', 'g'))).out), ['gone']);
        assert.ok(Date.now() - began < 1000);
        const names = async (...words) => lines((await run(['__complete', '--hub', `unix:${hub.socket}`, ...words])).out);
        assert.deepEqual(await names('to'), ['tool']);
        assert.deepEqual(await names('tool', ''), ['list', 'show', 'call']);
        assert.deepEqual(await names('call', 'ws__read'), ['ws__read_file']);
        assert.ok((await names('call', 'ws__read_file', '')).includes('path='));
        assert.ok((await names('up', '--')).includes('--config'));
        assert.deepEqual(await run(['__complete', '--hub', 'unix:/nowhere', 'server', 'show', '']), { code: 0, signal: null, out: '', err: '' });
    });

    test('a terminal: narrow tables, progress on standard error, text that cannot steer it', async (t) => {
        if ((await on_terminal(['version'])).code !== 0) return t.skip('needs script(1)');
        const { out } = await on_terminal(to('tool', 'list', '--server', 'ws'));
        assert.ok(lines(out).every((line) => line.replace('\r', '').length <= 40), out);
        const evil = JSON.stringify({ text: '\u001b]0;title\u0007\u202eabc' });
        const shown = (await on_terminal(to('call', 'bed__echo_raw', '-j', evil))).out;
        assert.ok(!shown.includes('\u202e') && !shown.includes('\u001b]'), JSON.stringify(shown));
    });

    test('a reader that goes away ends it quietly', async () => {
        const child = spawn('sh', ['-c', `'${TRUNKLINE}' --hub 'unix:${hub.socket}' tool list | head -n 1`], { env: { PATH: process.env.PATH } });
        let err = '';
        child.stderr.on('data', (text) => { err += text; });
        assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0);
        assert.equal(err, '');
        const full = spawn('sh', ['-c', `'${TRUNKLINE}' --hub 'unix:${hub.socket}' tool list >/dev/full`], { env: { PATH: process.env.PATH } });
        assert.equal(await new Promise((resolve) => full.on('close', resolve)), 1);
    });
});

test('logs go on when the hub comes back', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('modern') } });
    const logs = start(['--hub', `unix:${hub.socket}`, 'server', 'logs', 'bed', '-f', '-o', 'jsonl']);
    const pid = hub.roles().hub;
    const calls = () => run(['--hub', `unix:${hub.socket}`, 'server', 'restart', 'bed']);
    process.kill(pid, 'SIGKILL');
    await until('another hub', () => hub.roles().hub && hub.roles().hub !== pid);
    await hub.is_up();
    await hub.ready('bed');
    await calls();
    assert.equal(logs.child.exitCode, null, logs.err);
    logs.child.kill('SIGINT');
    assert.equal((await logs.ended).code, 130);
});

test('every command explains itself', async () => {
    const page = readFileSync(join(ROOT, 'docs/reference/cli.md'), 'utf8');
    assert.equal((await run(['help', '--reference'])).out, page);
    for (const [, words] of page.matchAll(/^## ([a-z].*)$/gm)) {
        const help = await run([...words.split(' '), '--help']);
        assert.equal(help.code, 0, words);
        assert.match(help.out, new RegExp(`^usage: trunkline ${words}`));
        assert.equal((await run(['help', ...words.split(' ')])).out, help.out);
    }
    for (const noun of ['server', 'tool']) assert.equal((await run([noun])).out, (await run(['help', noun])).out);
});

test('a hub of this folder is found; a file of somebody else names none', async (t) => {
    const hub = await start_hub(t, { servers: {} });
    const look = () => run(['status', '-q'], { cwd: hub.folder, env: { XDG_RUNTIME_DIR: join(hub.folder, 'none') } });
    symlinkSync(hub.state, join(hub.folder, 'var'));
    assert.equal((await look()).code, 0);
    if (process.getuid() !== 0) return;
    chownSync(join(hub.state, 'run/endpoints.json'), 65534, 65534);
    assert.equal((await look()).code, 3);
});
