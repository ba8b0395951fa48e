import type { ArchiveChanges } from '../pkg/archive/fold.js';
import type { FairnessChanges } from '../pkg/fairness/fold.js';
import { laneOf } from '../pkg/kernel/lanes.js';
import type { RoleName } from '../pkg/kernel/roles.js';
import type { BoardChanges } from '../pkg/leaderboard/fold.js';
import type { Sql } from '../pkg/postgres/port.js';
import type { ProgressionChanges } from '../pkg/progression/fold.js';
import { receiptIdOf } from '../pkg/progression/receipts.js';
import type { RoleEvent } from '../pkg/worker/port.js';

/** Rows of one table as columns: `name type` and its values. */
export interface RawTable {
  readonly table: string;
  /** Columns of the conflict target; null: the table has no unique key. */
  readonly key: readonly string[] | null;
  readonly columns: readonly (readonly [definition: string, values: readonly unknown[]])[];
}

/** One upsert per table, rows passed by `unnest`: no inbox question, no lock, no read, no fold. */
export async function writeRaw(sql: Sql, tables: readonly RawTable[]): Promise<void> {
  for (const { table, key, columns } of tables) {
    if ((columns[0]?.[1].length ?? 0) === 0) continue;
    const names = columns.map(([definition]) => definition.split(' ')[0] ?? '');
    const arrays = columns.map(([definition], i) => `$${String(i + 1)}::${definition.split(' ')[1] ?? ''}[]`);
    const rest = names.filter((name) => !(key ?? []).includes(name));
    const update = rest.map((name) => `${name} = excluded.${name}`).join(', ');
    const conflict = key === null ? '' : ` ON CONFLICT (${key.join(', ')}) DO UPDATE SET ${update}`;
    await sql.query(
      `INSERT INTO ${table} (${names.join(', ')}) SELECT * FROM unnest(${arrays.join(', ')})${conflict}`,
      columns.map(([, values]) => values),
    );
  }
}

/** What every role writes: an inbox row per event and a counter per lane. */
export function inboxRows(role: RoleName, events: readonly RoleEvent[]): RawTable[] {
  const rows = events.map(({ event }) => event);
  const lanes = rows.map(({ gameId, playerId }) => laneOf(gameId, playerId));
  const used = [...new Set(lanes)].sort((a, b) => a - b);
  const inLane = used.map((lane) => lanes.filter((other) => other === lane).length);
  return [
    {
      table: 'inbox',
      key: ['role', 'dedupe_day', 'identity'],
      columns: [
        ['role text', rows.map(() => role)],
        ['dedupe_day date', rows.map((row) => row.dedupeDay)],
        ['identity uuid', rows.map((row) => row.identity)],
        ['game_id text', rows.map((row) => row.gameId)],
        ['lane smallint', lanes],
        ['content_hash bytea', rows.map((row) => Buffer.from(row.contentHash, 'hex'))],
        ['definition_version int', rows.map((row) => row.definitionVersion)],
      ],
    },
    {
      table: 'role_counters',
      key: ['role', 'lane'],
      columns: [
        ['role text', used.map(() => role)],
        ['lane smallint', used],
        ['delivered bigint', inLane],
        ['applied bigint', inLane],
      ],
    },
  ];
}

const playerColumns = (
  players: readonly { readonly gameId: string; readonly playerId: string }[],
): RawTable['columns'] => [
  ['game_id text', players.map(({ gameId }) => gameId)],
  ['player_id text', players.map(({ playerId }) => playerId)],
];

export function archiveRows({ events, profiles }: ArchiveChanges): RawTable[] {
  const rows = events.map(({ event }) => event);
  const seen = [...profiles.values()];
  return [
    {
      table: 'events',
      key: null,
      columns: [
        ...playerColumns(rows),
        ['dedupe_day date', rows.map((row) => row.dedupeDay)],
        ['identity uuid', rows.map((row) => row.identity)],
        ['event_id text', rows.map((row) => row.id)],
        ['type text', rows.map((row) => row.type)],
        ['ts_ms bigint', rows.map((row) => row.tsMs)],
        ['received_at_ms bigint', rows.map((row) => row.receivedAtMs)],
        ['src text', rows.map((row) => row.src)],
        ['key_id text', rows.map((row) => row.keyId)],
        ['definition_version int', rows.map((row) => row.definitionVersion)],
        ['schema_version int', rows.map((row) => row.schemaVersion ?? null)],
        ['content_hash bytea', rows.map((row) => Buffer.from(row.contentHash, 'hex'))],
        ['payload jsonb', events.map(({ payload }) => payload)],
        ['context jsonb', events.map(({ context }) => context)],
      ],
    },
    {
      table: 'player_profiles',
      key: ['game_id', 'player_id'],
      columns: [
        ...playerColumns(seen),
        ['first_seen_ms bigint', seen.map((row) => row.firstSeenMs)],
        ['last_seen_ms bigint', seen.map((row) => row.lastSeenMs)],
        ['events bigint', seen.map((row) => row.events)],
      ],
    },
  ];
}

/** About as long as a real receipt. */
const JWS = 'x'.repeat(420);

