import { createHash } from 'node:crypto';
import type { JsonValue } from '../pkg/contract/event.js';
import { CHEAT_KINDS, CHEATS, type CheatKind } from './cheaters.js';
import { createDice, type Dice } from './dice.js';
import { createPlayer, honestDeeds, type Deed, type Player } from './play.js';

export const SEED = 2026_10_20;
export const PLAYERS = 500;
/** Cheaters and the players with odd names play enough to be worth looking at. */
const BUSY_ACTIVITY = 1;
const HOUR_MS = 3_600_000;

/** One line of season.ndjson: an event exactly as a client posts it. */
export interface SeasonEvent {
  readonly id: string;
  readonly type: string;
  readonly playerId: string;
  readonly ts: number | string;
  readonly payload: { readonly [key: string]: JsonValue };
}

export interface Label {
  readonly playerId: string;
  readonly kind: CheatKind;
  /** Time of the first event that cheats, RFC 3339. */
  readonly from: string;
  readonly note: string;
  readonly expectedMetrics: readonly string[];
  /** Ids of the events that cheat. */
  readonly eventIds: readonly string[];
}

export interface Summary {
  readonly seed: number;
  readonly players: number;
  readonly cheaters: number;
  readonly cheatedEvents: number;
  readonly lines: number;
  /** Different events: what a system that counts each once has accepted. */
  readonly unique: number;
  /** Lines that repeat an earlier line byte for byte. */
  readonly duplicates: number;
  /** Lines with the id of an earlier event of the player and other content: to be refused. */
  readonly conflicts: readonly { readonly playerId: string; readonly id: string }[];
  /** Unique events of each type; `photo_taken` is not in the definition. */
  readonly byType: Readonly<Record<string, number>>;
  /** Unique events recorded more than an hour after they happened. */
  readonly late: number;
  readonly firstTsMs: number;
  readonly lastTsMs: number;
  readonly sha256: string;
}

export interface Season {
  /** season.ndjson */
  readonly text: string;
  readonly labels: readonly Label[];
  readonly summary: Summary;
}

/** A line and when it was recorded. */
interface Recorded {
  readonly event: SeasonEvent;
  /** What the line tells of. */
  readonly deed: Deed;
  readonly recordedAtMs: number;
  readonly kind: 'first' | 'duplicate' | 'conflict';
}

/** Names that a real season has too: other scripts, both normal forms of one name, joined emoji, right-to-left. */
const ODD_NAMES: readonly string[] = [
  'Zoë',
  'Jos\u00e9',
  'Jose\u0301',
  'игрок-17',
  'プレイヤー三',
  '玩家-8',
  'لاعب-4',
  'שחקן-9',
  'παίκτης',
  'ผู้เล่น-2',
  '👩‍🚀-rocket',
  'Łukasz Żółć',
  'o\u2019neill & sons',
  'a.b:c_d-e',
  '<b>bold</b>',
  'p 0512',
];

/** The whole season. The same seed gives the same bytes. */
export function generateSeason(seed: number = SEED): Season {
  const kinds = castOf();
  const labels: Label[] = [];
  const recorded: Recorded[] = [];
  for (let index = 0; index < PLAYERS; index += 1) {
    const oddName = index % 31 === 7 ? ODD_NAMES[(index - 7) / 31] : undefined;
    const playerId = oddName ?? `p-${String(index + 1).padStart(4, '0')}`;
    const kind = kinds.get(index);
    const dice = createDice(seed, index);
    const player = createPlayer(playerId, dice);
    const isBusy = oddName !== undefined || kind !== undefined;
    const honest = honestPlay(isBusy ? { ...player, activity: BUSY_ACTIVITY, joinsOnDay: 0 } : player, dice);
    if (kind === undefined) {
      recorded.push(...recordingOf(playerId, honest, dice));
      continue;
    }
    const { deeds, cheated } = CHEATS[kind].apply(honest, player, dice);
    const lines = recordingOf(
      playerId,
      deeds.toSorted((a, b) => a.tsMs - b.tsMs),
      dice,
    );
    recorded.push(...lines);
    labels.push(
      labelOf(
        playerId,
        kind,
        lines.filter(({ deed, kind: line }) => line === 'first' && cheated.has(deed)),
      ),
    );
  }
  recorded.sort((a, b) => a.recordedAtMs - b.recordedAtMs);
  const lines = recorded.map(({ event }) => JSON.stringify(event));
  const text = `${lines.join('\n')}\n`;
  return { text, labels, summary: summaryOf(seed, recorded, labels, text) };
}

/** Who cheats and how: spread over the players, the same for every seed. */
function castOf(): ReadonlyMap<number, CheatKind> {
  const kinds = CHEAT_KINDS.flatMap((kind) => Array<CheatKind>(CHEATS[kind].players).fill(kind));
  return new Map(kinds.map((kind, i) => [(i * 19 + 12) % PLAYERS, kind]));
}

const ATTEMPTS_MAX = 100;

function honestPlay(player: Player, dice: Dice): readonly Deed[] {
  let deeds: Deed[] = [];
  // The laziest players may not play at all on the first throw; everyone is in the season.
  for (let attempt = 0; deeds.length === 0 && attempt < ATTEMPTS_MAX; attempt += 1)
    deeds = honestDeeds(player, dice);
  return deeds;
}

