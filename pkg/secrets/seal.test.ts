import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { systemRandom } from '../kernel/random.js';
import { createSealer, parseMasterKeys } from './seal.js';

const base64Of = (byte: number): string => Buffer.alloc(32, byte).toString('base64');
const place = { table: 'signing_keys', gameId: 'demo', keyId: 'demo' };
const sealer = createSealer(parseMasterKeys(`m1:${base64Of(1)}`), systemRandom);

describe('sealing', () => {
  test('opens whatever it sealed, byte for byte', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        const plain = Buffer.from(bytes);
        expect(sealer.open(sealer.seal(plain, place), place)).toEqual(plain);
      }),
    );
  });

  test('writes the id of the master key, the nonce and the box, and never the same twice', () => {
    const plain = Buffer.from('secret');
    const sealed = sealer.seal(plain, place);
    expect(sealed).toMatch(/^m1\.[A-Za-z0-9_-]{16}\.[A-Za-z0-9_-]{30}$/);
    expect(sealer.seal(plain, place)).not.toBe(sealed);
  });

  test('does not open in another table, game or key, nor where the parts are shifted', () => {
    const sealed = sealer.seal(Buffer.from('secret'), place);
    for (const other of [
      { ...place, table: 'receipt_keys' },
      { ...place, gameId: 'other' },
      { ...place, keyId: 'demo2' },
      { table: 'signing_keysd', gameId: 'emo', keyId: 'demo' },
    ]) {
      expect(() => sealer.open(sealed, other)).toThrow('belongs to another place');
    }
  });

  test('does not open when any character of it was changed, and never throws anything but its own error', () => {
    const sealed = sealer.seal(Buffer.from('a secret of some length'), place);
    for (let i = 0; i < sealed.length - 1; i += 1) {
      const changed = sealed.slice(0, i) + (sealed[i] === 'A' ? 'B' : 'A') + sealed.slice(i + 1);
      expect(() => sealer.open(changed, place)).toThrow(
        expect.objectContaining({ code: 'secret_unreadable' }),
      );
    }
    for (const junk of ['', 'm1', 'm1..', 'm1.AAAAAAAAAAAAAAAA.AAAA', `${sealed}!`, sealed.slice(0, -8)]) {
      expect(() => sealer.open(junk, place)).toThrow(expect.objectContaining({ code: 'secret_unreadable' }));
    }
  });

  test('row 72: seals under the first master key and still opens what an older one sealed', () => {
    const rotated = createSealer(parseMasterKeys(`m2:${base64Of(2)}, m1:${base64Of(1)}`), systemRandom);
    const old = sealer.seal(Buffer.from('secret'), place);
    expect(rotated.open(old, place).toString()).toBe('secret');
    expect(rotated.isCurrent(old)).toBe(false);
    expect(rotated.isCurrent(rotated.seal(Buffer.from('x'), place))).toBe(true);
    expect(() => sealer.open(rotated.seal(Buffer.from('x'), place), place)).toThrow('master key');
  });
});

describe('the text of the master keys', () => {
  test('row 78: a wrong one is refused by its place, and its value is not repeated', () => {
    const good = `m1:${base64Of(1)}`;
    for (const text of [
      '',
      'm1',
      'm1:',
      `:${base64Of(1)}`,
      `m1:${Buffer.alloc(31).toString('base64')}`,
      `m1:${base64Of(1).replace('=', '')}`,
      `m 1:${base64Of(1)}`,
      `${good},`,
      `${good},${good}`,
      Array.from({ length: 9 }, (_, i) => `m${String(i)}:${base64Of(i)}`).join(','),
      `m1:${'B'.repeat(42)}B=`, // loose last bits
    ]) {
      expect(() => parseMasterKeys(text)).toThrow(expect.objectContaining({ code: 'invalid_master_key' }));
    }
    expect(() => parseMasterKeys(`${good},m2:hunter2`)).toThrow(/entry 2 is not/);
    expect(() => parseMasterKeys(`${good},m2:hunter2`)).not.toThrow(/hunter2/);
  });

  test('there must be one, of 32 bytes', () => {
    expect(() => createSealer([], systemRandom)).toThrow('there is none');
    expect(() => createSealer([{ id: 'm', key: Buffer.alloc(16) }], systemRandom)).toThrow('32 bytes');
  });
});
