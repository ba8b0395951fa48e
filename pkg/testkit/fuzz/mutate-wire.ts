import type { Chance } from '../sim/chance.js';
import { dropHeader, header, macOf, NOW_SECONDS, setHeader, signDraft, type Draft } from './draft.js';
import type { Mutation } from './mutate-content.js';

const signature: Mutation = (draft, chance) => {
  const right = header(draft, 'x-signature') ?? '';
  const at = chance.below(right.length + 1);
  const flipped = right.slice(0, at) + chance.pick([...'0123456789abcdefABCDEFgz= \t']) + right.slice(at + 1);
  setHeader(
    draft,
    'X-Signature',
    chance.pick([
      ...[flipped, flipped, flipped, right.toUpperCase(), right.slice(0, -1), `${right}0`, right.slice(3)],
      ...['', 'v1=', `v2=${right.slice(3)}`, `${right},${right}`, `${right}, v1=00`, `"${right}"`],
      ...['0'.repeat(64), `v1=${'0'.repeat(64)}`, `v1=${'\u00e9'.repeat(64)}`, 'v1='.repeat(2_000)],
    ]),
  );
};

const timestamp: Mutation = (draft, chance) => {
  const odd = ['', '0', '-1', '1e9', `${String(NOW_SECONDS)}.0`, ` ${String(NOW_SECONDS)}`, '99999999999'];
  const near = [-301, -300, 300, 301, 86_400].map((by) => String(NOW_SECONDS + by));
  setHeader(
    draft,
    'X-Timestamp',
    chance.pick([...odd, ...near, 'now', '0x655b5d80', '１２３４５６７８９０']),
  );
};

const KEY_IDS = [
  'demo',
  'demo-2',
  'reader',
  'expired',
  'future',
  'revoked',
  'other',
  'nobody',
  '',
  'a'.repeat(65),
];
const keyId: Mutation = (draft, chance) => {
  const right = header(draft, 'x-key-id') ?? '';
  const parts = right.split('.');
  const place = chance.below(parts.length);
  const odd = chance.pick(['', 'x', '0', '-1', '99999999999', 'demo', 'other', '__proto__', '=', '!']);
  const crossed = parts.map((part, n) => (n === place ? odd : part)).join('.');
  setHeader(draft, 'X-Key-Id', chance.pick([...KEY_IDS, crossed, crossed, `${right}.`, right.slice(0, -1)]));
};

/** Each signs something: a stranger's secret, a key that may not, a time that is past, one that may sign plainly. */
const otherSigner: Mutation = (draft, chance) => {
  const secret = chance.pick(['', 'guess', 'secret of demo, long enough to be one']);
  const by = chance.pick(KEY_IDS);
  const plain = (text: Buffer): void => {
    setHeader(draft, 'X-Key-Id', chance.pick(['plain', 'demo']));
    setHeader(draft, 'X-Signature', macOf('secret of plain, long enough to be one', text));
  };
  chance.pick([
    () => signDraft(draft, { keyId: by, secret }),
    () => signDraft(draft, { keyId: 'demo', secret: `secret of ${by}, long enough to be one` }),
    () => signDraft(draft, { keyId: 'reader', secret: 'secret of reader, long enough to be one' }),
    () => plain(draft.body),
    () => plain(Buffer.concat([draft.body, Buffer.from(`.${header(draft, 'x-timestamp') ?? ''}`)])),
  ])();
};

const changedAfter: Mutation = (draft, chance) => {
  const body = Buffer.from(draft.body);
  if (body.length > 0) body[chance.below(body.length)] = chance.below(256);
  draft.body = chance.pick([body, Buffer.concat([draft.body, Buffer.from(' ')]), draft.body.subarray(1)]);
};

const targetAfter: Mutation = (draft, chance) => {
  draft.target = chance.pick([
    '/v1/events',
    '/v1/events/batch',
    '/events',
    `${draft.target}?`,
    `${draft.target}&a`,
  ]);
};

