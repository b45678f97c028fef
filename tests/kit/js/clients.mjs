// clients -- the official SDK clients of both eras, connected to a hub; closed with the test.
import { Client as LegacyClient } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport as LegacyStdio } from '@modelcontextprotocol/sdk/client/stdio.js';
import { StreamableHTTPClientTransport as LegacyHttp } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernHttp } from '@modelcontextprotocol/client';
import { StdioClientTransport as ModernStdio } from '@modelcontextprotocol/client/stdio';

const info = { name: 'tests', version: '1.0.0' };

async function connected(t, client, transport) {
    await client.connect(transport);
    t.after(() => client.close().catch(() => {}));
    return client;
}

// SDK v1: 2025-11-25. `capabilities` as the client declares them; handlers are set before it connects.
export async function legacy_client(t, hub, { path = '/mcp', capabilities = {}, prepare } = {}) {
    const client = new LegacyClient(info, { capabilities });
    await prepare?.(client);
    return connected(t, client, new LegacyHttp(new URL(hub.url + path)));
}

// SDK v2: 2026-07-28, pinned unless `mode` says 'auto'.
export async function modern_client(t, hub, { path = '/mcp', capabilities = {}, mode = { pin: '2026-07-28' }, prepare } = {}) {
    const client = new ModernClient(info, { capabilities, versionNegotiation: { mode } });
    await prepare?.(client);
    return connected(t, client, new ModernHttp(new URL(hub.url + path)));
}

export async function legacy_stdio(t, command, args, options = {}) {
    const client = new LegacyClient(info, { capabilities: options.capabilities ?? {} });
    return connected(t, client, new LegacyStdio({ command, args, ...options.spawn }));
}

export async function modern_stdio(t, command, args, options = {}) {
    const client = new ModernClient(info, { capabilities: options.capabilities ?? {}, versionNegotiation: { mode: options.mode ?? 'auto' } });
    return connected(t, client, new ModernStdio({ command, args, ...options.spawn }));
}

export const clients = { legacy: legacy_client, modern: modern_client };
export const text_of = (result) => result.content.map((block) => block.text ?? '').join('');