function labelOf(playerId: string, kind: CheatKind, cheated: readonly Recorded[]): Label {
  const { note, expectedMetrics } = CHEATS[kind];
  const from = new Date(Math.min(...cheated.map(({ deed }) => deed.tsMs))).toISOString();
  return { playerId, kind, from, note, expectedMetrics, eventIds: cheated.map(({ event }) => event.id) };
}

/** A player's deeds as lines, with what goes wrong on the way: retries, a changed retry, a second claim of one drop. */
function recordingOf(playerId: string, deeds: readonly Deed[], dice: Dice): Recorded[] {
  const recorded: Recorded[] = [];
  const write = (deed: Deed): void => {
    const payload = dice.chance(0.01) ? { ...deed.payload, clientFps: dice.int(24, 144) } : deed.payload;
    const event = {
      id: idOf(deed.tsMs, dice),
      type: deed.type,
      playerId,
      ts: written(deed.tsMs, dice),
      payload,
    };
    recorded.push({ event, deed, recordedAtMs: deed.recordedAtMs, kind: 'first' });
    if (dice.chance(0.012)) {
      const recordedAtMs = deed.recordedAtMs + dice.int(2_000, dice.chance(0.2) ? 6 * HOUR_MS : 120_000);
      recorded.push({ event, deed, recordedAtMs, kind: 'duplicate' });
    }
  };
  for (const deed of deeds) {
    write(deed);
    if (deed.type === 'drop_claimed' && dice.chance(0.004)) {
      write({ ...deed, tsMs: deed.tsMs + 40_000, recordedAtMs: deed.recordedAtMs + 40_000 });
    }
    if (dice.chance(0.0007))
      write({ ...deed, type: 'photo_taken', payload: { place: 'harbour', filter: 'sepia' } });
  }
  return [...recorded, ...conflictOf(recorded, dice)];
}

/** Rarely a client sends an event again with a greater gain under the same id. */
function conflictOf(recorded: readonly Recorded[], dice: Dice): Recorded[] {
  if (!dice.chance(0.01)) return [];
  const victim = recorded.find(({ event, kind }) => kind === 'first' && event.type === 'progression');
  if (victim === undefined) return [];
  const payload = { ...victim.event.payload, deltaXp: Number(victim.event.payload['deltaXp']) + 1_000 };
  return [
    {
      ...victim,
      event: { ...victim.event, payload },
      recordedAtMs: victim.recordedAtMs + 30_000,
      kind: 'conflict',
    },
  ];
}

/** UUIDv7 (RFC 9562) for most, a ULID for some. Both carry their day, so that a moved season stays the same events. */
function idOf(tsMs: number, dice: Dice): string {
  if (dice.chance(0.1)) return ulid(tsMs, dice);
  const time = tsMs.toString(16).padStart(12, '0');
  const variant = dice.pick(['8', '9', 'a', 'b']);
  return `${time.slice(0, 8)}-${time.slice(8)}-7${dice.hex(3)}-${variant}${dice.hex(3)}-${dice.hex(12)}`;
}

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** 48 bits of milliseconds and 80 random bits, in 26 digits of five bits. */
function ulid(tsMs: number, dice: Dice): string {
  let bits = BigInt(tsMs);
  for (let byte = 0; byte < 10; byte += 1) bits = (bits << 8n) | BigInt(dice.int(0, 255));
  let text = '';
  for (; text.length < 26; bits >>= 5n) text = CROCKFORD.charAt(Number(bits & 31n)) + text;
  return text;
}

/** Seconds with a fraction, milliseconds or RFC 3339 (UTC or with an offset): all three are allowed. */
function written(tsMs: number, dice: Dice): number | string {
  const form = dice.unit();
  if (form < 0.7) return tsMs / 1000;
  if (form < 0.9) return tsMs;
  if (form < 0.97) return new Date(tsMs).toISOString();
  return `${new Date(tsMs + 2 * HOUR_MS).toISOString().slice(0, -1)}+02:00`;
}

function summaryOf(
  seed: number,
  recorded: readonly Recorded[],
  labels: readonly Label[],
  text: string,
): Summary {
  const first = recorded.filter(({ kind }) => kind === 'first');
  const byType: Record<string, number> = {};
  for (const { event } of first) byType[event.type] = (byType[event.type] ?? 0) + 1;
  const times = first.map(({ deed }) => deed.tsMs);
  return {
    seed,
    players: new Set(first.map(({ event }) => event.playerId)).size,
    cheaters: labels.length,
    cheatedEvents: labels.reduce((total, { eventIds }) => total + eventIds.length, 0),
    lines: recorded.length,
    unique: first.length,
    duplicates: recorded.filter(({ kind }) => kind === 'duplicate').length,
    conflicts: recorded
      .filter(({ kind }) => kind === 'conflict')
      .map(({ event }) => ({ playerId: event.playerId, id: event.id })),
    byType: Object.fromEntries(Object.entries(byType).sort(([a], [b]) => (a < b ? -1 : 1))),
    late: first.filter(({ deed, recordedAtMs }) => recordedAtMs - deed.tsMs > HOUR_MS).length,
    firstTsMs: times.reduce((least, tsMs) => Math.min(least, tsMs)),
    lastTsMs: times.reduce((greatest, tsMs) => Math.max(greatest, tsMs)),
    sha256: createHash('sha256').update(text).digest('hex'),
  };
}
