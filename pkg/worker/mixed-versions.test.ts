import { expect, test } from '@jest/globals';
import { canonicalJson } from '../contract/canonical-json.js';
import { encodeEvent } from '../contract/event.js';
import { contentHashOf, dedupeDayOf, identityOf } from '../contract/identity.js';
import { encodeAdmitted } from '../ingest/encode.js';
import { GOLDEN_VERSIONS, goldenBodies, ofALaterBuild } from '../testkit/golden.js';
import { readEvent } from './read-event.js';

const WRITTEN_TODAY = 1;

test.each(GOLDEN_VERSIONS)(
  'row 76: every message that a build of envelope version %i has written is read',
  (version) => {
    const bodies = goldenBodies(version);
    expect(bodies.length).toBeGreaterThan(0);
    for (const body of bodies) expect(readEvent(body)).toMatchObject({ v: version });
  },
);

test('row 76: this build writes each message to the letter as the first build of its envelope version did', () => {
  for (const body of goldenBodies(WRITTEN_TODAY)) {
    const event = readEvent(body);
    expect(encodeEvent(event)).toBe(body);
    expect(encodeAdmitted(event, canonicalJson(event.payload))).toBe(body);
  }
});

test('row 76: builds agree on the day, the identity and the content hash of an event, so a retry across a deploy counts once', () => {
  for (const body of GOLDEN_VERSIONS.flatMap(goldenBodies)) {
    const event = readEvent(body);
    const { gameId, playerId, id, tsMs } = event;
    expect(event.dedupeDay).toBe(dedupeDayOf(id, tsMs));
    expect(event.identity).toBe(identityOf(gameId, playerId, event.dedupeDay, id));
    expect(event.contentHash).toBe(contentHashOf(event));
  }
});

test('row 76: what a later build adds within an envelope version changes nothing of what this build reads', () => {
  for (const body of goldenBodies(WRITTEN_TODAY)) {
    const event = readEvent(ofALaterBuild(body));
    expect(event).toMatchObject(readEvent(body));
    expect(event.contentHash).toBe(contentHashOf(event));
  }
});

test.each([2, 3, 1_000])('row 76: envelope version %i is told apart from what nobody can read', (version) => {
  for (const body of goldenBodies(WRITTEN_TODAY)) {
    const later = body.replace('{"v":1,', `{"v":${String(version)},`);
    expect(() => readEvent(later)).toThrow(expect.objectContaining({ code: 'unknown_version' }));
  }
});

test.each(['0', '-1', '1.5', '"2"', 'null', '1e999'])('%s is no envelope version', (version) => {
  expect(() => readEvent(`{"v":${version}}`)).toThrow(expect.objectContaining({ code: 'unreadable' }));
});
