interface Waiting {
  readonly isAlone: boolean;
  readonly begin: () => void;
}

/**
 * Who may run in this process: any number together, or one alone. In the order of asking, so that nobody waits for ever
 * behind those who came later.
 */
export class Turns {
  private running = 0;
  private isOneAlone = false;
  private readonly queue: Waiting[] = [];

  /** Beside others of its kind. */
  together<T>(work: () => Promise<T>): Promise<T> {
    return this.run(false, work);
  }

  /** While nothing else runs. */
  alone<T>(work: () => Promise<T>): Promise<T> {
    return this.run(true, work);
  }

  private async run<T>(isAlone: boolean, work: () => Promise<T>): Promise<T> {
    await new Promise<void>((begin) => {
      this.queue.push({ isAlone, begin });
      this.next();
    });
    try {
      return await work();
    } finally {
      this.running -= 1;
      this.isOneAlone = false;
      this.next();
    }
  }

  private next(): void {
    for (;;) {
      const [first] = this.queue;
      if (first === undefined || this.isOneAlone || (first.isAlone && this.running > 0)) return;
      this.queue.shift();
      this.running += 1;
      this.isOneAlone = first.isAlone;
      first.begin();
    }
  }
}
