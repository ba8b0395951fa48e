import { systemClock, type Clock } from '../kernel/clock.js';

/** A clock that stands still until it is told otherwise; who sleeps sleeps in real time. */
export class SettableClock implements Clock {
  #nowMs: number;

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(ms, signal);
  }

  set(nowMs: number): void {
    this.#nowMs = nowMs;
  }

  advance(ms: number): void {
    this.#nowMs += ms;
  }
}

/** `clock`, but who sleeps sleeps a fraction of the time: for limits that would be waited for in vain. */
export const hastyClock = (clock: Clock): Clock => ({
  now: () => clock.now(),
  monotonicMs: () => clock.monotonicMs(),
  sleep: (ms, signal) => systemClock.sleep(ms / 25, signal),
});
