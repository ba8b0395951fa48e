// Writes .env.example from the table of options; with --check it only says whether the file is current.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { envExample } from '../pkg/runtime/config.js';

const file = fileURLToPath(new URL('../.env.example', import.meta.url));
if (!process.argv.includes('--check')) {
  writeFileSync(file, envExample());
} else if (readFileSync(file, 'utf8') !== envExample()) {
  console.error('.env.example is not current: run `npm run gen:env`');
  process.exitCode = 1;
}
