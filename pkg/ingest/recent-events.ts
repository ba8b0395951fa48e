/**
 * The identities that this gateway published lately, with their content: a retry is answered without publishing again, and
 * another content is refused. Only a saving: what is forgotten here the roles still find in their inboxes.
 */
export class RecentEvents {
  /** Two generations: when the younger is half of the bound, the older is dropped whole. Cheaper than moving entries. */
  #young = new Map<string, string>();
  #old = new Map<string, string>();
  readonly #generation: number;

  constructor(maxEvents: number) {
    this.#generation = Math.ceil(maxEvents / 2);
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** The content hash that was published under an identity, if it is still known. */
  contentOf(identity: string): string | undefined {
    return this.#young.get(identity) ?? this.#old.get(identity);
  }

  /** Call it only after the bus has the event durably. */
  remember(identity: string, contentHash: string): void {
    if (this.#young.size >= this.#generation) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(identity, contentHash);
  }
}
