import { createBus } from '../../../cmd/bus.js';
import { takes } from '../../../cmd/fairtally/takes.js';
import { withViewCheck } from '../../../cmd/fairtally/views.js';
import { auditGame, type AuditResult } from '../../audit/audit.js';
import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS } from '../../bus/deliver.js';
import type { Bus } from '../../bus/port.js';
import { countUnsettled, readFound } from '../../chaos/effects.postgres.js';
import { judge, missingOf, type History, type Verdict } from '../../chaos/history.js';
import { rerun } from '../../fairness/rerun.js';
import { createDefinitionSource } from '../../games/definitions/postgres.js';
import { systemClock } from '../../kernel/clock.js';
import { systemRandom } from '../../kernel/random.js';
import { ROLES } from '../../kernel/roles.js';
import type { Database } from '../../postgres/port.js';
import { readConfig } from '../../runtime/config.js';
import { reconcileByHand } from '../../worker/reconcile/reconcile.js';
import type { BrokerForProcesses } from '../process-brokers.js';
import { quietLogger } from '../quiet.js';
import { eventually, type Stack } from '../stack.js';

/** Sums of the same experience, in the tables of three roles. */
interface Sums {
  readonly progress: number;
  readonly ledger: number;
  readonly board: number;
  /** Of the board, without hidden players. */
  readonly shown: number;
}

export interface AfterDrain {
  readonly verdict: Verdict;
  /** Boards, levels, grants, findings and views against a recomputation from the archive. */
  readonly audit: AuditResult;
  /** Dead letters by reason. A second content under a used id ends as one; whatever else does is unexpected. */
  readonly letters: readonly { readonly reason: string; readonly letters: number }[];
  /** `served`: what a gateway shows of the board. */
  readonly sums: Sums & { readonly served: number };
  readonly hiddenPlayers: number;
  /** From the end of the load until every role had settled everything and nothing waited on the bus. */
  readonly drainMs: number;
  readonly isDrained: boolean;
  /** Copies that no client asked for again and that the archive made good: see BrokerForProcesses.publishesInSteps. */
  readonly reconciled: number;
}

/** A reader that was killed is missed by its broker after a minute at most; what does not come then never does. */
const STILL_MS = 90_000;
const LOOK_EVERY_MS = 200;

/** Waits for the drain, and judges. */
export async function judgeAfterDrain(
  stack: Stack,
  broker: BrokerForProcesses | null,
  history: History,
  url: string,
): Promise<AfterDrain> {
  const { db, env } = stack;
  const startedAtMs = systemClock.monotonicMs();
  const bus = await openBus(stack, broker);
  let isDrained = await drained(bus, db, history);
  let reconciled = 0;
  if (!isDrained && broker?.publishesInSteps === true) {
    reconciled = await reconcileNow(db);
    isDrained = await drained(bus, db, history);
  }
  await bus.close();
  const drainMs = systemClock.monotonicMs() - startedAtMs;
  const verdict = judge(history, await readFound(db, 'demo'), ROLES.length);
  const [sums = { progress: 0, ledger: 0, board: 0, shown: 0 }] = await db.query<Sums>(SUMS);
  const served = await servedSum(url, sums.shown);
  const letters = await db.query<{ reason: string; letters: number }>(
    'SELECT reason, count(*) AS letters FROM dead_letters GROUP BY reason',
  );
  const [{ hidden } = { hidden: 0 }] = await db.query<{ hidden: number }>(
    'SELECT count(*) AS hidden FROM player_state WHERE hidden',
  );
  const audit = await auditWithViews(db, env['REDIS_URL'] ?? null);
  return {
    verdict,
    audit,
    letters,
    sums: { ...sums, served },
    hiddenPlayers: hidden,
    drainMs,
    isDrained,
    reconciled,
  };
}

