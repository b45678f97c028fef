// Processes: what dies comes back, what ends leaves nothing behind.
import assert from 'node:assert/strict';
import process from 'node:process';
import { test } from 'node:test';

import { modern } from '../../kit/js/raw.mjs';
import { descendants, is_alive, servers, start_hub } from '../../kit/js/hub.mjs';
import { until } from '../../kit/js/until.mjs';

const echo = async (hub, value) =>
    JSON.parse((await modern(hub).call('tools/call', { name: 'bed__echo_raw', arguments: { value } })).result.content[0].text).value;

test('an orderly stop leaves no process', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('modern'), memory: servers.memory('/dev/null') } });
    assert.ok(descendants(hub.pid).length >= 3);
    assert.equal((await hub.stop()).code, 0);
});

test('a killed server is started again', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('modern') } });
    const pid = hub.roles().servers.bed;
    process.kill(pid, 'SIGKILL');
    await until('another process for the server', () => hub.roles().servers.bed && hub.roles().servers.bed !== pid);
    await hub.ready('bed');
    assert.equal(await echo(hub, 5), 5);
});

test('a killed hub is started again, with its servers', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('modern') } });
    const { hub: pid, servers: { bed } } = hub.roles();
    process.kill(pid, 'SIGKILL');
    await until('another hub', () => hub.roles().hub !== pid);
    await hub.is_up();
    await hub.ready('bed');
    await until('the old server to be gone', () => !is_alive(bed));
    assert.equal(await echo(hub, 6), 6);
});

test('a killed supervisor takes everything with it', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('legacy'), fs: servers.memory('/dev/null') } });
    const tree = descendants(hub.pid);
    assert.ok(tree.length >= 5);
    process.kill(hub.pid, 'SIGKILL');
    await hub.nothing_left(tree);
});

test('a killed guardian takes its server with it, which is started again', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('legacy') } });
    const { guardians, servers: running } = hub.roles();
    process.kill(guardians.bed, 'SIGKILL');
    await until('the server to be gone', () => !is_alive(running.bed));
    await until('another process for the server', () => hub.roles().servers.bed && hub.roles().servers.bed !== running.bed);
    await hub.ready('bed');
});

test('a server that crashes again and again is left alone for a while', async (t) => {
    const hub = await start_hub(t, { wait: false, servers: { bad: { command: '/bin/false', args: [] }, bed: servers.fixture('modern') } });
    await hub.ready('bed');
    const bad = await until('the crash loop to be seen', async () => {
        const server = await hub.server('bad');
        return server.state === 'quarantined' && server;
    }, 20_000);
    assert.match(bad.reason, /crash loop/);
    assert.equal(await echo(hub, 7), 7);
});
