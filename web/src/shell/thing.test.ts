import { expect, test } from '@jest/globals';
import { thingOf } from './thing.ts';

test('row 71: whatever a player is called comes out of the address as it went in', () => {
  for (const name of ['ada', 'a/b?c#d&e+f', '100%41', '<img src=x onerror=alert(1)>', 'two\nlines', '=1+1'])
    expect(thingOf(`/g/demo/players/${encodeURIComponent(name)}`)).toBe(name);
});

test('an address that ends at its place names nothing, and one that no program wrote is taken as it stands', () => {
  expect(thingOf('/g/demo/players')).toBeUndefined();
  expect(thingOf('/g/demo/players/')).toBeUndefined();
  expect(thingOf('/g/demo/players/50%')).toBe('50%');
});