const HEADER_NAMES = [
  ...[
    'X-Key-Id',
    'X-Signature',
    'X-Timestamp',
    'Idempotency-Key',
    'Content-Encoding',
    'Content-Type',
    'Host',
  ],
  ...['X-Forwarded-For', 'Forwarded', 'Origin', 'traceparent', 'X-Request-Id', 'Expect', 'Upgrade', 'TE'],
  ...[
    'Connection',
    'Trailer',
    'Via',
    '__proto__',
    'constructor',
    'Cookie',
    'Authorization',
    'Range',
    'HTTP2-Settings',
  ],
];
const HEADER_VALUES = [
  ...[
    '',
    ' ',
    ',',
    'a,b',
    '"',
    '\u00ff\u00fe',
    '0',
    '-1',
    '100-continue',
    'close',
    'keep-alive',
    'upgrade',
    'h2c',
  ],
  ...[
    'websocket',
    'chunked',
    'gzip',
    '::1',
    '1.2.3.4, 5.6.7.8',
    'null',
    '*',
    'x'.repeat(500),
    'x'.repeat(17_000),
  ],
  ...[
    '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    '00-0-0-0',
    '__proto__',
    '\u0001',
    'a\u0000b',
  ],
];

const oneMoreHeader: Mutation = (draft, chance) => {
  draft.headers.splice(chance.below(draft.headers.length + 1), 0, [
    chance.pick(HEADER_NAMES),
    chance.pick(HEADER_VALUES),
  ]);
};

const sameHeaderTwice: Mutation = (draft, chance) => {
  const [name, value] = chance.pick(draft.headers);
  draft.headers.push([
    chance.is(0.5) ? name.toLowerCase() : name,
    chance.is(0.7) ? value : chance.pick(HEADER_VALUES),
  ]);
};

const noHeader: Mutation = (draft, chance) => dropHeader(draft, chance.pick(draft.headers)[0].toLowerCase());

const oddHeaderName: Mutation = (draft, chance) => {
  const [name] = chance.pick(draft.headers);
  const odd = chance.pick([
    `${name} `,
    ` ${name}`,
    name.toUpperCase(),
    `${name}\u0000`,
    `x${name}`,
    name.slice(1),
    '',
  ]);
  draft.headers = draft.headers.map(([one, value]) => [one === name ? odd : one, value]);
};

const manyHeaders: Mutation = (draft, chance) => {
  const count = chance.pick([50, 99, 2_000]);
  for (let n = 0; n < count; n += 1) draft.headers.push([`X-${String(n)}`, String(n)]);
};

/** After the signature was made: the bytes of the request are still one whole request. */
export const SIGNED_MUTATIONS: readonly Mutation[] = [
  ...[signature, signature, timestamp, keyId, keyId, otherSigner, otherSigner, changedAfter, targetAfter],
  ...[oneMoreHeader, oneMoreHeader, sameHeaderTwice, noHeader, oddHeaderName, manyHeaders],
];

/** Writes a request so that where it ends is a question, or that it does not end at all. */
export type Framing = (draft: Draft, bytes: Buffer, chance: Chance) => Buffer;

const liedLength = (chance: Chance, length: number): string =>
  chance.pick([
    ...[
      String(length + 1),
      String(length - 1),
      '0',
      String(length * 2),
      '5000000',
      '-1',
      '+5',
      '1e3',
      '0x5',
      '',
    ],
    ...[
      `${String(length)} ${String(length)}`,
      `${String(length)}, ${String(length)}`,
      '18446744073709551616',
    ],
  ]);

