import type { JsonValue } from '../pkg/contract/event.js';
import type { Dice } from './dice.js';

export const SEASON_STARTS_AT_MS = Date.UTC(2026, 9, 20);
export const SEASON_DAYS = 30;
export const DAY_MS = 86_400_000;
export const SEASON_ENDS_AT_MS = SEASON_STARTS_AT_MS + SEASON_DAYS * DAY_MS;
const HOUR_MS = 3_600_000;

/** Something a player did, before it is given an id and written down. */
export interface Deed {
  readonly type: string;
  readonly tsMs: number;
  readonly payload: Record<string, JsonValue>;
  /** When the server wrote it down: hours after tsMs for a player who was offline. */
  readonly recordedAtMs: number;
}

export interface Player {
  readonly playerId: string;
  /** Sessions per day. */
  readonly activity: number;
  /** The UTC hour at which the player mostly begins to play. */
  readonly peakHour: number;
  /** Factor on the time a kill takes: below 1 is better than most. */
  readonly slowness: number;
  /** Factor on the experience of a gain. */
  readonly xpScale: number;
  readonly mainBoss: Boss;
  readonly joinsOnDay: number;
}

export interface Boss {
  readonly bossId: string;
  readonly medianMs: number;
  readonly health: number;
}

export const BOSSES: readonly Boss[] = [
  { bossId: 'hydra', medianMs: 180_000, health: 240_000 },
  { bossId: 'wyrm', medianMs: 240_000, health: 380_000 },
  { bossId: 'lich', medianMs: 300_000, health: 520_000 },
  { bossId: 'golem', medianMs: 150_000, health: 200_000 },
  { bossId: 'kraken', medianMs: 420_000, health: 900_000 },
  { bossId: 'ashen-queen', medianMs: 600_000, health: 1_500_000 },
];

/** What gives experience: [name, median gain], and how often it is done. Few great gains among many small ones. */
const ACTIVITIES: readonly (readonly [readonly [string, number], number])[] = [
  [['quest', 120], 60],
  [['dungeon', 420], 20],
  [['arena', 180], 12],
  [['daily', 260], 7],
  [['raid', 1_600], 1],
];
const RARITIES: readonly (readonly [string, number])[] = [
  ['common', 60],
  ['uncommon', 25],
  ['rare', 10],
  ['epic', 4],
  ['legendary', 1],
];
const ITEMS = ['herb', 'ore', 'scale', 'rune', 'blade', 'helm', 'cloak', 'gem', 'tome', 'egg'] as const;
const REGION_PEAK_HOURS = [11, 18, 19, 20, 26] as const;

export const createPlayer = (playerId: string, dice: Dice): Player => ({
  playerId,
  activity: Math.min(0.092 * Math.exp(0.85 * dice.normal()), 1.6),
  peakHour: dice.pick(REGION_PEAK_HOURS),
  slowness: Math.exp(0.25 * dice.normal()),
  xpScale: Math.exp(0.2 * dice.normal()),
  mainBoss: dice.pick(BOSSES),
  joinsOnDay: dice.chance(0.7) ? 0 : dice.int(1, 24),
});

/** A month of play without cheating: sessions around the player's hour, deeds minutes apart. */
export function honestDeeds(player: Player, dice: Dice): Deed[] {
  const deeds: Deed[] = [];
  let freeFromMs = SEASON_STARTS_AT_MS;
  for (let day = player.joinsOnDay; day < SEASON_DAYS; day += 1) {
    for (let chances = player.activity; chances > 0; chances -= 1) {
      if (!dice.chance(Math.min(chances, 1))) continue;
      const hour = player.peakHour + 2.5 * dice.normal();
      const startsAtMs = Math.floor(SEASON_STARTS_AT_MS + day * DAY_MS + hour * HOUR_MS);
      if (startsAtMs < freeFromMs) continue;
      const session = playSession(player, startsAtMs, dice);
      deeds.push(...session);
      freeFromMs = (session.at(-1)?.tsMs ?? startsAtMs) + HOUR_MS / 2;
    }
  }
  return deeds.filter(({ tsMs }) => tsMs < SEASON_ENDS_AT_MS);
}

/** How long after the deed the server writes it down, when the player is online. */
const ONLINE_DELAY_MS = 150;

function playSession(player: Player, startsAtMs: number, dice: Dice): Deed[] {
  const deeds: Deed[] = [];
  const offlineMs = dice.chance(0.015) ? dice.int(2 * HOUR_MS, 20 * HOUR_MS) : 0;
  let nowMs = startsAtMs;
  const note = (type: string, payload: Record<string, JsonValue>): void => {
    const lateMs = dice.chance(0.007) ? dice.int(HOUR_MS, 30 * HOUR_MS) : 0;
    deeds.push({ type, tsMs: nowMs, payload, recordedAtMs: nowMs + ONLINE_DELAY_MS + offlineMs + lateMs });
  };
  const pass = (leastMs: number, mostMs: number): void => void (nowMs += dice.int(leastMs, mostMs));
  for (let left = dice.int(3, 10); left > 0; left -= 1) {
    nowMs += 25_000 + Math.floor(150_000 * Math.exp(0.7 * dice.normal()));
    if (dice.chance(0.7)) {
      note('progression', gain(player, dice));
      if (dice.chance(0.1)) {
        pass(2_000, 8_000);
        note('drop_claimed', drop(dice));
      }
      continue;
    }
    const kill = bossKill(player, nowMs, dice);
    nowMs += Number(kill['durationMs']);
    note('boss_kill', kill);
    if (!dice.chance(0.65)) continue;
    pass(3_000, 12_000);
    note('drop_claimed', drop(dice));
    if (!dice.chance(0.06)) continue;
    // Some kills leave two things behind, and both are taken at once.
    pass(5_000, 12_000);
    note('drop_claimed', drop(dice));
  }
  return deeds;
}

export function gain(player: Player, dice: Dice): Record<string, JsonValue> {
  const [activity, median] = dice.weighted(ACTIVITIES);
  return {
    deltaXp: Math.max(1, Math.round(median * player.xpScale * Math.exp(0.35 * dice.normal()))),
    activity,
  };
}

function bossKill(player: Player, tsMs: number, dice: Dice): Record<string, JsonValue> {
  const boss = dice.chance(0.65) ? player.mainBoss : dice.pick(BOSSES);
  const partySize = dice.chance(0.5) ? 1 : dice.int(2, 5);
  const practice = 1 - (0.15 * (tsMs - SEASON_STARTS_AT_MS)) / (SEASON_DAYS * DAY_MS);
  const company = 1 / (0.75 + 0.25 * partySize);
  const durationMs = Math.round(
    boss.medianMs * player.slowness * practice * company * Math.exp(0.2 * dice.normal()),
  );
  const kill = { bossId: boss.bossId, durationMs };
  return dice.chance(0.8)
    ? { ...kill, damage: Math.round((boss.health * dice.between(0.9, 1.1)) / partySize), partySize }
    : kill;
}

export function drop(dice: Dice): Record<string, JsonValue> {
  const claimed = { dropId: `d-${dice.hex(12)}`, itemId: dice.pick(ITEMS), rarity: dice.weighted(RARITIES) };
  return dice.chance(0.3) ? { ...claimed, quantity: dice.int(1, 5) } : claimed;
}
