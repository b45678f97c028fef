#!/usr/bin/env node
// trunkline -- a stand-in for the hub, to try the conformance runner on: `up --config F --state D` puts the
// configured fixture, over HTTP, at /mcp/bed. STAND_IN makes it misbehave: dies, orphan, no-ping, dual
// (better than asked for).
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';

const behaviour = process.env.STAND_IN ?? 'fine';
const { values } = parseArgs({
    allowPositionals: true,
    options: { config: { type: 'string' }, state: { type: 'string' } },
});
if (behaviour === 'dies') {
    console.error('the stand-in dies as asked');
    process.exit(3);
}

const { command, args, env } = JSON.parse(readFileSync(values.config, 'utf8')).servers.bed;
const bed = spawn(
    command,
    args.filter((word) => word !== '--stdio'),
    {
        env: { ...env, PORT: '0', ...(behaviour === 'dual' && { ERA: 'dual' }) },
        stdio: ['ignore', 'pipe', 'inherit'],
    },
);
const [port] = await once(createInterface({ input: bed.stdout }), 'line');
if (behaviour === 'orphan') {
    spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' }).unref();
}

async function body_of(req) {
    const chunks = [];
    for await (const chunk of req) {
        chunks.push(chunk);
    }
    return Buffer.concat(chunks);
}

const server = createServer(async (req, res) => {
    if (req.url === '/readyz') {
        res.end('ok');
        return;
    }
    if (req.url === '/api/v1/servers/bed') {
        res.end(JSON.stringify({ name: 'bed', state: 'ready' }));
        return;
    }
    const body = await body_of(req);
    if (behaviour === 'no-ping' && body.includes('"ping"')) {
        res.writeHead(500).end();
        return;
    }
    const path = req.url.replace('/mcp/bed', '/mcp');
    const up = request({
        host: '127.0.0.1',
        port,
        path,
        method: req.method,
        headers: req.headers,
        setHost: false,
    });
    up.on('response', (answer) => {
        res.writeHead(answer.statusCode, answer.headers).flushHeaders();
        answer.pipe(res);
    });
    up.on('error', () => res.destroy());
    res.on('close', () => up.destroy());
    up.end(body);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
mkdirSync(`${values.state}/run`, { recursive: true });
const endpoints = {
    http: [`http://127.0.0.1:${server.address().port}`],
    unix: `${values.state}/run/api.sock`,
};
writeFileSync(`${values.state}/run/endpoints.json`, JSON.stringify(endpoints));

process.once('SIGTERM', () => {
    bed.once('exit', () => process.exit(0));
    bed.kill('SIGTERM');
});
