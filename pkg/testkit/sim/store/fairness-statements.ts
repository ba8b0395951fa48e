import { keyText, orderedBy, unnest, type Taught } from './meaning.js';
import type { Running, Session } from './session.js';
import type { Row } from './rows.js';

const KEY_COLUMNS = ['game_id', 'player_id', 'metric', 'partition'] as const;
const seriesKey = (row: Row): string => keyText(...KEY_COLUMNS.map((name) => row[name]));

function* createAbsent(session: Session, values: readonly unknown[]): Running<object[]> {
  for (const row of orderedBy(unnest(values, ...KEY_COLUMNS), seriesKey)) {
    yield* session.insert('fairness_baselines', seriesKey(row), {
      ...row,
      ...{ samples: 0, mean: 0, m2: 0, last_ts_ms: null },
    });
  }
  return [];
}

function* lock(session: Session, values: readonly unknown[]): Running<object[]> {
  const locked: object[] = [];
  for (const row of orderedBy(unnest(values, ...KEY_COLUMNS), seriesKey)) {
    const found = yield* session.lock('fairness_baselines', seriesKey(row), 'update');
    if (found !== null) locked.push(found);
  }
  return locked;
}

function* saveBaselines(session: Session, values: readonly unknown[]): Running<object[]> {
  for (const row of unnest(values, ...KEY_COLUMNS, 'samples', 'mean', 'm2', 'last_ts_ms'))
    yield* session.update('fairness_baselines', seriesKey(row), (before) => ({ ...before, ...row }));
  return [];
}

const SAMPLE_COLUMNS = [
  ...KEY_COLUMNS,
  ...(['sample_no', 'dedupe_day', 'identity', 'value', 'definition_version'] as const),
] as const;

function* saveSamples(session: Session, values: readonly unknown[]): Running<object[]> {
  for (const row of unnest(values, ...SAMPLE_COLUMNS))
    yield* session.insertNew('fairness_samples', keyText(seriesKey(row), row.sample_no), row);
  return [];
}

const FINDING_COLUMNS = [
  ...KEY_COLUMNS,
  ...(['sample_no', 'dedupe_day', 'identity', 'judged', 'definition_version', 'event_id', 'ts_ms'] as const),
  ...(['value', 'mean', 'deviation', 'z'] as const),
] as const;

function* saveFindings(session: Session, values: readonly unknown[]): Running<object[]> {
  for (const row of unnest(values, ...FINDING_COLUMNS)) {
    const key = keyText(row.game_id, row.player_id, row.metric, row.identity);
    yield* session.insertNew('suspicious_events', key, row);
  }
  return [];
}

export const fairnessStatements: readonly Taught[] = [
  { name: 'pkg/fairness/postgres.ts CREATE_ABSENT', fingerprint: '5aad4b4dceff', meaning: createAbsent },
  { name: 'pkg/fairness/postgres.ts LOCK', fingerprint: '8b9523c55d69', meaning: lock },
  { name: 'pkg/fairness/postgres.ts SAVE_BASELINES', fingerprint: '217788921ab5', meaning: saveBaselines },
  { name: 'pkg/fairness/postgres.ts SAVE_SAMPLES', fingerprint: 'd7bbddac82cd', meaning: saveSamples },
  { name: 'pkg/fairness/postgres.ts SAVE_FINDINGS', fingerprint: 'e1fcdc0d75fc', meaning: saveFindings },
];
