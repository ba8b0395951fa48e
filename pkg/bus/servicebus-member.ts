import { setMaxListeners } from 'node:events';
import type { ServiceBusClient } from '@azure/service-bus';
import type { RoleName } from '../kernel/roles.js';
import type { BackoffRule } from './backoff.js';
import type { DeliveryPolicy } from './deliver.js';
import { keepMembership } from './membership.js';
import type { BatchHandler, Subscription } from './port.js';
import { closeClient, openClient, within, type ServicebusAddress } from './servicebus-client.js';
import { Gather } from './servicebus-gather.js';
import { toDelivery } from './servicebus-message.js';
import { HeldSession } from './servicebus-session.js';
import { Wakeup } from './wakeup.js';

export interface MemberOptions extends DeliveryPolicy {
  readonly address: ServicebusAddress;
  readonly topic: string;
  readonly role: RoleName;
  readonly handler: BatchHandler;
  readonly batchMax: number;
  /** Sessions that a member holds at once. */
  readonly sessionsMax: number;
  /** How long the service holds the wish for a session open: an idle member looks so often whether it is still heard. */
  readonly acceptMs: number;
}

/** Wishes for a session that wait at the service at once; each is a link, also of an idle member. */
const ACCEPTS_MAX = 4;
/** The service answers a wish by then, or it is silent. */
const ANSWER_GRACE_MS = 5_000;
/** A session that was accepted has messages: giving it back before the first has travelled would only use up its deliveries. */
const FIRST_MS = 2_000;
/** It is given back when nothing more came for so long; sooner where it keeps another one from its turn. */
const IDLE_MS = { withRoom: 100, without: 10 };
/** A busy one after this time, so that sessions nobody holds and other members come to their turn. */
const TURN_MS = 5_000;
const REJOIN: BackoffRule = { baseMs: 100, capMs: 5_000 };

/**
 * One member of a role. It accepts sessions while it has room, works each until it is empty or its turn is over, and gives
 * it back. Every path leads back to accepting within seconds, and a wish that finds nothing is followed by a question that a living
 * service answers: so a client that was cut off, whose tokens are no longer renewed or that fell silent is
 * found out, and the member goes on with a new one.
 */
export function startMember(options: MemberOptions): Subscription {
  let member: Member | null = null;
  const onErrorText = 'the subscription cannot be read: the role joins again';
  return keepMembership({ ...options, rejoin: REJOIN, onErrorText }, (closing, onJoin) =>
    (member ??= new Member(options, closing)).beMember(onJoin),
  );
}

class Member {
  private readonly gather: Gather;
  /** Also of clients that broke: what they have in hand counts, so that a long outage cannot pile it up. */
  private readonly working = new Set<Promise<void>>();
  private accepting = 0;
  private readonly room = new Wakeup();

  constructor(
    private readonly options: MemberOptions,
    private readonly closing: AbortSignal,
  ) {
    this.gather = new Gather(options.handler, { ...options, signal: closing }, options.batchMax);
  }

  /** With one client, until the subscription closes; rejects when the client broke. */
  async beMember(onHeard: () => void): Promise<void> {
    const { address, acceptMs } = this.options;
    const broken = new AbortController();
    const client = await openClient(address, acceptMs);
    try {
      await this.work(client, broken, onHeard);
    } finally {
      broken.abort();
      await this.leave(client);
    }
  }

  /** The batch in hand is finished when the subscription closes; a broken client is not waited for. */
  private async leave(client: ServiceBusClient): Promise<void> {
    if (!this.closing.aborted) return void closeClient(client);
    await Promise.all(this.working);
    await closeClient(client);
  }

  /** Until the subscription closes; rejects as soon as the client is found to be broken. */
  private async work(client: ServiceBusClient, broken: AbortController, onHeard: () => void): Promise<void> {
    const signal = AbortSignal.any([this.closing, broken.signal]);
    // Every session and every wish waits with it for something.
    setMaxListeners(2 * this.options.sessionsMax + ACCEPTS_MAX, signal);
    signal.addEventListener('abort', () => this.room.wake(), { once: true });
    const accepting = Array.from({ length: ACCEPTS_MAX }, () => this.acceptAll(client, signal, onHeard));
    await Promise.all(accepting);
  }

  private async acceptAll(client: ServiceBusClient, signal: AbortSignal, onHeard: () => void): Promise<void> {
    const { topic, role, acceptMs, clock, logger, batchMax, sessionsMax } = this.options;
    while (!signal.aborted) {
      const seen = this.room.count;
      if (this.working.size + this.accepting >= sessionsMax) {
        await this.room.later(seen);
        continue;
      }
      this.accepting += 1;
      try {
        const session = await HeldSession.accept({
          client,
          topic,
          subscription: role,
          answerMs: acceptMs + ANSWER_GRACE_MS,
          credit: Math.min(batchMax, Math.ceil((2 * batchMax) / sessionsMax)),
          clock,
          logger,
          signal,
        });
        if (session !== null) this.take(session, signal);
        else if (!signal.aborted) await this.ask(client, signal);
        onHeard();
      } finally {
        this.accepting -= 1;
        this.room.wake();
      }
    }
  }

  /** The wish found nothing, or so the client says: a request of another kind shows whether it is still heard. */
  private async ask(client: ServiceBusClient, signal: AbortSignal): Promise<void> {
    const receiver = client.createReceiver(this.options.topic, this.options.role);
    try {
      await within(ANSWER_GRACE_MS, 'peeking', receiver.peekMessages(1), signal);
    } finally {
      void closeClient(receiver);
    }
  }

  private take(session: HeldSession, signal: AbortSignal): void {
    const working = this.turn(session, signal).finally(() => {
      this.working.delete(working);
      this.room.wake();
    });
    this.working.add(working);
  }

  /** Works one session for its turn. An error ends the turn: what was not completed comes again. */
  private async turn(session: HeldSession, signal: AbortSignal): Promise<void> {
    const { role, clock, logger, sessionsMax } = this.options;
    const endsAtMs = clock.monotonicMs() + TURN_MS;
    let patienceMs = FIRST_MS;
    try {
      while (!signal.aborted && clock.monotonicMs() < endsAtMs) {
        const messages = await session.take(patienceMs, signal);
        if (messages.length === 0) break;
        const settled = await this.gather.submit(messages.map(toDelivery));
        await session.complete(messages.filter((_, i) => settled[i] === true));
        if (settled.includes(false)) break;
        patienceMs = this.working.size < sessionsMax ? IDLE_MS.withRoom : IDLE_MS.without;
      }
    } catch (error) {
      logger.warn({ role, err: error }, 'a session ended early: what it had comes again');
    } finally {
      await session.close();
    }
  }
}
