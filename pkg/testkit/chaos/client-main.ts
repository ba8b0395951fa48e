import { closeSync, openSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { History } from '../../chaos/history.js';
import { runLoad } from '../../chaos/load.js';
import { createSignedClient } from '../../client/signed-client.js';
import { systemClock } from '../../kernel/clock.js';
import { Chance } from '../sim/chance.js';
import { DEMO_SECRET } from '../stack.js';

// A client of the chaos run: posts until its standard input ends, and writes down what it intends and what it is told.
const { values } = parseArgs({
  options: {
    name: { type: 'string', default: 'client' },
    file: { type: 'string', default: '' },
    urls: { type: 'string', default: '' },
    players: { type: 'string', default: '40' },
    pause: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
  },
});
const over = new AbortController();
process.stdin.on('end', () => over.abort()).resume();
const file = openSync(values.file, 'a');
const clients = values.urls
  .split(',')
  .map((url) => createSignedClient({ url, keyId: 'demo', secret: DEMO_SECRET, clock: systemClock }));
await runLoad({
  name: values.name,
  clients,
  players: Number(values.players),
  history: new History((line) => writeSync(file, line)),
  clock: systemClock,
  random: new Chance(Number(values.seed)),
  pauseMs: Number(values.pause),
  signal: over.signal,
});
closeSync(file);
process.exit(0);
