import { parseArgs } from 'node:util';
import { systemRandom } from '../../kernel/random.js';
import { fuzz } from './run.js';

// `make fuzz`: mutated requests against the listener; ends with what they were answered, and with 1 when something is wrong.
const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '200000' },
    seed: { type: 'string' },
    visit: { type: 'string' },
  },
});
const seed = values.seed === undefined ? systemRandom.bytes(4).readUInt32LE() : Number(values.seed);
console.log(`seed ${String(seed)}`);
const { requests, visits, ms, answers, shed, published, faults } = await fuzz({
  seed,
  requests: Number(values.count),
  ...(values.visit === undefined ? {} : { only: Number(values.visit) }),
  onProgress: (line) => console.log(line),
});
for (const [name, count] of [...answers].sort((a, b) => b[1] - a[1]))
  console.log(`${String(count).padStart(8)}  ${name}`);
for (const fault of faults) console.log(`FAULT ${fault}`);
console.log(
  `${String(requests)} requests on ${String(visits)} connections in ${(ms / 1000).toFixed(1)} s, ${String(shed)} shed, ${String(published)} events taken: ` +
    (faults.length === 0
      ? 'no fault'
      : `${String(faults.length)} faults; again: make fuzz SEED=${String(seed)}, one: VISIT=n`),
);
process.exitCode = faults.length === 0 ? 0 : 1;
