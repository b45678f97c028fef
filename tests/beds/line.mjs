// line -- one NDJSON line to a stdio server, for tests that must see bytes: no SDK between.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import process from 'node:process';

const WAIT_MS = 10_000;

function in_time(promise, what) {
    let late;
    const over = new Promise((_done, fail) => {
        late = setTimeout(
            () => fail(new assert.AssertionError({ message: `no ${what()} in ${WAIT_MS} ms` })),
            WAIT_MS,
        );
    });
    return Promise.race([promise, over]).finally(() => clearTimeout(late));
}

// Ends with the test. What it gives: send(object or text), next(test) for the first line yet unseen that
// fits, exit() for the status, end() to close stdin.
export function open_line(t, args, env = {}) {
    const child = spawn(process.execPath, args, {
        env: { PATH: process.env.PATH, ...env },
        stdio: ['pipe', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit').then(([code]) => code);
    t.after(async () => {
        child.kill('SIGKILL');
        await exit;
    });
    const unseen = [];
    let look = () => {};
    createInterface({ input: child.stdout }).on('line', (text) => {
        unseen.push(text);
        look();
    });
    const found = (fits) =>
        new Promise((done) => {
            look = () => {
                const at = unseen.findIndex(fits);
                if (at >= 0) {
                    look = () => {};
                    done(unseen.splice(at, 1)[0]);
                }
            };
            look();
        });
    return {
        pid: child.pid,
        unseen,
        exit: () => in_time(exit, () => 'exit'),
        end: () => child.stdin.end(),
        send: (what) => child.stdin.write(`${typeof what === 'string' ? what : JSON.stringify(what)}\n`),
        next: (fits, what = 'such line') => in_time(found(fits), () => `${what} (unseen: ${unseen})`),
    };
}

const parsed = (text) => {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
};

export const answers = (id) => (text) => parsed(text)?.id === id && parsed(text)?.method === undefined;
export const has_method = (method) => (text) => parsed(text)?.method === method;

// A call answered: the whole response
export async function asked(line, id, method, params) {
    line.send({ jsonrpc: '2.0', id, method, params });
    return JSON.parse(await line.next(answers(id), `answer to ${method}`));
}

export async function begin_legacy(line, capabilities = {}) {
    const clientInfo = { name: 'line', version: '1' };
    const params = { protocolVersion: '2025-11-25', capabilities, clientInfo };
    const { result } = await asked(line, 'init', 'initialize', params);
    line.send({ jsonrpc: '2.0', method: 'notifications/initialized' });
    return result;
}

export const MODERN_META = {
    'io.modelcontextprotocol/protocolVersion': '2026-07-28',
    'io.modelcontextprotocol/clientInfo': { name: 'line', version: '1' },
    'io.modelcontextprotocol/clientCapabilities': {},
};
