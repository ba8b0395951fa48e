import { request as httpRequest, Agent as HttpAgent, type IncomingMessage } from 'node:http';
import { request as httpsRequest, Agent as HttpsAgent } from 'node:https';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import type { Clock } from '../kernel/clock.js';
import { sign } from '../signing/sign.js';

export interface SignedClientOptions {
  /** Base URL of a gateway, such as `http://127.0.0.1:8080`. A path is put before each target and signed with it. */
  readonly url: string;
  readonly keyId: string;
  readonly secret: string;
  readonly clock: Clock;
  /** Sockets kept open at most. */
  readonly connections?: number;
  readonly timeoutMs?: number;
}

export interface ClientAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** A request as it was signed, for people who want to see it. */
export interface SignedRequestView {
  readonly method: string;
  readonly url: string;
  readonly canonical: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface SendOptions {
  readonly body?: string;
  readonly contentType?: string;
  readonly idempotencyKey?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface SignedClient {
  /** Signs without sending. `target` begins with `/` and is sent exactly as given, behind the path of the base URL. */
  prepare(method: string, target: string, options?: SendOptions): SignedRequestView;
  /** @throws OutageError when no answer came: whether the request took effect is unknown, so send the same one again. */
  send(method: string, target: string, options?: SendOptions): Promise<ClientAnswer>;
  close(): void;
}

type PreparedRequest = SignedRequestView & { readonly target: string };
type Prepare = (method: string, target: string, options?: SendOptions) => PreparedRequest;

const DEFAULT_TIMEOUT_MS = 15_000;
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Speaks to a gateway as a game client does: every request signed (v1), the clock corrected by `serverTime` after a 401.
 *
 * @throws FairtallyError `bad_url`
 */
export function createSignedClient(options: SignedClientOptions): SignedClient {
  const base = baseUrl(options.url);
  const transport = createTransport(base, options);
  let skewSeconds = 0;

  const prepare: Prepare = (method, path, sendOptions = {}) => {
    const target = `${base.pathname.replace(/\/$/, '')}${path}`;
    const body = sendOptions.body ?? '';
    const timestamp = String(Math.floor(options.clock.now() / 1000) + skewSeconds);
    const { canonical, signature } = sign({
      method,
      target,
      keyId: options.keyId,
      timestamp,
      secret: options.secret,
      body,
      ...(sendOptions.idempotencyKey === undefined ? {} : { idempotencyKey: sendOptions.idempotencyKey }),
    });
    const headers: Record<string, string> = {
      ...sendOptions.headers,
      'X-Key-Id': options.keyId,
      'X-Timestamp': timestamp,
      'X-Signature': signature,
    };
    if (sendOptions.idempotencyKey !== undefined) headers['Idempotency-Key'] = sendOptions.idempotencyKey;
    if (body !== '') headers['Content-Type'] = sendOptions.contentType ?? 'application/json';
    return { method, target, url: `${base.origin}${target}`, canonical, headers, body };
  };

  return {
    prepare,
    send: async (method, target, sendOptions) => {
      const answer = await transport.exchange(prepare(method, target, sendOptions));
      const serverTime = answer.status === 401 ? serverTimeOf(answer.text) : null;
      if (serverTime === null) return answer;
      skewSeconds = serverTime - Math.floor(options.clock.now() / 1000);
      return transport.exchange(prepare(method, target, sendOptions));
    },
    close: transport.close,
  };
}

function baseUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isOurs = url !== null && /^https?:$/.test(url.protocol) && url.search === '' && url.hash === '';
  if (isOurs) return url;
  throw new FairtallyError(
    'bad_url',
    `"${text}" is not the base URL of a gateway, such as http://127.0.0.1:8080`,
  );
}

interface Transport {
  exchange(request: PreparedRequest): Promise<ClientAnswer>;
  close(): void;
}

function createTransport(base: URL, options: SignedClientOptions): Transport {
  const isTls = base.protocol === 'https:';
  const AgentOf = isTls ? HttpsAgent : HttpAgent;
  const start = isTls ? httpsRequest : httpRequest;
  const agent = new AgentOf({ keepAlive: true, maxSockets: options.connections ?? 16 });
  const exchange = ({ method, target, headers, body }: PreparedRequest): Promise<ClientAnswer> =>
    new Promise((resolve, reject) => {
      const request = start({
        host: base.hostname.replace(/^\[(.*)\]$/, '$1'), // a URL writes IPv6 in brackets, a socket wants none
        port: base.port,
        path: target,
        method,
        headers: body === '' ? headers : { ...headers, 'Content-Length': String(Buffer.byteLength(body)) },
        agent,
      });
      const fail = (error: unknown): void => reject(new OutageError(`the gateway at ${base.origin}`, error));
      request.setTimeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS, () =>
        request.destroy(new Error('no answer in time')),
      );
      request.once('error', fail);
      request.once('response', (response) => {
        readText(response).then(
          (text) => resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
          fail,
        );
      });
      request.end(body);
    });
  return { exchange, close: () => agent.destroy() };
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > ANSWER_BYTES_MAX) throw new Error('the answer is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function serverTimeOf(text: string): number | null {
  try {
    const problem: unknown = JSON.parse(text);
    if (typeof problem !== 'object' || problem === null || !('serverTime' in problem)) return null;
    return Number.isSafeInteger(problem.serverTime) ? (problem.serverTime as number) : null;
  } catch {
    return null; // not a problem document: the caller sees the 401 as it is
  }
}
