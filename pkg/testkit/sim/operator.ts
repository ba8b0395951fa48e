import { FairtallyError, OutageError } from '../../kernel/errors.js';
import { ROLES } from '../../kernel/roles.js';
import { isTransient } from '../../postgres/database.js';
import type { Database } from '../../postgres/port.js';
import { correctLetter } from '../../worker/dead-letters/correct.postgres.js';
import { dropJob, redriveJob } from '../../worker/dead-letters/jobs.js';
import type { LetterFilter } from '../../worker/dead-letters/port.js';
import { letterIds, newestLetterId } from '../../worker/dead-letters/queries.postgres.js';
import { definitionsOf, GAMES } from './game.js';
import type { SimNode } from './node.js';
import type { System } from './system.js';
import { WRONG_RULE } from './wrong-rule.js';

const PAUSE_MS = 5_000;
const STALLED_MS = 3_000;
const LOOKED_AT = 50;

/** Somebody decides about dead letters: sends them again, drops them, or corrects their payload. */
export async function operate(system: System, node: SimNode, db: Database): Promise<void> {
  const { world, clock } = node;
  const { chance } = world;
  while (!world.isHealed) {
    await clock.sleep(chance.between(0, PAUSE_MS) * world.swarm.pace);
    const filter: LetterFilter = {
      gameId: chance.is(0.8) ? GAMES[0] : GAMES[1],
      ...(chance.is(0.3) ? { role: chance.pick(ROLES) } : {}),
      ...(chance.is(0.7) ? { reason: chance.pick([WRONG_RULE, 'bad_payload']) } : {}),
    };
    if (world.isHealed) return;
    system.adminsAtWork += 1;
    await decide(node, db, filter).catch((error: unknown) => {
      if (!isExpected(error)) throw error;
    });
    system.adminsAtWork -= 1;
  }
}

async function decide(node: SimNode, db: Database, filter: LetterFilter): Promise<void> {
  const { world, clock, random } = node;
  const { chance, coverage } = world;
  const decision = { actor: 'ada', why: 'as it was agreed' };
  if (chance.is(0.3)) {
    const job = { filter, decision, rate: 1_000, stalledMs: STALLED_MS };
    const { sent } = await redriveJob(job, { db, clock });
    return coverage.saw('letter redriven', sent);
  }
  const range = { afterId: 0, upToId: await newestLetterId(db), limit: LOOKED_AT };
  const ids = await letterIds(db, { ...filter, state: 'open' }, range);
  if (ids.length === 0) return;
  const id = chance.pick(ids);
  if (chance.is(0.2)) {
    const { dropped } = await dropJob({ filter: { ...filter, ids: [id] }, decision }, { db });
    return coverage.saw('letter dropped', dropped);
  }
  const payload = { deltaXp: 1 + chance.below(50), activity: 'corrected' };
  await correctLetter(id, payload, decision, { db, definitions: definitionsOf(node), clock, random });
  coverage.saw('letter corrected');
}

/** Of an outage one tries again later; a correction may be refused, also because its first try had succeeded. */
const isExpected = (error: unknown): boolean =>
  error instanceof OutageError ||
  isTransient(error) ||
  (error instanceof FairtallyError && ['correction_refused', 'letter_unknown'].includes(error.code));
