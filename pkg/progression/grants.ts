import type { AdmittedEvent, JsonValue } from '../contract/event.js';
import type { EventReward, GameDefinition, RewardGrant } from '../games/port.js';
import { PoisonError } from '../kernel/errors.js';

/** A reward with what it is given for. */
export interface CausedReward extends RewardGrant {
  /** Unique for good per game and player. */
  readonly grantKey: string;
}

/** The index of receipts holds a row of at most 2,700 bytes; a cause is an id, not a story. */
const GRANT_KEY_MAX_BYTES = 512;
const UNSTORABLE = /[\0\p{Surrogate}]/u;

/** Everything that reaching the levels above `from`, up to `to`, grants. Empty when the level did not rise. */
export function levelRewards(definition: GameDefinition, from: number, to: number): CausedReward[] {
  const rewards: CausedReward[] = [];
  for (let level = from + 1; level <= to; level += 1) {
    for (const { reward, amount } of definition.levels?.rewardsFor(level) ?? []) {
      rewards.push({ grantKey: `level:${String(level)}:${reward}`, reward, amount });
    }
  }
  return rewards;
}

/**
 * What the definition's rules grant for one event, whatever was granted before.
 *
 * @throws PoisonError `bad_payload` where the payload is not what the rules were checked against
 */
export function eventRewards(event: AdmittedEvent, definition: GameDefinition): CausedReward[] {
  return definition.rewards
    .filter((rule) => rule.eventType === event.type)
    .map((rule) => causedReward(event, rule));
}

/** A definition's items hold no colon and its causes are apart by their first word, so no two causes share a key. */
function causedReward(event: AdmittedEvent, rule: EventReward): CausedReward {
  const cause = `${rule.causeName}:${textOf(event, rule.causeField)}`;
  const reward = 'fixed' in rule.reward ? rule.reward.fixed : textOf(event, rule.reward.field);
  const grantKey = rule.keyedByReward ? `${cause}:${reward}` : cause;
  if (Buffer.byteLength(grantKey) > GRANT_KEY_MAX_BYTES) throw badPayload(rule.causeField);
  return { grantKey, reward, amount: amountOf(event, rule) };
}

function amountOf({ payload }: AdmittedEvent, { amount }: EventReward): number {
  if ('fixed' in amount) return amount.fixed;
  const value = payload[amount.field];
  if (value === undefined) return amount.otherwise;
  if (!isWhole(value) || value === 0) throw badPayload(amount.field);
  return value;
}

function textOf({ payload }: AdmittedEvent, field: string): string {
  const value = payload[field];
  if (typeof value !== 'string' || value === '' || UNSTORABLE.test(value)) throw badPayload(field);
  return value;
}

/**
 * The XP of an event; null for an event that is not about XP.
 *
 * @throws PoisonError `bad_payload`
 */
export function xpOf(event: AdmittedEvent, { levels }: GameDefinition): number | null {
  if (levels === null || levels.eventType !== event.type) return null;
  const value = event.payload[levels.xpField];
  if (!isWhole(value)) throw badPayload(levels.xpField);
  return value;
}

const isWhole = (value: JsonValue | undefined): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0;

/** The gateway validated the payload; a bus is not trusted to have kept it. */
const badPayload = (field: string): PoisonError =>
  new PoisonError('bad_payload', `payload field ${JSON.stringify(field)} is not what the definition asks`);
