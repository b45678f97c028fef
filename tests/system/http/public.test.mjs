// hub.public_url: what a proxy in front passes on is let in, everything else stays out.
import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';

import { servers, start_hub } from '../../kit/js/hub.mjs';

const status = (hub, headers) =>
    new Promise((resolve, reject) => {
        const ask = request(`${hub.url}/livez`, { headers }, (answer) => answer.resume().on('end', () => resolve(answer.statusCode)));
        ask.on('error', reject).end();
    });

test('Host and Origin of the public address are let in', async (t) => {
    const hub = await start_hub(t, { config: { hub: { public_url: 'https://tools.example' } }, servers: { bed: servers.fixture('modern') } });
    assert.equal(await status(hub, { host: 'tools.example' }), 200);
    assert.equal(await status(hub, { host: 'localhost' }), 200);
    assert.equal(await status(hub, { host: 'tools.example', origin: 'https://tools.example' }), 200);
    assert.equal(await status(hub, { host: 'evil.example' }), 403);
    assert.equal(await status(hub, { host: 'tools.example', origin: 'https://evil.example' }), 403);
});

test('without a public address only loopback names are let in', async (t) => {
    const hub = await start_hub(t, { servers: { bed: servers.fixture('modern') } });
    assert.equal(await status(hub, { host: 'localhost' }), 200);
    assert.equal(await status(hub, { host: 'tools.example' }), 403);
});
