import type { Schema } from '../../api/schema.ts';
import { count, span } from '../../parts/figures.ts';
import { visibleName } from '../../parts/visible.ts';

export type Pipeline = Schema<'Pipeline'>;
export type RoleLine = Pipeline['roles'][number];

/** Something that wants a person: what it is, what to do, and where. */
export interface NextStep {
  readonly weight: 'bad' | 'warn' | 'todo';
  readonly what: string;
  readonly how: string;
  /** Parts of the address of the place where one acts; none where it is done elsewhere. */
  readonly place: readonly string[] | null;
  readonly link: string;
}

const LATE_SECONDS = 60;
const MANY_REFUSED = 0.05;

/** An event waits longer than it should. */
export const isLate = ({ oldestSeconds }: RoleLine): boolean =>
  oldestSeconds !== null && oldestSeconds > LATE_SECONDS;

/** What to do next, the gravest first; empty when nothing wants anybody. */
export function nextSteps(pipeline: Pipeline): readonly NextStep[] {
  return [...broken(pipeline), ...behind(pipeline), ...unread(pipeline)];
}

function broken({ roles, deadLetters, drift, view }: Pipeline): NextStep[] {
  const steps: NextStep[] = [];
  const unbalanced = roles.filter(({ holds }) => !holds).map(({ role }) => role);
  if (unbalanced.length > 0)
    steps.push({
      weight: 'bad',
      what: `The books of ${unbalanced.join(', ')} do not balance.`,
      how: 'Run ./fairtally audit: it names the players and events that differ. Keep the log of the workers.',
      place: null,
      link: '',
    });
  if (deadLetters.open > 0)
    steps.push({
      weight: 'bad',
      what: `${count(deadLetters.open)} dead ${deadLetters.open === 1 ? 'letter is' : 'letters are'} open.`,
      how: 'See what they have in common, repair it, and send them again; nothing of them is lost meanwhile.',
      place: ['dead-letters'],
      link: 'Dead letters',
    });
  if ((drift.missing ?? 0) > 0)
    steps.push({
      weight: 'bad',
      what: `A role lacks ${count(drift.missing ?? 0)} events that the archive has.`,
      how: 'The reconciler sends them again. If the number stays, run ./fairtally audit.',
      place: null,
      link: '',
    });
  if (view.state === 'away')
    steps.push({
      weight: 'bad',
      what: 'Redis does not answer.',
      how: 'Boards are right, but read from the database. Start Redis again; the boards fill by themselves.',
      place: ['boards'],
      link: 'Leaderboards',
    });
  return steps;
}

function behind({ roles, view, refusals, rate }: Pipeline): NextStep[] {
  const steps: NextStep[] = roles.filter(isLate).map(({ role, waiting, oldestSeconds }) => ({
    weight: 'warn',
    what: `${role} is ${span(oldestSeconds ?? 0)} behind${waiting === null ? '' : `, with ${count(waiting)} events to settle`}.`,
    how: 'If it does not catch up, start more workers for this role, and look at their log.',
    place: null,
    link: '',
  }));
  if (view.state === 'building' && view.staleCycles > 0)
    steps.push({
      weight: 'warn',
      what: `${count(view.staleCycles)} ${view.staleCycles === 1 ? 'ranking is' : 'rankings are'} being rebuilt.`,
      how: 'They are read from the database until they are whole. There is nothing to do.',
      place: ['boards'],
      link: 'Leaderboards',
    });
  const share = refusals.lastHour / Math.max(1, refusals.lastHour + rate.lastHour);
  const first = refusals.byReason[0];
  if (first !== undefined && share > MANY_REFUSED)
    steps.push({
      weight: 'warn',
      what: `${Math.round(share * 100)} % of the events of the last hour were refused.`,
      how: `Mostly ${first.code}${first.build === null ? '' : ` from build ${visibleName(first.build)}`}: the debugger shows what was wrong with them.`,
      place: ['debugger'],
      link: 'Event debugger',
    });
  return steps;
}

function unread({ openCases, rate, definitionVersion }: Pipeline): NextStep[] {
  const steps: NextStep[] = [];
  if (definitionVersion === null)
    steps.push({
      weight: 'todo',
      what: 'This game has no definition.',
      how: 'Say which events it has, and what they are worth.',
      place: ['definition'],
      link: 'Definition',
    });
  if (rate.lastEventAt === null)
    steps.push({
      weight: 'todo',
      what: 'No event has come yet.',
      how: 'Give the client a key, and post the first one.',
      place: ['keys'],
      link: 'Keys',
    });
  if (openCases > 0)
    steps.push({
      weight: 'todo',
      what: `${count(openCases)} ${openCases === 1 ? 'case waits' : 'cases wait'} for a verdict.`,
      how: 'The evidence is drawn; two clicks decide.',
      place: ['fairness'],
      link: 'Fairness',
    });
  return steps;
}
