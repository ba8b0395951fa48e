import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import type { Chance } from '../sim/chance.js';
import { dropHeader, header, setHeader, type Draft } from './draft.js';

/** Changes what is sent before it is signed, so that it comes past the signature and meets what lies behind it. */
export type Mutation = (draft: Draft, chance: Chance) => void;

const TEXTS = [
  '',
  ' ',
  '\u0000',
  '\ufeff',
  '\uffff',
  '\ufffe',
  '\ud800',
  '\udfff',
  '\u202e',
  'é',
  'e\u0301',
  '👩‍👩‍👧',
  '__proto__',
  'constructor',
  'a'.repeat(129),
  'ü'.repeat(65),
  'x'.repeat(9_000),
  '=HYPERLINK("x")',
  '\r\n',
  '../..',
  "'; DROP TABLE events; --",
];
const NUMBERS = [
  '0',
  '-0',
  '-0.0',
  '1e400',
  '-1e400',
  '9007199254740993',
  '1e21',
  '5e-324',
  '-1',
  '0.1',
  '01',
  '+1',
  '.5',
  '1.',
  'NaN',
  'Infinity',
  '1e',
  '0x10',
  '253402300800000',
  '100000000000',
];
const VALUES: readonly unknown[] = [null, true, [], {}, [[]], { a: { b: [] } }, ...TEXTS, 0, 1.5, -1, 1e15];
const FIELDS = ['id', 'type', 'playerId', 'ts', 'payload', 'schemaVersion', 'events', 'sentAt', 'context'];
const TOKENS = [
  ...['{', '}', '[', ']', ',', ':', '"', '\\', '\\u0000', '\\ud800', '\n', '\r\n', '\t', ' ', '/*', '//'],
  ...['null', 'true', 'nul', '"__proto__":1,', '"id":"x",', '"events":[],', '"\\u0065vents":[]', '\u00a0'],
  ...NUMBERS,
];

/** Beyond so many brackets a body may be nested too deeply for JSON.stringify. */
const BRACKETS_MAX = 1_000;