/** Its body in chunks: whole, broken, with lies. */
function chunks(body: Buffer, chance: Chance): Buffer {
  const parts: (Buffer | string)[] = [];
  for (let at = 0; at < body.length;) {
    const size = Math.min(1 + chance.below(200), body.length - at);
    const told = chance.is(0.95) ? size : chance.pick([size + 1, size - 1, 0, 2 ** 31, 2 ** 53]);
    const extension = chance.is(0.05) ? chance.pick([';a=b', ';', '; "', ' ', ';'.repeat(20_000)]) : '';
    const end = chance.is(0.97) ? '\r\n' : chance.pick(['\n', '', '\r', '\r\n\r\n']);
    parts.push(`${told.toString(16)}${extension}\r\n`, body.subarray(at, at + size), end);
    at += size;
  }
  parts.push(
    chance.is(0.9)
      ? '0\r\n\r\n'
      : chance.pick(['0\r\nX-Key-Id: demo\r\n\r\n', '', '00\r\n', '0\r\n', '-1\r\n\r\n']),
  );
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}

const head = (bytes: Buffer, body: Buffer): string =>
  bytes.subarray(0, bytes.length - body.length).toString('latin1');
const withBody = (text: string, body: Buffer): Buffer => Buffer.concat([Buffer.from(text, 'latin1'), body]);

export const FRAMINGS: readonly Framing[] = [
  ({ body }, bytes, chance) =>
    withBody(
      head(bytes, body).replace(
        /Content-Length: .*\r\n/,
        `Content-Length: ${liedLength(chance, body.length)}\r\n`,
      ),
      body,
    ),
  ({ body }, bytes, chance) =>
    withBody(
      head(bytes, body).replace(/Content-Length: .*\r\n/, 'Transfer-Encoding: chunked\r\n'),
      chunks(body, chance),
    ),
  // Both at once: what a proxy and a server could read differently.
  ({ body }, bytes, chance) =>
    withBody(
      head(bytes, body).replace(
        /Content-Length/,
        () =>
          `${chance.pick(['Transfer-Encoding: chunked', 'Transfer-Encoding: xchunked', 'Transfer-Encoding : chunked', 'Transfer-Encoding: chunked, identity', 'Content-Length: 3'])}\r\nContent-Length`,
      ),
      chance.is(0.5) ? body : chunks(body, chance),
    ),
  ({ body }, bytes, chance) =>
    withBody(
      head(bytes, body).replace(
        'HTTP/1.1',
        chance.pick(['HTTP/1.0', 'HTTP/2.0', 'HTTP/0.9', 'HTTP/1.10', 'http/1.1', '', 'HTTP/1.1 x']),
      ),
      body,
    ),
  ({ body }, bytes, chance) =>
    withBody(head(bytes, body).replaceAll('\r\n', chance.pick(['\n', '\r', '\r\r\n', '\r\n '])), body),
  (_, bytes, chance) => bytes.subarray(0, chance.below(bytes.length)),
  (_, bytes, chance) => {
    const broken = Buffer.from(bytes);
    for (let n = 1 + chance.below(4); n > 0; n -= 1) broken[chance.below(broken.length)] = chance.below(256);
    return broken;
  },
  (_, bytes, chance) =>
    Buffer.concat([
      chance.pick([
        Buffer.from('\r\n'),
        Buffer.from('\r\n\r\n\r\n'),
        chance.bytes(8),
        Buffer.from([0x16, 3, 1]),
      ]),
      bytes,
    ]),
  (_, bytes, chance) =>
    Buffer.concat([
      bytes,
      chance.pick([Buffer.from('\r\n'), chance.bytes(20), Buffer.from('GET / HTTP/1.1\r\n\r\n')]),
    ]),
  // A whole request within the body of another.
  (draft, bytes) => {
    const body = Buffer.concat([Buffer.from('0\r\n\r\n'), bytes]);
    return Buffer.concat([
      Buffer.from(
        `POST ${draft.target} HTTP/1.1\r\nHost: x\r\nContent-Length: ${String(body.length)}\r\n\r\n`,
      ),
      body,
    ]);
  },
  (_, bytes, chance) =>
    withBody(
      chance.pick([
        'CONNECT localhost:1 HTTP/1.1\r\nHost: x\r\n\r\n',
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        'OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n',
        `GET /${'a'.repeat(17_000)} HTTP/1.1\r\n\r\n`,
        'POST /v1/events HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      ]),
      bytes,
    ),
];
