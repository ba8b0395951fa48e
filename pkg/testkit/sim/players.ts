import type { JsonObject } from '../../contract/event.js';
import { sign } from '../../signing/sign.js';
import type { Chance } from './chance.js';
import type { SimAnswer, SimRequest } from './door.js';
import { GAMES, ROLLOVER_MS, secretOf, SECRETS_BEGIN } from './game.js';
import type { Fate, History, Intent } from './history.js';
import { SimNode } from './node.js';
import type { World } from './world.js';

/** Sends a request to a gateway of the caller's choice; null: no answer came. */
export type Send = (request: SimRequest) => Promise<SimAnswer | null>;

interface Request {
  readonly intents: readonly Intent[];
  readonly keyId: string;
  readonly idempotencyKey: string | null;
}

type Habit = 'honest' | 'forger' | 'wrong clock';

const ATTEMPTS_MAX = 30;
/** A wrong clock or signature, or too much at once: says nothing of the key. */
const PASSING: ReadonlySet<number> = new Set([401, 408, 429]);

interface Told {
  readonly results: readonly { readonly status: string; readonly retryable?: boolean }[];
}

/**
 * One sender of events: it keeps what it means to send until it is answered for good, or gives up. It retries under the
 * same ids, re-signed, in the same batch or in another one, and sometimes says different things under one id.
 */
export class SimClient {
  readonly node: SimNode;
  isDone = false;
  private readonly habit: Habit;
  private count = 0;

  constructor(
    private readonly world: World,
    private readonly name: string,
    private readonly history: History,
    private readonly send: Send,
    private readonly wire: (body: string, attempt: number) => string = (body) => body,
  ) {
    this.node = new SimNode(world, name);
    this.habit = world.chance.is(0.8) ? 'honest' : world.chance.pick(['forger', 'wrong clock'] as const);
  }

  async run(): Promise<void> {
    const { chance } = this.world;
    this.node.start();
    while (!this.world.isHealed) {
      const pauseMs = chance.is(0.05) ? chance.between(0, 60_000) : chance.between(0, 4_000);
      await this.node.clock.sleep(pauseMs * this.world.swarm.pace);
      await this.submit(this.request());
    }
    this.isDone = true;
  }

  private request(): Request {
    const { chance } = this.world;
    const gameId = chance.is(0.85) ? GAMES[0] : GAMES[1];
    const size = chance.is(0.5) ? 1 : 1 + chance.below(6);
    return {
      intents: Array.from({ length: size }, () => this.intent(gameId)),
      keyId: `${gameId}-${String(1 + chance.below(2))}`,
      idempotencyKey: chance.is(0.5) ? `${this.name}-k${String((this.count += 1))}` : null,
    };
  }

  private intent(gameId: string): Intent {
    // Few ids for all clients: two of them may say different things under one.
    const { chance } = this.world;
    const isShared = chance.is(this.world.swarm.sharedIds);
    const id = isShared ? `shared-${String(chance.below(4))}` : `${this.name}-e${String((this.count += 1))}`;
    return intentOf(this.world, gameId, id);
  }