/** What the body holds when it still is JSON, and not too much of it; else null. */
function jsonOf(draft: Draft): unknown {
  if (header(draft, 'content-encoding') !== undefined) return null;
  const text = draft.body.toString('utf8');
  if ((text.match(/[[{]/g)?.length ?? 0) > BRACKETS_MAX) return null;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return null; // it was mutated before; the mutations of bytes are for those
  }
}

/** Some object within: an event, its payload, the envelope. */
function someObject(value: unknown, chance: Chance): Record<string, unknown> | null {
  const found: Record<string, unknown>[] = [];
  const walk = (at: unknown): void => {
    if (typeof at !== 'object' || at === null) return;
    if (!Array.isArray(at)) found.push(at as Record<string, unknown>);
    Object.values(at).forEach(walk);
  };
  walk(value);
  return found.length === 0 ? null : chance.pick(found);
}

function changeObject(draft: Draft, chance: Chance, change: (object: Record<string, unknown>) => void): void {
  const value = jsonOf(draft);
  const object = someObject(value, chance);
  if (object === null) return insertToken(draft, chance);
  change(object);
  draft.body = Buffer.from(JSON.stringify(value));
}

const replaceValue: Mutation = (draft, chance) =>
  changeObject(draft, chance, (object) => {
    const keys = Object.keys(object);
    const key = keys.length > 0 && chance.is(0.8) ? chance.pick(keys) : chance.pick([...FIELDS, ...TEXTS]);
    Object.defineProperty(object, key, {
      value: chance.pick(VALUES),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  });

const removeKey: Mutation = (draft, chance) =>
  changeObject(draft, chance, (object) => {
    const keys = Object.keys(object);
    if (keys.length > 0) Reflect.deleteProperty(object, chance.pick(keys));
  });

/** A number in the spelling of JSON texts, where JSON.stringify would write none of them. */
const oddNumber: Mutation = (draft, chance) => {
  const text = draft.body.toString('latin1');
  const places = [...text.matchAll(/-?\d+(?:\.\d+)?(?=[,}\]])/g)];
  if (places.length === 0) return insertToken(draft, chance);
  const { index, 0: old } = chance.pick(places);
  draft.body = Buffer.from(
    text.slice(0, index) + chance.pick(NUMBERS) + text.slice(index + old.length),
    'latin1',
  );
};

function insertToken(draft: Draft, chance: Chance): void {
  const at = chance.below(draft.body.length + 1);
  const token = Buffer.from(chance.pick(TOKENS));
  draft.body = Buffer.concat([draft.body.subarray(0, at), token, draft.body.subarray(at)]);
}

const changeBytes: Mutation = (draft, chance) => {
  const body = Buffer.from(draft.body);
  if (body.length === 0) return;
  for (let n = 1 + chance.below(3); n > 0; n -= 1) body[chance.below(body.length)] = chance.below(256);
  draft.body = body;
};

const cutOut: Mutation = (draft, chance) => {
  const from = chance.below(draft.body.length + 1);
  const to = from + chance.below(Math.min(64, draft.body.length - from) + 1);
  draft.body = Buffer.concat([draft.body.subarray(0, from), draft.body.subarray(to)]);
};

const repeatPart: Mutation = (draft, chance) => {
  const from = chance.below(draft.body.length + 1);
  const part = draft.body.subarray(from, from + 1 + chance.below(200));
  const times = 1 + chance.below(4);
  draft.body = Buffer.concat([draft.body.subarray(0, from), ...Array<Buffer>(times).fill(part), draft.body]);
};

const duplicateKey: Mutation = (draft, chance) => {
  const text = draft.body.toString('latin1');
  const key = chance.pick([...FIELDS, 'deltaXp', '__proto__']);
  draft.body = Buffer.from(text.replace(/\{/, `{"${key}":${chance.pick(NUMBERS)},`), 'latin1');
};

const nest: Mutation = (draft, chance) => {
  const depth = chance.pick([3, 15, 16, 17, 100, 5_000]);
  const [open, close] = chance.pick([
    ['[', ']'],
    ['{"a":', '}'],
  ] as const);
  const deep = open.repeat(depth) + '1' + (chance.is(0.8) ? close.repeat(depth) : '');
  draft.body = Buffer.from(
    draft.body.toString('latin1').replace(/"quest"/, () => deep),
    'latin1',
  );
};

const manyEvents: Mutation = (draft, chance) => {
  const count = chance.pick([0, 2, 499, 500, 501, 2_000]);
  const event = draft.body.toString('latin1').split('\n')[0] ?? '';
  const lines = Array<string>(count).fill(event.slice(0, 400));
  const text = chance.pick([lines.join('\n'), `[${lines.join(',')}]`, `{"events":[${lines.join(',')}]}`]);
  draft.body = Buffer.from(text, 'latin1');
};

const manyKeys: Mutation = (draft, chance) => {
  const count = chance.pick([10, 511, 512, 513, 3_000]);
  const keys = Array.from({ length: count }, (_, n) => `"k${String(n)}":${String(n)}`).join(',');
  const text = draft.body.toString('latin1');
  draft.body = Buffer.from(
    text.replace(/"activity":/, () => `${keys},"activity":`),
    'latin1',
  );
};

const wholeBody: Mutation = (draft, chance) => {
  draft.body = chance.pick([
    () => Buffer.alloc(0),
    () => Buffer.from(chance.pick([...TOKENS, ...TEXTS])),
    () => chance.bytes(1 + chance.below(300)),
    () => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), draft.body]),
    () => Buffer.from(draft.body.toString('latin1'), 'utf16le'),
    () => Buffer.alloc(1_100_000, 0x20),
  ])();
};

