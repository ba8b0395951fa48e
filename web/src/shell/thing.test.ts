import { expect, test } from '@jest/globals';
import { partOf } from './address.ts';
import { thingOf } from './thing.ts';

test('row 71: whatever a player is called comes out of the address as it went in', () => {
  for (const name of ['ada', 'a/b?c#d&e+f', '100%41', '<img src=x onerror=alert(1)>', 'two\nlines', '=1+1'])
    expect(thingOf(`/g/demo/players/${partOf(name)}`)).toBe(name);
});

test('row 71: a player who is called like a way up in an address has one that no browser shortens', () => {
  for (const name of ['.', '..', '...', ',..', '%2e%2e', '../..']) {
    const { pathname } = new URL(`/g/demo/players/${partOf(name)}`, 'http://localhost');
    expect(thingOf(pathname)).toBe(name);
  }
});

test('an address that ends at its place names nothing, and one that no program wrote is taken as it stands', () => {
  expect(thingOf('/g/demo/players')).toBeUndefined();
  expect(thingOf('/g/demo/players/')).toBeUndefined();
  expect(thingOf('/g/demo/players/50%')).toBe('50%');
});
