import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { JsonObject } from './event.js';
import {
  contentHashOf,
  dedupeDayOf,
  identityOf,
  implicitId,
  isEventId,
  messageIdOf,
  utcDayOf,
} from './identity.js';
import { LAST_TS_MS, parseTimestamp } from './timestamp.js';

interface Vectors {
  readonly timestamps: readonly { value: unknown; tsMs: number | null }[];
  readonly identities: readonly {
    name: string;
    gameId: string;
    playerId: string;
    id: string;
    tsMs: number;
    dedupeDay: string;
    identity: string;
  }[];
  readonly contents: readonly {
    name: string;
    event: { type: string; playerId: string; ts: unknown; payload: JsonObject };
    tsMs: number;
    contentHash: string;
    implicitId: string;
  }[];
  readonly messageIds: readonly {
    identity: string;
    contentHash: string;
    redrive: number;
    messageId: string;
  }[];
}

const file = new URL('../../api/signing-vectors.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as Vectors;

describe('api/signing-vectors.json', () => {
  test.each(vectors.timestamps)('the ts $value is $tsMs ms', ({ value, tsMs }) => {
    expect(parseTimestamp(value)).toBe(tsMs);
  });

  test.each(vectors.identities)(
    'identity of $name',
    ({ gameId, playerId, id, tsMs, dedupeDay, identity }) => {
      expect(dedupeDayOf(id, tsMs)).toBe(dedupeDay);
      expect(identityOf(gameId, playerId, dedupeDay, id)).toBe(identity);
    },
  );

  test.each(vectors.contents)(
    'row 14: content hash of $name',
    ({ event, tsMs, contentHash, implicitId: id }) => {
      const { type, playerId, ts, payload } = event;
      expect(parseTimestamp(ts)).toBe(tsMs);
      expect(contentHashOf({ type, playerId, tsMs, payload })).toBe(contentHash);
      expect(implicitId(contentHash)).toBe(id);
      expect(isEventId(id)).toBe(true);
    },
  );

  test('row 14: of the content vectors the first four are one event, the fifth conflicts with it', () => {
    const [first, ...rest] = vectors.contents.map(({ contentHash }) => contentHash);
    expect(rest.map((contentHash) => contentHash === first)).toEqual([true, true, true, false, false, false]);
  });

  test.each(vectors.messageIds)(
    'message id of redrive $redrive',
    ({ identity, contentHash, redrive, messageId }) => {
      expect(messageIdOf(identity, contentHash, redrive)).toBe(messageId);
    },
  );
});

describe('identity', () => {
  test('fields shifted against one another never give the same', () => {
    const field = fc.string({ unit: fc.constantFrom('a', '1', ':', '3', 'é'), minLength: 1, maxLength: 5 });
    const fields = fc.tuple(field, field, field, field);
    fc.assert(
      fc.property(fields, fields, (one, other) => {
        const same = one.every((text, i) => text === other[i]);
        expect(identityOf(...one) === identityOf(...other)).toBe(same);
      }),
      { numRuns: 1_000 },
    );
  });

  test('the day of an instant is the day that Date writes, in any order of asking', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: LAST_TS_MS }), { minLength: 1 }), (instants) => {
        for (const tsMs of instants) expect(utcDayOf(tsMs)).toBe(new Date(tsMs).toISOString().slice(0, 10));
      }),
    );
  });

  test('the day inside a UUIDv7 or a ULID does not move with ts; without one it is the day of ts', () => {
    fc.assert(
      fc.property(
        fc.uuid({ version: 7 }),
        fc.ulid(),
        fc.integer({ min: 0, max: LAST_TS_MS }),
        (uuid, ulid, tsMs) => {
          const inside = parseInt(uuid.replaceAll('-', '').slice(0, 12), 16);
          expect(dedupeDayOf(uuid, tsMs)).toBe(utcDayOf(inside <= LAST_TS_MS ? inside : tsMs));
          expect(dedupeDayOf(ulid, tsMs)).toMatch(/^\d{4}-\d\d-\d\d$/);
          expect(dedupeDayOf(`x${ulid}`, tsMs)).toBe(utcDayOf(tsMs));
        },
      ),
    );
  });

  test.each([
    ['a', true],
    ['A-z_0.9:', true],
    ['a'.repeat(64), true],
    ['a'.repeat(65), false],
    ['', false],
    ['a b', false],
    ['é', false],
    ['a\n', false],
  ])('%p may be an id: %p', (id, allowed) => {
    expect(isEventId(id)).toBe(allowed);
  });
});
