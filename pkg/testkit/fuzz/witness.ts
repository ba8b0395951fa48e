import { AsyncLocalStorage } from 'node:async_hooks';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { BusMessage } from '../../bus/port.js';
import { decodeEvent } from '../../contract/event.js';
import { canonicalText, macOf, NOW_SECONDS, secretOf } from './draft.js';

/** A request as the server's parser of HTTP understood it, whatever was meant. */
interface Seen {
  readonly request: IncomingMessage;
  readonly chunks: Buffer[];
}

const SKEW_SECONDS = 300;
const VERSIONS_MAX = 3;

/** Who of the test server's signing keys may send events, and for which game. `plain` may sign plainly too. */
const KEYS: Readonly<Record<string, string>> = {
  demo: 'demo',
  'demo-2': 'demo',
  client: 'demo',
  replayer: 'demo',
  debug: 'demo',
  plain: 'demo',
  other: 'other',
};

/**
 * Stands beside the listener and judges by itself: whether the request in whose course something is published bears a right
 * signature, read from the page for authors of SDKs and from nothing of ours. Counts what the server answers.
 */
export class Witness {
  /** Answers by status, as the listener wrote them, whether or not the client was still there. */
  readonly statuses = new Map<number, number>();
  readonly faults: string[] = [];
  published = 0;
  private readonly current = new AsyncLocalStorage<Seen>();
  private readonly sessions = new Map<string, { secret: string; playerId: string }>();

  /** Sessions of the game `demo` that may send events. */
  addSession(keyId: string, secret: string, playerId: string): void {
    this.sessions.set(keyId, { secret, playerId });
  }

  watch(server: Server): void {
    server.prependListener('request', (request, response) => {
      const seen: Seen = { request, chunks: [] };
      const emit = request.emit.bind(request);
      // What the reader is given, no more: a reader of our own would take it away.
      request.emit = (name: string | symbol, ...args: unknown[]): boolean => {
        if (name === 'data') seen.chunks.push(args[0] as Buffer);
        return emit(name, ...args);
      };
      const writeHead = response.writeHead.bind(response) as (...args: unknown[]) => ServerResponse;
      response.writeHead = (status: number, ...args: unknown[]): ServerResponse => {
        this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
        return writeHead(status, ...args);
      };
      this.current.enterWith(seen);
    });
  }

  /** To be called in place of the bus. */
  publish(messages: readonly BusMessage[]): void {
    this.published += messages.length;
    const seen = this.current.getStore();
    const signer = seen === undefined ? null : signerOf(seen, this.sessions);
    for (const { body } of messages) {
      const { gameId, playerId, id } = decodeEvent(body);
      if (signer === null) this.faults.push(`${id} was taken without a right signature`);
      else if (gameId !== signer.gameId) this.faults.push(`${id} was taken for another game`);
      else if ((signer.playerId ?? playerId) !== playerId) this.faults.push(`${id} is another player's`);
    }
  }
}

interface Verified {
  readonly gameId: string;
  /** null: may send for anybody. */
  readonly playerId: string | null;
}

/** null: the signature is not right, for whatever reason. */
function signerOf({ request, chunks }: Seen, sessions: Witness['sessions']): Verified | null {
  const body = Buffer.concat(chunks);
  const values = (name: string): string[] => request.headersDistinct[name] ?? [];
  const only = (name: string): string | null =>
    values(name).length === 1 ? (values(name)[0] ?? null) : null;
  const atMostOne = (name: string): string | null => (values(name).length === 0 ? '' : only(name));
  const [keyId, timestamp, signature] = [only('x-key-id'), only('x-timestamp'), only('x-signature')];
  const [idempotencyKey, encoding] = [atMostOne('idempotency-key'), atMostOne('content-encoding')];
  if (keyId === null || signature === null || idempotencyKey === null || encoding === null) return null;
  const session = sessions.get(keyId);
  const gameId = session === undefined ? KEYS[keyId] : 'demo';
  if (gameId === undefined || !Object.hasOwn(KEYS, session === undefined ? keyId : 'demo')) return null;
  const secret = session?.secret ?? secretOf(keyId);
  const verified = { gameId, playerId: session?.playerId ?? null };
  if (keyId === 'plain' && signature === macOf(secret, body)) return verified;
  if (timestamp === null || !/^\d{10}$/.test(timestamp)) return null;
  if (Math.abs(Number(timestamp) - NOW_SECONDS) > SKEW_SECONDS) return null;
  const stamped = Buffer.concat([body, Buffer.from(`.${timestamp}`)]);
  if (keyId === 'plain' && signature === macOf(secret, stamped)) return verified;
  const text = canonicalText({
    method: request.method ?? '',
    target: request.url ?? '',
    keyId,
    timestamp,
    idempotencyKey: idempotencyKey.trim(),
    encoding: encoding === '' ? 'identity' : encoding.trim(),
    body,
  });
  const versions = signature.split(',').map((entry) => entry.trim());
  const isRight = versions.length <= VERSIONS_MAX && versions.includes(`v1=${macOf(secret, text)}`);
  return isRight ? verified : null;
}
