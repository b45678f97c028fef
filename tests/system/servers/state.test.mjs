// The state folder inside a served folder: as it is after `./bootstrap run`, where a checkout serves itself.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { text_of } from '../../kit/js/clients.mjs';
import { modern } from '../../kit/js/raw.mjs';
import { servers, start_hub } from '../../kit/js/hub.mjs';

test('no tool shows the state of the hub that runs it', async (t) => {
    const hub = await start_hub(t, {
        servers: (folder) => {
            writeFileSync(join(folder, 'shown.txt'), 'shown\n');
            execFileSync('git', ['init', '-q', folder]);
            execFileSync('git', ['-C', folder, 'add', 'shown.txt']);
            execFileSync('git', ['-C', folder, '-c', 'user.name=t', '-c', 'user.email=t@example.com', 'commit', '-qm', 'first']);
            return { ws: servers.workspace(folder) };
        },
    });
    const call = async (name, args) => (await modern(hub, '/mcp/ws').call('tools/call', { name, arguments: args })).result;
    const listed = text_of(await call('list_files', {}));
    assert.match(listed, /shown\.txt/);
    assert.doesNotMatch(listed, /state/);
    for (const path of ['state/run/hub.key', './state//run/hub.key', 'state/state.db', 'state']) {
        const read = await call('read_file', { path });
        assert.equal(read.isError, true, path);
        assert.match(text_of(read), /^refused: /);
    }
    assert.doesNotMatch(text_of(await call('search_text', { find: 'supervisor' })), /roles\.json/);
    assert.doesNotMatch(text_of(await call('show_diff', {})), /state\//);
    const resource = await modern(hub, '/mcp/ws').call('resources/read', { uri: 'workspace://main/files/state/run/hub.key' });
    assert.equal(resource.error.code, -32602);
});
