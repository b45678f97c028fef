// odd -- a small legacy server made in the test itself: one tool, `odd`, and whatever it does wrong.
import { NODE } from './hub.mjs';

const program = (on) => `
    const say = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\\n');
    const serverInfo = { name: 'odd', version: '1' };
    const usual = {
        initialize: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo },
        'tools/list': { tools: [{ name: 'odd', inputSchema: { type: 'object' } }] },
    };
    require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
        const { id, method, params } = JSON.parse(line);
        if (id === undefined) return;
        if (usual[method]) return say({ id, result: usual[method] });
        (${on})({ id, method, params }, say);
    });`;

// `on`: the text of a function ({id, method, params}, say) for requests other than initialize and tools/list;
// `more`: what the program does at its start.
export const odd = (on, more = '') => ({ command: NODE, args: ['-e', program(on) + more] });

export const REFUSES = `({ id }, say) => say({ id, error: { code: -32601, message: 'no' } })`;
// A statement for inside of `on`: the one right answer.
export const ANSWERS =
    `method === 'tools/call' ? say({ id, result: { content: [{ type: 'text', text: 'odd' }] } })
        : say({ id, error: { code: -32601, message: 'no' } })`;