const otherCoding: Mutation = (draft, chance) => {
  dropHeader(draft, 'content-encoding');
  const zstd = Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd]), chance.bytes(40)]);
  const gzip = (): Buffer => gzipSync(draft.body, { level: 1 });
  const cut = (bytes: Buffer): Buffer => bytes.subarray(0, chance.below(bytes.length));
  const hurt = (bytes: Buffer): Buffer => {
    bytes[chance.below(bytes.length)] = chance.below(256);
    return bytes;
  };
  const codings: (() => [name: string, body: Buffer])[] = [
    () => ['gzip', cut(gzip())],
    () => ['gzip', hurt(gzip())],
    () => ['gzip', draft.body],
    () => ['gzip', Buffer.concat([gzip(), gzip()])],
    () => ['gzip', Buffer.concat([gzip(), chance.bytes(9)])],
    () => ['gzip, gzip', gzipSync(gzip())],
    () => ['GZIP', gzip()],
    () => ['x-gzip', gzip()],
    () => ['br', brotliCompressSync(draft.body, { params: {} })],
    () => ['br', cut(zstd)],
    () => ['deflate', deflateSync(draft.body)],
    () => ['zstd', zstd],
    () => ['identity', draft.body],
    () => ['identity, gzip', gzip()],
    () => ['', draft.body],
  ];
  const [name, body] = chance.pick(codings)();
  setHeader(draft, 'Content-Encoding', name);
  draft.body = body;
};

/** 6 MB of nothing: more than may come out of a body. */
const BOMB = gzipSync(Buffer.alloc(6_000_000, 0x20));
const bomb: Mutation = (draft) => {
  setHeader(draft, 'Content-Encoding', 'gzip');
  draft.body = BOMB;
};

const contentType: Mutation = (draft, chance) => {
  const types = ['application/json', 'application/x-ndjson', 'text/json', 'application/json; charset=utf-8'];
  const odd = [
    'application/json; charset=latin1',
    'application/json;;',
    '',
    'multipart/form-data',
    '\u00ff/x',
  ];
  setHeader(draft, 'Content-Type', chance.pick([...types, ...odd]));
};

const idempotencyKey: Mutation = (draft, chance) => {
  const keys = [
    '',
    ' ',
    'a',
    'a'.repeat(128),
    'a'.repeat(129),
    'ä',
    'a b',
    'a,b',
    '"a"',
    'shared',
    '\t x \t',
  ];
  setHeader(draft, 'Idempotency-Key', chance.pick(keys));
};

const target: Mutation = (draft, chance) => {
  draft.target = chance.pick([
    ...['/v1/events', '/v1/events/batch', '/events', '/v1/events/', '/v1//events', '/V1/EVENTS', '/', '/v1'],
    ...['/v1/events?', '/v1/events?a=%00', '/v1/events/batch?events=1', '/v1/events%2fbatch', '/__proto__'],
    ...['/constructor', '/v1/events#x', '/v1/events;a=b', '/v1/./events', '/v1/events/../events'],
    ...[`/v1/events?${'q'.repeat(2_100)}`, '/v1/leaderboards/xp', '/healthz', '*', 'http://x/v1/events'],
  ]);
};

const method: Mutation = (draft, chance) => {
  draft.method = chance.pick(['GET', 'PUT', 'DELETE', 'HEAD', 'OPTIONS', 'PATCH', 'QUERY', 'post', 'POST']);
};

export const CONTENT_MUTATIONS: readonly Mutation[] = [
  ...[replaceValue, replaceValue, replaceValue, removeKey, oddNumber, insertToken, changeBytes, cutOut],
  ...[repeatPart, duplicateKey, nest, wholeBody, otherCoding, otherCoding, contentType, idempotencyKey],
  ...[target, method],
];

/** These cost a server work that is its own share of a fuzz run: taken seldom. */
export const COSTLY_MUTATIONS: readonly Mutation[] = [bomb, manyEvents, manyKeys];
