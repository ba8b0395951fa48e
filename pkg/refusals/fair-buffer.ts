/**
 * A bounded buffer that no game can fill for the others: when it is full, who holds more than a fair share gives up its oldest,
 * and games take turns when it is emptied.
 */
export class FairBuffer<Item extends { readonly gameId: string }> {
  /** Each game's items, oldest first; a game without any has no queue. The game at the front is next. */
  readonly #queues = new Map<string, Item[]>();
  readonly #max: number;
  #size = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  /** @returns how many were given up for it */
  put(item: Item): 0 | 1 {
    const isFull = this.#size >= this.#max;
    if (isFull) this.#giveUpOne(item.gameId);
    const queue = this.#queues.get(item.gameId);
    if (queue === undefined) this.#queues.set(item.gameId, [item]);
    else queue.push(item);
    this.#size += 1;
    return isFull ? 1 : 0;
  }

  /** Takes `count` at most, one of each game in turn, each game's oldest first. */
  take(count: number): Item[] {
    const taken: Item[] = [];
    while (taken.length < count && this.#size > 0) {
      for (const [gameId, queue] of this.#queues) {
        if (taken.length === count) break;
        const item = queue.shift();
        this.#queues.delete(gameId);
        if (queue.length > 0) this.#queues.set(gameId, queue); // behind those that had no turn yet
        if (item === undefined) continue;
        taken.push(item);
        this.#size -= 1;
      }
    }
    return taken;
  }

  /** Who holds a fair share or more gives up its own, without a look at the others; for who holds less, the game with most does. */
  #giveUpOne(asking: string): void {
    const held = this.#queues.get(asking)?.length ?? 0;
    let most = asking;
    if (held * this.#queues.size < this.#max) {
      for (const [gameId, { length }] of this.#queues)
        if (length > (this.#queues.get(most)?.length ?? 0)) most = gameId;
    }
    const queue = this.#queues.get(most);
    queue?.shift();
    if (queue?.length === 0) this.#queues.delete(most);
    this.#size -= 1;
  }
}
