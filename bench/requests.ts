import { sign } from '../pkg/signing/sign.js';

/** The signing key that a request is signed with. */
export interface BenchKey {
  readonly keyId: string;
  readonly secret: string;
}

const PLAYERS = 5_000;
const RUN = Date.now().toString(36).slice(-5);
let count = 0;

/** A progression event of about 110 bytes with an id of its own. */
export function eventText(nowMs: number): string {
  count += 1;
  const id = `${RUN}${String(process.pid % 1000)}-${count.toString(36)}`;
  const player = `p-${String((count * 7919) % PLAYERS)}`;
  return `{"id":"${id}","type":"progression","playerId":"${player}","ts":${String(nowMs)},"payload":{"deltaXp":15,"activity":"quest"}}`;
}

export const batchText = (events: number, nowMs: number): string =>
  `[${Array.from({ length: events }, () => eventText(nowMs)).join(',')}]`;

/** A whole HTTP/1.1 request as bytes, signed now: it is good for five minutes. */
export function signedRequest(path: string, body: string, { keyId, secret }: BenchKey): Buffer {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const { signature } = sign({ method: 'POST', target: path, keyId, timestamp, body, secret });
  return Buffer.from(
    `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${String(Buffer.byteLength(body))}\r\nX-Key-Id: ${keyId}\r\n` +
      `X-Timestamp: ${timestamp}\r\nX-Signature: ${signature}\r\n\r\n${body}`,
  );
}
