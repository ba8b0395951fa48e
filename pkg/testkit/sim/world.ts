import { Chance } from './chance.js';
import type { Coverage } from './coverage.js';
import type { FaultKind, Swarm } from './swarm.js';

/** Something that will happen at a virtual instant. */
export interface Happening {
  readonly atMs: number;
  /** Of those at one instant the smaller comes first: drawn, so that any order comes up. */
  readonly tie: number;
  readonly label: string;
  act: (() => void) | null;
}

const TRACE_LINES = 60;
const HASH_PRIME = 0x01000193;
/** The listener waits for the end of a turn before it answers; what waits otherwise waits for the next of these. */
const TURNS_OF_A_REQUEST = 3;
const STEPS_PER_TURN = 64;

/** 2026-11-20T23:59:20Z: a Friday whose day turns 40 seconds later. */
export const START_MS = Date.UTC(2026, 10, 20, 23, 59, 20);

/**
 * One seed's universe: virtual time, one queue of what will happen, and the dice that order it. Whatever runs in it takes
 * its time, chance and answers from here, so the same seed is the same run.
 */
export class World {
  nowMs = START_MS;
  steps = 0;
  /** From then on nothing goes wrong any more. */
  isHealed = false;
  readonly chance: Chance;
  private readonly queue: Happening[] = [];
  private readonly lines: { readonly atMs: number; readonly text: string }[] = [];
  private hashValue = 0x811c9dc5;
  private turnsWanted = 0;
  private killers = 0;

  constructor(
    readonly seed: number,
    readonly swarm: Swarm,
    readonly coverage: Coverage,
  ) {
    this.chance = new Chance(seed);
  }

  /** Lets `act` happen after a while. What is cancelled (`act = null`) costs no step. */
  after(delayMs: number, label: string, act: () => void): Happening {
    const happening = { atMs: this.nowMs + delayMs, tie: this.chance.unit(), label, act };
    push(this.queue, happening);
    return happening;
  }

  /** Whether a fault strikes here. Counted, so that a fault which never strikes is seen. */
  strikes(kind: FaultKind): boolean {
    const rate = this.swarm.faults[kind];
    if (this.isHealed || rate === 0 || !this.chance.is(rate)) return false;
    this.coverage.fault(kind);
    this.trace(`! ${kind}`);
    return true;
  }

  /** One event that kills whoever handles it is enough for a world, and it needs time to be found. */
  takesKiller(): boolean {
    if (!this.swarm.hasKiller || this.killers > 0) return false;
    this.killers += 1;
    return true;
  }

  /** One line of what happened. Enters the hash by which two runs of a seed are compared. */
  trace(line: string): void {
    let hash = Math.imul(this.hashValue ^ Math.floor(this.nowMs), HASH_PRIME);
    for (let i = 0; i < line.length; i += 1) hash = Math.imul(hash ^ line.charCodeAt(i), HASH_PRIME);
    this.hashValue = hash ^ (hash >>> 15);
    if (this.lines.length >= TRACE_LINES * 2) this.lines.splice(0, TRACE_LINES);
    this.lines.push({ atMs: this.nowMs, text: line });
  }

  get traceHash(): string {
    return (this.hashValue >>> 0).toString(16).padStart(8, '0');
  }

  lastLines(): readonly string[] {
    return this.lines
      .slice(-TRACE_LINES)
      .map(({ atMs, text }) => `${(atMs - START_MS).toFixed(1).padStart(10)} ms  ${text}`);
  }

  /** Code that was called in this step goes on in a later turn of the event loop (`setImmediate`), perhaps of several. */
  wantsTurns(): void {
    this.turnsWanted = TURNS_OF_A_REQUEST;
  }

  /** Runs step after step until `isDone` or nothing is left. Between two steps every promise that can go on has gone on. */
  run(isDone: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const goOn = (): void => {
        try {
          if (this.turnsWanted > 0) this.turnsWanted -= 1;
          else if (isDone() || !this.step()) return resolve();
        } catch (error) {
          return reject(error instanceof Error ? error : new Error(String(error)));
        }
        // A turn of the event loop asks the kernel for input each time; the end of all microtasks is enough for promises.
        if (this.turnsWanted > 0 || this.steps % STEPS_PER_TURN === 0) setImmediate(goOn);
        else queueMicrotask(() => process.nextTick(goOn));
      };
      goOn();
    });
  }

  /** Lets the next thing happen. False: nothing is left. */
  private step(): boolean {
    for (;;) {
      const next = pop(this.queue);
      if (next === undefined) return false;
      const { act } = next;
      if (act === null) continue;
      next.act = null;
      this.nowMs = Math.max(this.nowMs, next.atMs);
      this.steps += 1;
      this.trace(next.label);
      act();
      return true;
    }
  }
}

const isBefore = (a: Happening, b: Happening): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.tie < b.tie);

/** A binary heap. */
function push(heap: Happening[], item: Happening): void {
  let at = heap.length;
  heap.push(item);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = heap[parent] as Happening;
    if (!isBefore(item, above)) break;
    heap[at] = above;
    at = parent;
  }
  heap[at] = item;
}

function pop(heap: Happening[]): Happening | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let child = at * 2 + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && isBefore(heap[child + 1] as Happening, heap[child] as Happening))
      child += 1;
    if (!isBefore(heap[child] as Happening, last)) break;
    heap[at] = heap[child] as Happening;
    at = child;
  }
  heap[at] = last;
  return first;
}
