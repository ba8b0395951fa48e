import type { Clock } from '../kernel/clock.js';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import { laneOf } from '../kernel/lanes.js';
import { plainArray } from '../postgres/plain-array.js';
import type { Sql } from '../postgres/port.js';
import { checkMessageIds, checkMessages } from './message.js';
import type { BusMessage } from './port.js';

export interface PublisherOptions {
  readonly sql: Sql;
  readonly clock: Clock;
  /** After each flush that is durable. */
  readonly onPublished: () => void;
  /** Messages that may wait for the flush in flight; beyond it `publish` rejects with OutageError. */
  readonly queueMax?: number;
  /** A caller waits no longer; whether its messages arrived is then unknown. */
  readonly timeoutMs?: number;
}

const QUEUE_MAX = 10_000;
const QUEUE_BYTES_MAX = 64 * 1024 * 1024;
const FLUSH_MAX = 1_000;
const FLUSH_BYTES_MAX = 4 * 1024 * 1024;
const TIMEOUT_MS = 10_000;

interface Call {
  readonly messages: readonly BusMessage[];
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Group commit: one flush in flight, everything that arrives meanwhile goes with the next. A call is never split over
 * two flushes, so its messages are durable together or not at all.
 */
export class PostgresPublisher {
  private readonly queue: Call[] = [];
  private queued = 0;
  private queuedBytes = 0;
  private flushing: Promise<void> | null = null;
  private isClosed = false;

  constructor(private readonly options: PublisherOptions) {}

  /**
   * Resolves when the messages are committed.
   *
   * @throws OutageError when that is not known, or the queue is full
   * @throws FairtallyError `message_refused`, `bus_closed`
   */
  async publish(messages: readonly BusMessage[]): Promise<void> {
    if (this.isClosed) throw new FairtallyError('bus_closed', 'the bus is closed');
    const bytes = checkMessages(messages);
    checkMessageIds(messages);
    if (messages.length === 0) return;
    const isFull =
      this.queued + messages.length > (this.options.queueMax ?? QUEUE_MAX) ||
      this.queuedBytes + bytes > QUEUE_BYTES_MAX;
    if (isFull)
      throw new OutageError('The bus', new Error('too many messages wait to be published'), 'overloaded');
    return new Promise((resolve, reject) => {
      this.queue.push({ messages, bytes, resolve, reject });
      this.queued += messages.length;
      this.queuedBytes += bytes;
      this.flushing ??= this.flushAll();
    });
  }

  /** Refuses new messages, ends when the accepted ones are answered. */
  async close(): Promise<void> {
    this.isClosed = true;
    while (this.flushing !== null) await this.flushing;
  }

  private async flushAll(): Promise<void> {
    while (this.queue.length > 0) await this.flush(this.nextCalls());
    // In the same turn as the last look at the queue: a call that comes later begins the next round.
    this.flushing = null;
  }

  /** The head of the queue, as many calls as one flush carries; a greater call goes alone. */
  private nextCalls(): Call[] {
    let messages = 0;
    let bytes = 0;
    let calls = 0;
    for (const call of this.queue) {
      messages += call.messages.length;
      bytes += call.bytes;
      if (calls > 0 && (messages > FLUSH_MAX || bytes > FLUSH_BYTES_MAX)) break;
      calls += 1;
    }
    return this.takeFromQueue(calls);
  }

  private takeFromQueue(count: number): Call[] {
    const calls = this.queue.splice(0, count);
    for (const call of calls) {
      this.queued -= call.messages.length;
      this.queuedBytes -= call.bytes;
    }
    return calls;
  }

  private async flush(calls: readonly Call[]): Promise<void> {
    const done = new AbortController();
    void this.watch(calls, done.signal);
    try {
      await insert(
        this.options.sql,
        calls.flatMap((call) => call.messages),
      );
      for (const call of calls) call.resolve();
      this.options.onPublished();
    } catch (error) {
      for (const call of calls) call.reject(asOutage(error));
    } finally {
      done.abort();
    }
  }

  /** While a flush hangs, nobody who waits for it or behind it waits longer than the timeout. */
  private async watch(calls: readonly Call[], done: AbortSignal): Promise<void> {
    for (let waiting = calls; ; waiting = this.takeFromQueue(this.queue.length)) {
      await this.options.clock.sleep(this.options.timeoutMs ?? TIMEOUT_MS, done);
      if (done.aborted) return;
      for (const call of waiting)
        call.reject(new OutageError('The bus', new Error('publishing takes too long')));
    }
  }
}

const asOutage = (error: unknown): OutageError =>
  error instanceof OutageError ? error : new OutageError('The bus', error);

/**
 * The lane rows are locked in order before positions are taken, and stay locked until the commit: in a lane, position
 * order is commit order without gaps, so a reader who has seen a position has seen all before it.
 */
const INSERT = `
  WITH given AS MATERIALIZED (
    SELECT * FROM unnest($1::smallint[], $2::text[], $3::text[], $4::text[], $5::text[], $8::int[], $9::int[])
      WITH ORDINALITY AS g (lane, game_id, player_id, message_id, headers, first, bytes, n)
  ), locked AS MATERIALIZED (
    SELECT lane, next_position FROM bus_lanes WHERE lane = ANY ($7::smallint[]) ORDER BY lane FOR UPDATE
  ), moved AS (
    UPDATE bus_lanes b SET next_position = l.next_position + w.messages
      FROM locked l JOIN (SELECT lane, count(*) AS messages FROM given GROUP BY lane) w USING (lane)
     WHERE b.lane = l.lane
  )
  INSERT INTO bus_events (lane, position, game_id, player_id, message_id, headers, body)
  SELECT g.lane, l.next_position + row_number() OVER (PARTITION BY g.lane ORDER BY g.n) - 1,
         g.game_id, g.player_id, g.message_id, g.headers::jsonb, convert_from(substring($6::bytea FROM g.first FOR g.bytes), 'UTF8')
    FROM given g JOIN locked l USING (lane)`;

async function insert(sql: Sql, messages: readonly BusMessage[]): Promise<void> {
  const lanes = messages.map((message) => laneOf(message.gameId, message.playerId));
  // All bodies as one value: they are full of quotes, which both sides would have to escape in an array.
  const bytes = messages.map(({ body }) => Buffer.byteLength(body));
  let end = 1;
  const firsts = bytes.map((count) => (end += count) - count);
  await sql.query(INSERT, [
    plainArray(lanes),
    messages.map((message) => message.gameId),
    messages.map((message) => message.playerId),
    messages.map((message) => message.messageId),
    messages.map((message) => (message.headers === undefined ? null : JSON.stringify(message.headers))),
    Buffer.from(messages.map(({ body }) => body).join('')),
    plainArray([...new Set(lanes)]),
    plainArray(firsts),
    plainArray(bytes),
  ]);
}
