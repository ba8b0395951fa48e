import { writeFileSync } from 'node:fs';
import { generateSeason } from './season.js';

/** Writes the season beside this file: `npx tsx sample_events/generate.ts`. */
const { text, labels, summary } = generateSeason();
const write = (name: string, content: string): void => writeFileSync(new URL(name, import.meta.url), content);
const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

write('season.ndjson', text);
write('labels.json', json(labels));
write('summary.json', json(summary));
process.stdout.write(json(summary));
