import type { BusMessage } from '../bus/port.js';
import type { AdmittedEvent } from '../contract/event.js';
import { messageIdOf } from '../contract/identity.js';
import { problemKind } from '../contract/problem.js';
import { Deadlines } from './deadlines.js';
import type { EventResult } from './event-result.js';
import { encodeAdmitted } from './encode.js';
import { judgeEvent, type Admission, type Rejection } from './judge-event.js';
import type { IngestDeps } from './port.js';
import { RecentEvents } from './recent-events.js';
import type { JsonRead } from '../contract/strict-json.js';

/** Judges the events of a request and publishes the new ones, all at once. */
export class Publisher {
  readonly #bus: IngestDeps['bus'];
  readonly #maxEventBytes: number;
  readonly #recent: RecentEvents;
  readonly #deadlines: Deadlines;

  constructor({ bus, limits, clock }: IngestDeps) {
    this.#bus = bus;
    this.#maxEventBytes = limits.maxEventBytes;
    this.#recent = new RecentEvents(limits.recentEvents);
    this.#deadlines = new Deadlines('the bus', limits.publishTimeoutMs, clock);
  }

  /**
   * Rejects as the bus does, or with OutageError after its time: then no event of the request is remembered.
   *
   * @param traceparent what caused the messages, for who traces them
   */
  async publish(
    items: readonly JsonRead[],
    admission: Admission,
    traceparent: string | null,
  ): Promise<EventResult[]> {
    const headers = traceparent === null ? undefined : { traceparent };
    const results: EventResult[] = [];
    const messages: BusMessage[] = [];
    const fresh: AdmittedEvent[] = [];
    const seen = items.length > 1 ? new Map<string, string>() : null;
    for (let index = 0; index < items.length; index += 1) {
      const item = items[index] as JsonRead;
      const judged = item.ok ? judgeEvent(item.value, admission) : item;
      if (!judged.ok) {
        results.push(rejected(index, judged));
        continue;
      }
      const { event } = judged;
      const known = this.#recent.contentOf(event.identity) ?? seen?.get(event.identity);
      if (known !== undefined) {
        results.push(
          known === event.contentHash ? took(index, 'duplicate', event.id) : conflict(index, event.id),
        );
        continue;
      }
      const body = encodeAdmitted(event, judged.payloadText);
      if (this.#isTooLarge(body)) {
        results.push(rejected(index, { ok: false, code: 'event_too_large', eventId: event.id }));
        continue;
      }
      seen?.set(event.identity, event.contentHash);
      fresh.push(event);
      messages.push(new EventMessage(event, body, headers));
      results.push(took(index, 'accepted', event.id));
    }
    if (messages.length > 0) {
      await this.#deadlines.within(this.#bus.publish(messages));
      for (const { identity, contentHash } of fresh) this.#recent.remember(identity, contentHash);
    }
    return results;
  }

  /** No UTF-16 unit takes more than three bytes, so most bodies need not be measured. */
  #isTooLarge(body: string): boolean {
    return body.length * 3 > this.#maxEventBytes && Buffer.byteLength(body) > this.#maxEventBytes;
  }
}

/** Its message id is a hash of its own: made for the buses that read it, once however often they do. */
class EventMessage implements BusMessage {
  readonly gameId: string;
  readonly playerId: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly #identity: string;
  readonly #contentHash: string;
  #messageId: string | null = null;

  constructor(
    event: AdmittedEvent,
    readonly body: string,
    headers: BusMessage['headers'],
  ) {
    if (headers !== undefined) this.headers = headers;
    this.gameId = event.gameId;
    this.playerId = event.playerId;
    this.#identity = event.identity;
    this.#contentHash = event.contentHash;
  }

  get messageId(): string {
    return (this.#messageId ??= messageIdOf(this.#identity, this.#contentHash, 0));
  }
}

const took = (index: number, status: 'accepted' | 'duplicate', eventId: string): EventResult => ({
  index,
  status,
  eventId,
});

const conflict = (index: number, eventId: string): EventResult =>
  rejected(index, { ok: false, code: 'event_id_conflict', pointer: '/id', eventId });

function rejected(index: number, { code, pointer, eventId, detail }: Rejection): EventResult {
  return {
    index,
    status: 'rejected',
    ...(eventId === undefined ? {} : { eventId }),
    code,
    ...(pointer === undefined || pointer === '' ? {} : { pointer }),
    ...(detail === undefined ? {} : { detail }),
    retryable: problemKind(code).retryable ?? false,
  };
}
