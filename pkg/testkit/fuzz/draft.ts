import { createHash, createHmac } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { INGEST_NOW_MS } from '../ingest-server.js';
import type { Chance } from '../sim/chance.js';

/** A request in the making: what is mutated before it is signed, after it, and when it is written down. */
export interface Draft {
  method: string;
  target: string;
  /** As they are written; a name may stand twice. */
  headers: [name: string, value: string][];
  body: Buffer;
}

/** Who signs. */
export interface Signer {
  readonly keyId: string;
  readonly secret: string;
  /** The player of a session, who sends nobody else's events. */
  readonly playerId?: string;
}

export const NOW_SECONDS = Math.floor(INGEST_NOW_MS / 1000);

/** The secret of each key of the test server. */
export const secretOf = (keyId: string): string => `secret of ${keyId}, long enough to be one`;

export const header = (draft: Draft, name: string): string | undefined =>
  draft.headers.find(([one]) => one.toLowerCase() === name)?.[1];

export function setHeader(draft: Draft, name: string, value: string): void {
  draft.headers = draft.headers.filter(([one]) => one.toLowerCase() !== name.toLowerCase());
  draft.headers.push([name, value]);
}

export function dropHeader(draft: Draft, name: string): void {
  draft.headers = draft.headers.filter(([one]) => one.toLowerCase() !== name);
}

export const eventOf = (chance: Chance, id: string, { playerId }: Signer): Record<string, unknown> => ({
  id,
  type: chance.is(0.9) ? 'progression' : 'something.else',
  playerId: playerId ?? `p-${String(chance.below(20))}`,
  ts: chance.pick<unknown>([INGEST_NOW_MS, NOW_SECONDS, new Date(INGEST_NOW_MS).toISOString()]),
  payload: { deltaXp: chance.below(100), activity: 'quest' },
});

/** A request that is right in all its parts: any of the forms a client may choose. */
export function rightDraft(chance: Chance, name: string, signer: Signer): Draft {
  const events = Array.from({ length: 1 + chance.below(4) }, (_, n) =>
    eventOf(chance, `${name}-${String(n)}`, signer),
  );
  const batch = { method: 'POST', target: '/v1/events/batch' };
  const json: [string, string] = ['Content-Type', 'application/json'];
  const forms: (() => Draft)[] = [
    () => ({
      method: 'POST',
      target: chance.pick(['/v1/events', '/events', '/v1/events?a=1']),
      headers: [json],
      body: Buffer.from(JSON.stringify(events[0])),
    }),
    () => ({ ...batch, headers: [json], body: Buffer.from(JSON.stringify(events)) }),
    () => ({
      ...batch,
      headers: [['Content-Type', 'application/x-ndjson']],
      body: Buffer.from(events.map((event) => JSON.stringify(event)).join('\n')),
    }),
    () => ({
      ...batch,
      headers: [json],
      body: Buffer.from(
        JSON.stringify({ sentAt: INGEST_NOW_MS, context: { build: '1.2.3', platform: 'ios' }, events }),
      ),
    }),
  ];
  const draft = chance.pick(forms)();
  if (chance.is(0.2)) {
    draft.body = gzipSync(draft.body, { level: 1 });
    draft.headers.push(['Content-Encoding', 'gzip']);
  }
  if (chance.is(0.2)) draft.headers.push(['Idempotency-Key', `key-${name}`]);
  return draft;
}

/** The text that a signature covers, put together from the page for authors of SDKs and from nothing of ours. */
export const canonicalText = (request: {
  readonly method: string;
  readonly target: string;
  readonly keyId: string;
  readonly timestamp: string;
  readonly idempotencyKey: string;
  readonly encoding: string;
  readonly body: Buffer;
}): string =>
  [
    'v1',
    request.method.toUpperCase(),
    request.target,
    request.keyId,
    request.timestamp,
    request.idempotencyKey,
    request.encoding.toLowerCase(),
    createHash('sha256').update(request.body).digest('hex'),
  ].join('\n');

export const macOf = (secret: string, text: string | Buffer): string =>
  createHmac('sha256', secret).update(text).digest('hex');

/** Signs what stands there, right or wrong as it is. */
export function signDraft(draft: Draft, { keyId, secret }: Signer, timestamp = String(NOW_SECONDS)): void {
  const { method, target, body } = draft;
  const idempotencyKey = header(draft, 'idempotency-key') ?? '';
  const encoding = header(draft, 'content-encoding') ?? 'identity';
  const text = canonicalText({ method, target, keyId, timestamp, idempotencyKey, encoding, body });
  setHeader(draft, 'X-Key-Id', keyId);
  setHeader(draft, 'X-Timestamp', timestamp);
  setHeader(draft, 'X-Signature', `v1=${macOf(secret, text)}`);
}

/** As it goes over the wire, with the length of its body. */
export function bytesOf(draft: Draft): Buffer {
  const { method, target, headers, body } = draft;
  const length: [string, string][] =
    header(draft, 'content-length') !== undefined || header(draft, 'transfer-encoding') !== undefined
      ? []
      : [['Content-Length', String(body.length)]];
  const host: [string, string][] = header(draft, 'host') === undefined ? [['Host', 'localhost']] : [];
  return Buffer.concat([headBytes(method, target, [...host, ...headers, ...length]), body]);
}

const headBytes = (method: string, target: string, headers: readonly [string, string][]): Buffer =>
  Buffer.from(
    `${method} ${target} HTTP/1.1\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
    'latin1',
  );
