// tsc writes only what it compiles. The running code also reads SQL, Lua, pages and data from beside itself, so they are
// copied to the same places below dist/.
import { cpSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ASSETS = /\.(sql|lua|html|js|yaml|json|ndjson)$/;
const FOLDERS = ['api', 'pkg', 'sample_events'];

for (const folder of FOLDERS) {
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !ASSETS.test(entry.name)) continue;
    const source = join(entry.parentPath ?? entry.path, entry.name);
    const target = join('dist', source);
    mkdirSync(dirname(target), { recursive: true });
    cpSync(source, target);
  }
}
