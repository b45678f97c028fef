#!/usr/bin/env node
// conformance-upstream -- the MCP server that the conformance suite, and our own tests, call through the hub.
//
//   ERA=legacy|modern|dual  conformance-upstream.mjs --stdio
//   ERA=...  PORT=0         conformance-upstream.mjs           prints the port, then serves /mcp on 127.0.0.1
//
// Further environment, all optional (beds/README.md): BED_LOG, BED_VERSIONS, BED_START_MS.
import process from 'node:process';

import { make_bed } from './fixture/bed.mjs';
import { serve_http } from './fixture/http.mjs';
import { serve_wire } from './fixture/stdio.mjs';

const ERAS = ['legacy', 'modern', 'dual'];

function settings_from(env, argv) {
    const era = env.ERA ?? 'dual';
    if (!ERAS.includes(era)) {
        throw new Error(`ERA is '${era}', not one of ${ERAS.join(', ')}`);
    }
    const unknown = argv.find((word) => word !== '--stdio');
    if (unknown !== undefined) {
        throw new Error(`unknown argument '${unknown}'`);
    }
    return {
        era,
        stdio: argv.includes('--stdio'),
        port: Number(env.PORT ?? 0),
        log: env.BED_LOG,
        versions: env.BED_VERSIONS?.split(','),
        start_ms: Number(env.BED_START_MS ?? 0),
    };
}

async function main() {
    const settings = settings_from(process.env, process.argv.slice(2));
    const bed = make_bed(settings);
    bed.journal('start', { era: settings.era, stdio: settings.stdio, argv: process.argv, env: process.env });
    if (settings.start_ms > 0) {
        await new Promise((done) => setTimeout(done, settings.start_ms));
    }
    const close = settings.stdio ? await serve_wire(bed) : await serve_http(bed);
    for (const signal of ['SIGTERM', 'SIGINT']) {
        process.once(signal, () => {
            bed.journal('signal', { signal });
            close().finally(() => process.exit(0));
        });
    }
}

main().catch((error) => {
    process.stderr.write(`conformance-upstream: ${error.message}\n`);
    process.exit(2);
});
