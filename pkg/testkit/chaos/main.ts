import { parseArgs } from 'node:util';
import { isExact } from '../../chaos/history.js';
import { describeKills, runChaos } from './harness.js';

// `make chaos`: real processes under load and SIGKILLs, for as long as told; ends with one line, and 1 when it is not exact.
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '180' },
    kills: { type: 'string', default: '100000' },
    clients: { type: 'string', default: '6' },
  },
});
const { verdict, kills, audit, letters, sums } = await runChaos({
  seconds: Number(values.seconds),
  killsMax: Number(values.kills),
  clients: Number(values.clients),
  pauseMs: [200, 900],
  broker: null,
  onProgress: (line) => console.log(line),
});
const killed = [...kills.values()].reduce((sum, count) => sum + count, 0);
console.log(`${describeKills(kills)}; sums of experience: ${JSON.stringify(sums)}`);
console.log(
  `sent ${String(verdict.sent)}, acknowledged ${String(verdict.acknowledged)}, processes killed ${String(killed)}: ` +
    `lost ${String(verdict.lost.length)}, doubled ${String(verdict.doubled.length)}, unexpected ${String(verdict.unexpected.length)}, ` +
    `dead letters ${String(letters.length)}, differences in the audit ${String(audit.differences.length)}`,
);
process.exitCode = isExact(verdict) && letters.length === 0 && audit.differences.length === 0 ? 0 : 1;
