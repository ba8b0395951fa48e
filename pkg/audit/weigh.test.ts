import { expect, test } from '@jest/globals';
import { loadsOf, PLAYER_BYTES_MAX, PLAYER_EVENTS_MAX } from './weigh.postgres.js';

const player = (playerId: string, events: number, bytes = events * 100) => ({ playerId, events, bytes });

test('light players are read together, a heavy one alone, and one beyond the limits not at all', () => {
  const { pages, left } = loadsOf([
    player('a', 10),
    player('b', 0),
    player('busy', 100_000),
    player('c', 15_000),
    player('d', 5_000),
    player('e', 1),
    player('wordy', 500, 20_000_000),
    player('too-busy', PLAYER_EVENTS_MAX + 1),
    player('too-wordy', 2_000, PLAYER_BYTES_MAX + 1),
    player('f', 3),
  ]);
  expect(pages).toEqual([['a', 'b'], ['busy'], ['c', 'd'], ['e'], ['wordy'], ['f']]);
  expect([...left]).toEqual([
    ['too-busy', 'the player has more than 200000 events'],
    ['too-wordy', "the player's events have more than 64 MiB of payloads"],
  ]);
});

test('who is just within the limits is read, and nobody is nothing to read', () => {
  expect(loadsOf([player('a', PLAYER_EVENTS_MAX, PLAYER_BYTES_MAX)]).pages).toEqual([['a']]);
  expect(loadsOf([])).toEqual({ pages: [], left: new Map() });
});