export function progressionRows({ players, ledger, grants }: ProgressionChanges): RawTable[] {
  const rows = [...players.values()];
  const counted = ledger.map(({ event }) => event);
  const causes = grants.map(({ event }) => event);
  return [
    {
      table: 'player_progress',
      key: ['game_id', 'player_id'],
      columns: [
        ...playerColumns(rows),
        ['total_xp bigint', rows.map((row) => row.totalXp)],
        ['level int', rows.map((row) => row.level)],
        ['definition_version int', rows.map((row) => row.definition?.version ?? 0)],
        ['revision bigint', rows.map(() => 1)],
        ['updated_at_ms bigint', rows.map((row) => row.updatedAtMs)],
      ],
    },
    {
      table: 'progress_events',
      key: null,
      columns: [
        ...playerColumns(counted),
        ['ts_ms bigint', counted.map((row) => row.tsMs)],
        ['dedupe_day date', counted.map((row) => row.dedupeDay)],
        ['identity uuid', counted.map((row) => row.identity)],
        ['delta_xp bigint', ledger.map((row) => row.deltaXp)],
        ['definition_version int', counted.map((row) => row.definitionVersion)],
      ],
    },
    {
      table: 'receipts',
      key: ['game_id', 'player_id', 'grant_key'],
      columns: [
        ...playerColumns(causes),
        ['grant_key text', grants.map((row) => row.grantKey)],
        [
          'receipt_id text',
          grants.map(({ event, grantKey }) => receiptIdOf(event.gameId, event.playerId, grantKey)),
        ],
        ['reward text', grants.map((row) => row.reward)],
        ['amount bigint', grants.map((row) => row.amount)],
        ['cause text', grants.map((row) => row.grantKey)],
        ['ts_ms bigint', causes.map((row) => row.tsMs)],
        ['event_id text', causes.map((row) => row.id)],
        ['src text', causes.map((row) => row.src)],
        ['kid text', grants.map(() => 'k')],
        ['jws text', grants.map(() => JWS)],
        ['definition_version int', grants.map((row) => row.definitionVersion)],
      ],
    },
  ];
}

export function boardRows({ scores, cycles }: BoardChanges): RawTable[] {
  const place = (keys: readonly BoardChanges['cycles'][number]['key'][]): RawTable['columns'] => [
    ['game_id text', keys.map((key) => key.gameId)],
    ['board text', keys.map((key) => key.board)],
    ['cycle text', keys.map((key) => key.cycle)],
    ['partition text', keys.map((key) => key.partition)],
  ];
  const rows = scores.map(({ row }) => row);
  return [
    {
      table: 'board_scores',
      key: ['game_id', 'board', 'cycle', 'partition', 'subject'],
      columns: [
        ...place(scores.map(({ key }) => key)),
        ['subject text', scores.map(({ key }) => key.subject)],
        ['score bigint', rows.map((row) => row.score)],
        ['reached_at bigint', rows.map((row) => row.reachedAtMs)],
        ['reached_id text', rows.map((row) => row.reachedId)],
        ['definition_version int', rows.map((row) => row.definitionVersion)],
        ['revision bigint', rows.map((row) => row.revision)],
      ],
    },
    {
      table: 'board_cycles',
      key: ['game_id', 'board', 'cycle', 'partition'],
      columns: [
        ...place(cycles.map(({ key }) => key)),
        ['definition_version int', cycles.map((cycle) => cycle.definitionVersion)],
      ],
    },
  ];
}

export function fairnessRows({ baselines, samples, findings }: FairnessChanges): RawTable[] {
  const series = (keys: readonly FairnessChanges['samples'][number]['key'][]): RawTable['columns'] => [
    ...playerColumns(keys),
    ['metric text', keys.map((key) => key.metric)],
    ['partition text', keys.map((key) => key.partition)],
  ];
  const taken = (rows: FairnessChanges['samples']): RawTable['columns'] => [
    ...series(rows.map(({ key }) => key)),
    ['sample_no bigint', rows.map((row) => row.sampleNo)],
    ['dedupe_day date', rows.map((row) => row.dedupeDay)],
    ['identity uuid', rows.map((row) => row.identity)],
    ['definition_version int', rows.map((row) => row.definitionVersion)],
  ];
  const kept = [...baselines.values()];
  return [
    {
      table: 'fairness_baselines',
      key: ['game_id', 'player_id', 'metric', 'partition'],
      columns: [
        ...series(kept.map(({ key }) => key)),
        ['samples bigint', kept.map(({ baseline }) => baseline.samples)],
        ['mean float8', kept.map(({ baseline }) => baseline.mean)],
        ['m2 float8', kept.map(({ baseline }) => baseline.m2)],
        ['last_ts_ms bigint', kept.map(({ baseline }) => baseline.lastTsMs)],
      ],
    },
    {
      table: 'fairness_samples',
      key: ['game_id', 'player_id', 'metric', 'partition', 'sample_no'],
      columns: [...taken(samples), ['value float8', samples.map((row) => row.judged)]],
    },
    {
      table: 'suspicious_events',
      key: ['game_id', 'player_id', 'metric', 'identity'],
      columns: [
        ...taken(findings),
        ['judged float8', findings.map((row) => row.judged)],
        ['event_id text', findings.map((row) => row.eventId)],
        ['ts_ms bigint', findings.map((row) => row.tsMs)],
        ['value float8', findings.map((row) => row.value)],
        ['mean float8', findings.map((row) => row.mean)],
        ['deviation float8', findings.map((row) => row.deviation)],
        ['z float8', findings.map((row) => row.z)],
      ],
    },
  ];
}
