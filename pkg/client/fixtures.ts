import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../kernel/clock.js';
import { sign } from '../signing/sign.js';

export const SECRET = 'demo-secret-0123456789abcdef0123456789';

export interface DoorEvent {
  readonly id: string;
  readonly playerId: string;
  readonly ts: unknown;
}

interface Reply {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface DoorRequest {
  readonly method: string;
  readonly target: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A small real gateway: checks signatures, counts distinct (id, ts), and answers what a test wants in between. */
export interface Door {
  readonly url: string;
  readonly requests: readonly DoorRequest[];
  /** Every event that was taken, in the order of arrival, duplicates left out. */
  readonly taken: readonly DoorEvent[];
  /** How often an (id, ts) came again. */
  readonly repeats: () => number;
  readonly signatures: { readonly good: number; readonly bad: number };
  close(): Promise<void>;
}

export interface DoorOptions {
  /** What to answer instead; null: what a gateway answers. */
  readonly answer?: (request: DoorRequest, index: number) => Reply | null | Promise<Reply | null>;
  /** Refuses an event of a batch with a code. */
  readonly refuse?: (event: DoorEvent) => { readonly code: string; readonly retryable: boolean } | null;
}

export async function openDoor({ answer, refuse }: DoorOptions = {}): Promise<Door> {
  const requests: DoorRequest[] = [];
  const taken: DoorEvent[] = [];
  const seen = new Set<string>();
  const signatures = { good: 0, bad: 0 };
  let repeats = 0;

  const judge = (event: DoorEvent, index: number): object => {
    const refusal = refuse?.(event) ?? null;
    if (refusal !== null) return { index, status: 'rejected', ...refusal };
    const key = `${event.id} ${String(event.ts)}`;
    const isNew = !seen.has(key);
    seen.add(key);
    if (isNew) taken.push(event);
    else repeats += 1;
    return { index, status: isNew ? 'accepted' : 'duplicate', eventId: event.id };
  };
  const reply = async (request: DoorRequest): Promise<Reply> => {
    signatures[isSigned(request) ? 'good' : 'bad'] += 1;
    const index = requests.push(request) - 1;
    const wanted = (await answer?.(request, index)) ?? null;
    if (wanted !== null) return wanted;
    if (request.method !== 'POST') return { status: 404, body: { code: 'not_found' } };
    try {
      const events = request.body.split('\n').map((line) => JSON.parse(line) as DoorEvent);
      return { status: 202, body: { results: events.map(judge) } };
    } catch {
      return { status: 400, body: { code: 'malformed_json' } };
    }
  };
  const server = createServer((incoming, response) => {
    void readRequest(incoming).then(async (request) => write(response, await reply(request)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    requests,
    taken,
    repeats: () => repeats,
    signatures,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function readRequest(incoming: IncomingMessage): Promise<DoorRequest> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming as AsyncIterable<Buffer>) chunks.push(chunk);
  const { method = '', url = '', headers } = incoming;
  return { method, target: url, headers, body: Buffer.concat(chunks).toString() };
}

function write(response: ServerResponse, { status, body, headers }: Reply): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}

function isSigned({ method, target, headers, body }: DoorRequest): boolean {
  const idempotencyKey = headers['idempotency-key'];
  const { signature } = sign({
    method,
    target,
    keyId: String(headers['x-key-id']),
    timestamp: String(headers['x-timestamp']),
    secret: SECRET,
    body,
    ...(typeof idempotencyKey === 'string' ? { idempotencyKey } : {}),
  });
  return headers['x-signature'] === signature;
}

/** A clock that stands still but for sleeping, which takes no time and is written down. */
export function steppedClock(startMs: number): Clock & { readonly slept: number[] } {
  let nowMs = startMs;
  const slept: number[] = [];
  return {
    slept,
    now: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: async (ms) => {
      slept.push(ms);
      nowMs += ms;
    },
  };
}
