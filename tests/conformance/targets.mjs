// targets -- what the suite is pointed at: the hub with the fixture behind it, or the fixture itself.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

import { start_rename } from '../beds/rename.mjs';
import { until } from './children.mjs';
import { NODE } from './suite.mjs';

const FIXTURE = fileURLToPath(new URL('../beds/conformance-upstream.mjs', import.meta.url));
const TRUNKLINE = fileURLToPath(new URL('../../build/dev/trunkline', import.meta.url));

const START_MS = 30_000;
const PREFIX = 'bed__';

// A legacy client cannot call a modern-only bed without the hub, nor the other way round.
const DIRECT_ERA = { A: 'legacy', B: 'modern', C: 'dual', D: 'dual' };

function tail(path, lines) {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}

async function answer(url) {
    try {
        const response = await fetch(url, { headers: { accept: 'application/json' } });
        return { status: response.status, text: await response.text() };
    } catch (error) {
        return { status: 0, text: String(error.cause?.code ?? error.message) };
    }
}

function endpoints_of(path) {
    try {
        return JSON.parse(readFileSync(path, 'utf8'));
    } catch {
        return undefined; // not there yet
    }
}

function state_of(text) {
    try {
        return JSON.parse(text).state;
    } catch {
        return undefined;
    }
}

// Gives the hub's base URL once it and its server 'bed' are ready.
async function hub_is_ready(hub, state) {
    const running = (seen) => {
        if (hub.exitCode !== null || hub.signalCode !== null) {
            throw new Error(`trunkline ended with ${hub.exitCode ?? hub.signalCode}`);
        }
        return seen;
    };
    let base;
    await until('endpoints.json', START_MS, () => {
        base = endpoints_of(`${state}/run/endpoints.json`)?.http?.find((url) => url.includes('127.0.0.1'));
        return running(base !== undefined);
    });
    await until('/readyz to be 200', START_MS, async () => {
        const { status, text } = await answer(`${base}/readyz`);
        return running(status === 200 || { status, text });
    });
    await until("server 'bed' to be ready", START_MS, async () => {
        const { status, text } = await answer(`${base}/api/v1/servers/bed`);
        return running((status === 200 && state_of(text) === 'ready') || { status, text });
    });
    return base;
}

async function start_hub(children, { era, out }) {
    const state = `${out}/state`;
    const config = `${out}/trunkline.json`;
    const log = `${out}/hub.log`;
    rmSync(out, { recursive: true, force: true });
    mkdirSync(state, { recursive: true, mode: 0o700 });
    const servers = { bed: { command: NODE, args: [FIXTURE, '--stdio'], env: { ERA: era } } };
    writeFileSync(
        config,
        JSON.stringify({ listen: ['127.0.0.1:0'], auth: { loopback: 'open' }, servers }, null, 4),
    );
    const hub = children.start(
        process.env.TRUNKLINE_BIN ?? TRUNKLINE,
        ['up', '--config', config, '--state', state],
        {
            log,
        },
    );
    try {
        return { child: hub, base: await Promise.race([hub_is_ready(hub, state), hub.failed]) };
    } catch (error) {
        throw new Error(`${error.message}\n--- end of ${log}\n${tail(log, 50)}`);
    }
}

async function start_fixture(children, { era, out }) {
    rmSync(out, { recursive: true, force: true });
    mkdirSync(out, { recursive: true });
    const env = { ...process.env, ERA: era, PORT: '0' };
    const child = children.start(NODE, [FIXTURE], { log: `${out}/bed.log`, env, stdout: 'lines' });
    return { child, base: `http://127.0.0.1:${await children.first_line(child)}` };
}

// The suite demands a URL on localhost.
const on_localhost = (base, path) => `${base.replace('127.0.0.1', 'localhost')}${path}`;

// Gives {url, close()}; close gives the processes that were left behind.
export async function start_target(children, { cell, era, direct, aggregated, out }) {
    const target = direct
        ? await start_fixture(children, { era: DIRECT_ERA[cell], out })
        : await start_hub(children, { era, out });
    const proxies = [];
    const through = async (base, options) => {
        const proxy = await start_rename({ upstream: base, prefix: PREFIX, ...options });
        proxies.unshift(proxy);
        return proxy.base;
    };
    let { base } = target;
    if (direct && aggregated) {
        base = await through(base, { reverse: true }); // stands in for the hub's naming
    }
    if (aggregated) {
        base = await through(base, {});
    }
    return {
        url: on_localhost(base, direct || aggregated ? '/mcp' : '/mcp/bed'),
        async close() {
            for (const proxy of proxies) {
                await proxy.close();
            }
            return children.stop(target.child);
        },
    };
}