const SUMS = `
  SELECT (SELECT sum(total_xp) FROM player_progress)::bigint AS progress, (SELECT sum(delta_xp) FROM progress_events)::bigint AS ledger,
         sum(score)::bigint AS board,
         coalesce(sum(score) FILTER (WHERE subject NOT IN (SELECT player_id FROM player_state WHERE hidden)), 0)::bigint AS shown
    FROM board_scores WHERE board = 'xp' AND cycle = 'all-time:all'`;

/** The audit of the sample game, whole views included. */
export async function auditWithViews(db: Database, redisUrl: string | null): Promise<AuditResult> {
  const results: AuditResult[] = [];
  await withViewCheck({ db, redisUrl }, async (checkView) => {
    const definitions = createDefinitionSource(db);
    results.push(
      await auditGame('demo', { db, definitions, clock: systemClock, takes, rerun, ...checkView }),
    );
    return 0;
  });
  const [audit] = results;
  if (audit === undefined) throw new Error('the audit did not run');
  return audit;
}

/** To ask how much waits on it, and nothing else. */
const openBus = ({ db, databaseUrl, env }: Stack, broker: BrokerForProcesses | null): Promise<Bus> =>
  createBus({
    settings: { ...readConfig(env).bus, ...(broker?.sqs === undefined ? {} : { sqs: broker.sqs }) },
    db,
    databaseUrl,
    policy: {
      maxAttempts: DEFAULT_MAX_ATTEMPTS,
      backoff: DEFAULT_BACKOFF,
      deadLetters: { put: () => Promise.reject(new Error('the harness reads no events')) },
      clock: systemClock,
      random: systemRandom,
      logger: quietLogger,
    },
  });

/**
 * Waits until nothing waits on the bus for any role, copies of what was settled before included, and every role has settled
 * what was acknowledged; for as long as something moves. False when nothing does any more: a lost event never comes, and the
 * verdict names it.
 */
async function drained(bus: Bus, db: Database, history: History): Promise<boolean> {
  let before = Infinity;
  let movedAtMs = systemClock.monotonicMs();
  for (;;) {
    const left = await leftOf(bus, db, history);
    if (left === 0) return true;
    if (left !== before) movedAtMs = systemClock.monotonicMs();
    else if (systemClock.monotonicMs() - movedAtMs > STILL_MS) return false;
    before = left;
    await systemClock.sleep(LOOK_EVERY_MS);
  }
}

async function leftOf(bus: Bus, db: Database, history: History): Promise<number> {
  let waiting = 0;
  for (const role of ROLES) waiting += (await bus.lag(role)).waiting;
  if (waiting > 0) return waiting;
  const found = await readFound(db, 'demo');
  return (await countUnsettled(db, 'demo', ROLES)) + missingOf(history, found, ROLES.length).length;
}

/** What a gateway serves from the view, once that is whole again; what it served last, when it never comes to `expected`. */
async function servedSum(url: string, expected: number): Promise<number> {
  let last = 0;
  const isWhole = async (): Promise<boolean> => {
    const answer = await fetch(`${url}/v1/leaderboards/xp?window=all-time&limit=1000`);
    const { stale, entries } = (await answer.json()) as { stale: boolean; entries: { score: number }[] };
    last = entries.reduce((sum, { score }) => sum + score, 0);
    return !stale && last === expected;
  };
  await eventually(isWhole, STILL_MS, 'the board').catch(() => undefined);
  return last;
}

/** What `fairtally reconcile --older-than-minutes 0` does. @returns copies that were missing */
async function reconcileNow(db: Database): Promise<number> {
  const missing = await reconcileByHand(
    {
      roles: ROLES.filter((role) => role !== 'archive'),
      sinceMs: 0,
      ageMs: 0,
      isDryRun: false,
      decision: { actor: 'chaos', why: 'nothing is on its way any more' },
    },
    { db, clock: systemClock },
  );
  return [...missing.values()].reduce((sum, count) => sum + count, 0);
}
