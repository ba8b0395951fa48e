/** Advisory locks by key: one holder, or any number that share it. Nobody waits here; who does not get it is told. */
export class AdvisoryLocks {
  private readonly owners = new Map<string, object>();
  private readonly sharers = new Map<string, Set<object>>();

  /** False when somebody else has it in any way. */
  take(key: string, holder: object): boolean {
    const owner = this.owners.get(key);
    if (owner !== undefined && owner !== holder) return false;
    for (const sharer of this.sharers.get(key) ?? []) if (sharer !== holder) return false;
    this.owners.set(key, holder);
    return true;
  }

  /** False when somebody has it alone. */
  share(key: string, holder: object): boolean {
    if (this.owners.has(key)) return false;
    const sharers = this.sharers.get(key) ?? new Set();
    this.sharers.set(key, sharers.add(holder));
    return true;
  }

  isTakenBy(key: string, holder: object): boolean {
    return this.owners.get(key) === holder;
  }

  /** The holder's transaction or connection has ended. */
  release(holder: object): void {
    for (const [key, owner] of this.owners) if (owner === holder) this.owners.delete(key);
    for (const [key, sharers] of this.sharers) {
      sharers.delete(holder);
      if (sharers.size === 0) this.sharers.delete(key);
    }
  }

  releaseAll(): void {
    this.owners.clear();
    this.sharers.clear();
  }
}
