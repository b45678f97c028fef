// wire -- one TCP connection to the hub, byte by byte: for requests that no HTTP client would send.
import { once } from 'node:events';
import { connect } from 'node:net';

const PATIENCE_MS = 8000;

function in_time(promise, what) {
    let timer;
    const late = new Promise((_, refuse) => {
        timer = setTimeout(() => refuse(new Error(`${what()} after ${PATIENCE_MS} ms`)), PATIENCE_MS);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// A chunked body from `at` on: {text, end}, or null while it is not whole.
function read_chunks(bytes, at) {
    const parts = [];
    for (;;) {
        const line_end = bytes.indexOf('\r\n', at);
        if (line_end < 0) return null;
        const size = parseInt(bytes.toString('latin1', at, line_end), 16);
        const end = line_end + 2 + size;
        if (bytes.length < end + 2) return null;
        if (size === 0) return { text: Buffer.concat(parts).toString('utf8'), end: end + 2 };
        parts.push(bytes.subarray(line_end + 2, end));
        at = end + 2;
    }
}

// The first response in `bytes`: {status, headers, text, end}, or null while it is not whole.
function read_response(bytes, is_over) {
    const head_end = bytes.indexOf('\r\n\r\n');
    if (head_end < 0) return null;
    const [first, ...lines] = bytes.toString('latin1', 0, head_end).split('\r\n');
    const headers = Object.fromEntries(lines.map((line) => {
        const at = line.indexOf(':');
        return [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()];
    }));
    const status = Number(first.split(' ')[1]);
    const response = { status, first, headers, text: '', end: head_end + 4 };
    if (status < 200 || status === 204 || status === 304) return response;
    if (headers['transfer-encoding'] === 'chunked') {
        const body = read_chunks(bytes, response.end);
        return body && { ...response, ...body };
    }
    const length = headers['content-length'] === undefined ? null : Number(headers['content-length']);
    if (length === null ? !is_over : bytes.length < response.end + length) return null;
    const end = length === null ? bytes.length : response.end + length;
    return { ...response, text: bytes.toString('utf8', response.end, end), end };
}

// wire(t, hub) -> {say(bytes), reply(), closed(), hang_up(), reset()}; destroyed with the test.
export async function wire(t, hub, { path } = {}) {
    const socket = path ? connect({ path }) : connect({ host: '127.0.0.1', port: Number(new URL(hub.url).port) });
    let seen = Buffer.alloc(0), is_over = false, wake = () => {};
    socket.on('data', (bytes) => { seen = Buffer.concat([seen, bytes]); wake(); });
    socket.on('error', () => {});
    socket.on('end', () => { is_over = true; wake(); });
    const closed = new Promise((resolve) => socket.on('close', () => { is_over = true; wake(); resolve(true); }));
    await in_time(once(socket, 'connect'), () => 'no connection');
    t.after(() => socket.destroy());
    async function next_reply() {
        for (;;) {
            const response = read_response(seen, is_over);
            if (response) {
                seen = seen.subarray(response.end);
                return response;
            }
            if (is_over) return { status: 0, headers: {}, text: seen.toString('latin1') };
            await new Promise((resolve) => { wake = resolve; });
        }
    }
    return {
        socket,
        say: (bytes) => socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes),
        // status 0: the connection ended without one
        reply: () => in_time(next_reply(), () => `no whole response but ${JSON.stringify(seen.toString('latin1'))}`),
        // The hub has said its last word (its end of the connection is closed).
        ended: () => in_time((async () => { while (!is_over) await new Promise((resolve) => { wake = resolve; }); })(), () => 'still open'),
        closed: () => in_time(closed, () => 'not closed'),
        hang_up: () => socket.end(),
        reset: () => socket.resetAndDestroy(),
        get is_over() { return is_over; },
        get rest() { return seen.toString('latin1'); },
    };
}
