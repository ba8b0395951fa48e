import { createSignedClient } from '../pkg/client/signed-client.js';
import { systemClock as clock } from '../pkg/kernel/clock.js';
import { DEMO_SECRET, type Stack } from '../pkg/testkit/stack.js';
import type { Bench } from './bench.js';
import type { Child } from './children.js';
import { percentile, perSecond, type Figure } from './figure.js';
import type { LoaderQuestion, Prepared, Sent } from './loader.js';
import type { SlowestRole } from './stack.js';

const CONNECTIONS = 64;
const SECONDS = 20;
const PROBE_EVERY_MS = 40;
const POLL_EVERY_MS = 4;
const GIVE_UP_MS = 30_000;
const GOAL_MS = 250;

interface Setting {
  readonly bench: Bench;
  readonly loader: Child;
  readonly port: number;
  readonly stack: Stack;
  readonly slowest: SlowestRole;
}

/** From the 202 of an event to its player standing on the board that GET answers, while half the possible rate arrives. */
export async function visible({ bench, loader, port, slowest }: Setting): Promise<readonly Figure[]> {
  const rate = slowest.perSecond / 2;
  const url = `http://127.0.0.1:${String(port)}`;
  const key = { keyId: 'demo', secret: DEMO_SECRET };
  bench.tell(`202 to visible: ${String(SECONDS)} s at ${perSecond(rate, 'events')}`);
  const requests = Math.ceil(rate * (SECONDS + 1));
  const prepare: LoaderQuestion = { kind: 'prepare', requests, eventsPerRequest: 1, key };
  await loader.ask<Prepared>(prepare);
  const question: LoaderQuestion = {
    kind: 'send',
    port,
    connections: CONNECTIONS,
    maxSeconds: SECONDS,
    perSecond: rate,
  };
  const load = loader.ask<Sent>(question);
  await clock.sleep(1_000);
  const { latenciesMs, missing } = await probe(url, key, (SECONDS - 2) * 1000);
  const sent = await load;
  const [p50, p99] = [percentile(latenciesMs, 0.5), percentile(latenciesMs, 0.99)];
  return [
    {
      name: '202 to visible on the board, at half of the slowest role’s rate',
      measured: `p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms`,
      limit: `${String(GOAL_MS)} ms`,
      value: missing > 0 ? Infinity : p99,
      goal: { kind: 'atMost', value: GOAL_MS, unit: 'ms' },
      note:
        `${String(latenciesMs.length)} players looked for every ${String(POLL_EVERY_MS)} ms, ${String(missing)} never seen; ` +
        `${perSecond(sent.sent / sent.seconds, 'events')} meanwhile (half of what ${slowest.role} did in the burst), ` +
        `answered with p99 ${sent.p99Ms.toFixed(1)} ms`,
    },
  ];
}

/** Sends an event of a new player every few ms and asks for all players not seen yet, over and over. */
export async function probe(
  url: string,
  key: { keyId: string; secret: string },
  forMs: number,
): Promise<{ latenciesMs: number[]; missing: number }> {
  const sender = createSignedClient({ url, ...key, clock });
  const reader = createSignedClient({ url, ...key, clock });
  const waiting = new Map<string, number>();
  const latenciesMs: number[] = [];
  const run = Date.now().toString(36);
  const endMs = performance.now() + forMs;
  let isSending = true;

  const sendProbes = async (): Promise<void> => {
    const open: Promise<void>[] = [];
    for (let n = 0; performance.now() < endMs; n += 1) {
      const player = `probe-${run}-${String(n)}`;
      const event = { id: player, type: 'progression', playerId: player, ts: clock.now() };
      const body = JSON.stringify({ ...event, payload: { deltaXp: 5, activity: 'quest' } });
      const sending = sender.send('POST', '/v1/events', { body }).then(({ status, text }) => {
        if (status !== 202) throw new Error(`a probe was answered ${String(status)}: ${text}`);
        waiting.set(player, performance.now());
      });
      open.push(sending);
      await clock.sleep(PROBE_EVERY_MS);
    }
    await Promise.all(open);
    isSending = false;
  };
  const look = async (): Promise<void> => {
    while ((isSending || waiting.size > 0) && performance.now() < endMs + GIVE_UP_MS) {
      await clock.sleep(POLL_EVERY_MS);
      const players = [...waiting.keys()].slice(0, 100);
      if (players.length === 0) continue;
      const target = `/v1/leaderboards/xp?window=all-time&players=${players.join(',')}`;
      const { status, text } = await reader.send('GET', target);
      if (status !== 200) throw new Error(`the board was answered ${String(status)}: ${text}`);
      const { entries } = JSON.parse(text) as { entries: { playerId: string }[] };
      for (const { playerId } of entries) {
        latenciesMs.push(performance.now() - (waiting.get(playerId) ?? NaN));
        waiting.delete(playerId);
      }
    }
  };
  await Promise.all([sendProbes(), look()]);
  sender.close();
  reader.close();
  return { latenciesMs, missing: waiting.size };
}
