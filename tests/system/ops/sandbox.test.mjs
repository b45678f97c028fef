// What the roles have given up: asked of the kernel, for the program as it is installed.
import assert from 'node:assert/strict';
import { readFileSync, readlinkSync } from 'node:fs';
import process from 'node:process';
import { test } from 'node:test';

import { servers, start_hub } from '../../kit/js/hub.mjs';

const status = (pid) => Object.fromEntries(readFileSync(`/proc/${pid}/status`, 'utf8').split('\n').map((line) => line.split(/:\s*/)));
const environment = (pid) => readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').map((entry) => entry.split('=')[0]).filter(Boolean);

test('every role runs confined, foreign servers cannot gain rights', async (t) => {
    const hub = await start_hub(t, { servers: { ws: servers.workspace('/usr/include'), bed: servers.fixture('modern') } });
    const { hub: pid, servers: { ws, bed }, guardians } = hub.roles();
    for (const [name, role] of Object.entries({ hub: pid, ws, bed, guardian: guardians.bed })) {
        assert.equal(status(role).NoNewPrivs, '1', `${name} may gain rights`);
        assert.equal(status(role).Seccomp, '2', `${name} has no system call filter`);
    }
});

test('a foreign server lives in a process namespace of its own, where that is allowed', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('modern') } });
    const { servers: { bed }, guardians } = hub.roles();
    const [inside, outside] = [bed, guardians.bed].map((pid) => readlinkSync(`/proc/${pid}/ns/pid`));
    if (inside === outside) return t.skip('process namespaces are not allowed here');
    assert.equal(status(bed).NSpid.split(/\s+/).at(-1), '2');
});

test('roles inherit no variable that they have no use for', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('modern') }, env: { SECRET_TOKEN: 'x' } });
    const { hub: pid, servers: { bed } } = hub.roles();
    assert.ok(!environment(bed).includes('SECRET_TOKEN'));
    // The hub is not dumpable: only root may look.
    if (process.getuid() === 0) assert.ok(!environment(pid).includes('SECRET_TOKEN'));
    assert.ok(environment(hub.pid).includes('SECRET_TOKEN'));
});
