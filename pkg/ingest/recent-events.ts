/**
 * The identities that this gateway published lately, with their content: a retry is answered without publishing again, and
 * another content is refused. Only a saving: what is forgotten here the roles still find in their inboxes.
 *
 * Kept as bytes outside the heap: a hundred thousand strings that live just long enough to grow old are what a garbage
 * collector is worst at.
 */
export class RecentEvents {
  /** When the younger is half of the bound, the older is dropped whole. */
  #young: Generation;
  #old: Generation;
  readonly #generationMax: number;

  constructor(maxEvents: number) {
    this.#generationMax = Math.ceil(maxEvents / 2);
    this.#young = new Generation(this.#generationMax);
    this.#old = new Generation(this.#generationMax);
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** The content hash that was published under an identity, if it is still known. Both are hex, as in an admitted event. */
  contentOf(identity: string): string | undefined {
    const key = keyOf(identity);
    return this.#young.find(key, identity) ?? this.#old.find(key, identity);
  }

  /** Call it only after the bus has the event durably. */
  remember(identity: string, contentHash: string): void {
    if (this.#young.size >= this.#generationMax) {
      [this.#young, this.#old] = [this.#old, this.#young];
      this.#young.clear();
    }
    this.#young.add(keyOf(identity), identity, contentHash);
  }
}

const IDENTITY_LENGTH = 32;
const RECORD_LENGTH = IDENTITY_LENGTH + 64;

/** The first 31 bits of an identity: it is a hash already, so they spread. */
function keyOf(identity: string): number {
  let key = 0;
  for (let i = 0; i < 8; i += 1) {
    const code = identity.charCodeAt(i);
    key = (key << 4) | ((code & 15) + (code >> 6) * 9); // the value of a hex digit
  }
  return key & 0x7fffffff;
}

/** A hash table with open addressing that only grows until it is cleared; never more than half full. */
class Generation {
  size = 0;
  /** By place: the key, then the number of the record counted from 1; 0 is an empty place. */
  readonly #places: Int32Array;
  readonly #mask: number;
  readonly #records: Buffer;

  constructor(max: number) {
    const count = 2 ** Math.ceil(Math.log2(Math.max(2, max * 2)));
    this.#places = new Int32Array(count * 2);
    this.#mask = count - 1;
    this.#records = Buffer.alloc(max * RECORD_LENGTH);
  }

  find(key: number, identity: string): string | undefined {
    for (let place = key & this.#mask; ; place = (place + 1) & this.#mask) {
      const record = this.#places[place * 2 + 1] as number;
      if (record === 0) return undefined;
      if (this.#places[place * 2] !== key) continue;
      const text = this.#records.toString('latin1', (record - 1) * RECORD_LENGTH, record * RECORD_LENGTH);
      if (text.startsWith(identity)) return text.slice(IDENTITY_LENGTH);
    }
  }

  /** One that is here already is found before the new one: what was first published stands. */
  add(key: number, identity: string, contentHash: string): void {
    let place = key & this.#mask;
    while (this.#places[place * 2 + 1] !== 0) place = (place + 1) & this.#mask;
    this.#records.write(identity + contentHash, this.size * RECORD_LENGTH, RECORD_LENGTH, 'latin1');
    this.size += 1;
    this.#places[place * 2] = key;
    this.#places[place * 2 + 1] = this.size;
  }

  clear(): void {
    this.size = 0;
    this.#places.fill(0);
  }
}