  private async submit(request: Request): Promise<void> {
    const { chance } = this.world;
    let left = request;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX && left.intents.length > 0; attempt += 1) {
      const answer = await this.exchange(left, attempt);
      left = { ...left, intents: this.leftAfter(left, answer) };
      if (left.intents.length === 0) return;
      if (chance.is(0.03)) return; // gives up: nobody will ever know what became of it
      if (answer !== null && answer.status === 202 && left.idempotencyKey !== null)
        left = { ...left, idempotencyKey: null };
      else if (chance.is(0.15))
        left = { ...left, idempotencyKey: null, intents: chance.shuffled(left.intents) };
      await this.node.clock.sleep(chance.between(100, 3_000));
    }
  }

  /** What is not answered for good. */
  private leftAfter({ intents }: Request, answer: SimAnswer | null): readonly Intent[] {
    if (answer === null || answer.status >= 500 || answer.status === 429 || answer.status === 408)
      return intents;
    const fates = intents.map((intent) => this.history.fateOf(intent));
    if (answer.status === 202) {
      const { results } = JSON.parse(answer.body) as Told;
      return intents.filter((_, i) => !tell(fates[i], results[i]));
    }
    if (answer.status === 409 && answer.body.includes('request_in_progress')) return intents;
    for (const fate of fates) fate.refused += 1;
    return [];
  }

  private async exchange(request: Request, attempt: number): Promise<SimAnswer | null> {
    const { chance } = this.world;
    const { intents, idempotencyKey } = request;
    for (const intent of intents) this.history.fateOf(intent).sent += 1;
    const events = intents.map(({ playerId, id, type, tsMs, payload }) => ({
      ...{ id, type, playerId, ts: tsMs, payload },
    }));
    const isSingle = events.length === 1 && chance.is(0.5);
    const target = isSingle ? '/v1/events' : '/v1/events/batch';
    const body = this.wire(JSON.stringify(isSingle ? events[0] : events), attempt);
    const answer = await this.post(request, target, body);
    if (answer?.status === 202 && idempotencyKey !== null && chance.is(0.15))
      await this.repeat(request, target, body, answer);
    return answer;
  }

  /** The very same request once more, or another body under its key: the first answer stands for the key. */
  private async repeat(request: Request, target: string, body: string, first: SimAnswer): Promise<void> {
    const isOther = this.world.chance.is(0.4);
    const other = isOther ? [this.intent(request.intents[0]?.gameId ?? GAMES[0])] : request.intents;
    const fates = other.map((intent) => this.history.fateOf(intent));
    for (const fate of fates) fate.sent += 1;
    const [only] = other;
    const event = {
      ...{ id: only?.id, type: only?.type, playerId: only?.playerId, ts: only?.tsMs, payload: only?.payload },
    };
    const otherBody = JSON.stringify(target === '/v1/events' ? event : [event]);
    const answer = await this.post(request, target, isOther ? otherBody : body);
    if (answer === null || answer.status >= 500 || PASSING.has(answer.status)) return;
    if (isOther && answer.status === 202) {
      const { results } = JSON.parse(answer.body) as Told;
      fates.forEach((fate, i) => tell(fate, results[i]));
    } else if (isOther) for (const fate of fates) fate.refused += 1;
    this.history.repeats.push({ isOther, first, answer });
  }

  private async post(
    { keyId, idempotencyKey }: Request,
    target: string,
    body: string,
  ): Promise<SimAnswer | null> {
    const { chance } = this.world;
    const skewMs = this.habit === 'wrong clock' && chance.is(0.5) ? 900_000 : 0;
    const timestamp = String(Math.floor((this.node.clock.now() + skewMs) / 1000));
    const secret =
      this.habit === 'forger' && chance.is(0.5) ? 'another secret, long enough to be one' : secretOf(keyId);
    const key = idempotencyKey === null ? {} : { idempotencyKey };
    const { signature } = sign({ method: 'POST', target, keyId, timestamp, body, secret, ...key });
    const headers = {
      ...{ 'Content-Type': 'application/json', 'X-Key-Id': keyId },
      ...{ 'X-Timestamp': timestamp, 'X-Signature': signature },
      ...(idempotencyKey === null ? {} : { 'Idempotency-Key': idempotencyKey }),
    };
    const answer = await this.send({ target, headers, body });
    if (answer === null) return null;
    this.world.coverage.saw(`answer ${String(answer.status)}`);
    if (answer.body.includes(SECRETS_BEGIN)) this.history.leaks.push(answer.body);
    return answer;
  }
}

/** Notes the answer to one event of a batch; true when it is answered for good. */
export function tell(
  fate: Fate | undefined,
  result: { status: string; retryable?: boolean } | undefined,
): boolean {
  if (fate === undefined || result === undefined) throw new Error('the answer has another number of results');
  if (result.status !== 'rejected') fate.acknowledged += 1;
  else if (result.retryable === true) return false;
  else fate.refused += 1;
  return true;
}

/** Something that a player does. */
export function intentOf({ chance, nowMs, swarm }: World, gameId: string, id: string): Intent {
  const playerId = `p-${String(chance.below(swarm.players))}`;
  const type = chance.pick(['progression', 'progression', 'boss_kill', 'drop_claimed', 'chat']);
  return { gameId, playerId, id, type, tsMs: timeOf(chance, nowMs), payload: payloadOf(chance, type) };
}

/** Mostly now; sometimes late (it was offline), around the turn of the day, or ahead. */
function timeOf(chance: Chance, nowMs: number): number {
  const tsMs = chance.is(0.7)
    ? nowMs - chance.between(0, 2_000)
    : chance.is(0.6)
      ? ROLLOVER_MS + chance.between(-60_000, 90_000)
      : nowMs + chance.between(-4_000_000, 400_000);
  return Math.floor(tsMs);
}

function payloadOf(chance: Chance, type: string): JsonObject {
  const few = chance.below(4);
  switch (type) {
    case 'progression':
      return {
        deltaXp: chance.is(0.1) ? 0 : 1 + chance.below(chance.is(0.1) ? 5_000 : 120),
        activity: 'quest',
      };
    case 'boss_kill':
      return {
        bossId: `b-${String(few)}`,
        durationMs: 1 + chance.below(chance.is(0.1) ? 50 : 9),
        guild: `g-${String(few % 2)}`,
      };
    case 'drop_claimed':
      return {
        dropId: `d-${String(chance.below(20))}`,
        itemId: chance.pick(['sword', 'shield']),
        quantity: 1 + few,
      };
    default:
      return { text: 'hello' };
  }
}
