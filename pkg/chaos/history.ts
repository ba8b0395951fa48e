/** What a client was told of an event it sent: counted, refused for good, or no answer that it could trust. */
export type Answer = 'ok' | 'fail' | 'unknown';

const RIVAL = '+other';

/**
 * The name, in a history, of the second content that is sent under the id of an event which was acknowledged before. Whatever
 * its sender is told, it must never take effect; taken by a gateway that had forgotten the first, it ends as a dead letter.
 */
export const rivalOf = (eventId: string): string => `${eventId}${RIVAL}`;
const firstOf = (key: string): string | null => (key.endsWith(RIVAL) ? key.slice(0, -RIVAL.length) : null);

/** What the client wrote down, to be held against what the system did. As Jepsen's checkers do it. */
export class History {
  private readonly answers = new Map<string, Answer>();
  private readonly tallies = new Map<string, number>();

  /** @param keep takes a line for each thing noted, before anything else happens: what a killed client leaves behind */
  constructor(private readonly keep: (line: string) => void = () => undefined) {}

  /** Before it is sent for the first time: from now on it may have taken effect. */
  intend(eventId: string): void {
    if (this.answers.has(eventId)) return;
    this.keep(`unknown ${eventId}\n`);
    this.answers.set(eventId, 'unknown');
  }

  /** Counts something that was done; its name is no part of the verdict. */
  did(kind: string, times = 1): void {
    if (times === 0) return;
    this.keep(`did ${kind} ${String(times)}\n`);
    this.tallies.set(kind, this.timesOf(kind) + times);
  }

  timesOf(kind: string): number {
    return this.tallies.get(kind) ?? 0;
  }

  /** Takes over the lines that another history kept. A last line that was cut off says nothing. */
  readLines(text: string): void {
    for (const line of text.split('\n').slice(0, -1)) {
      const [word, name = '', times] = line.split(' ');
      if (word === 'unknown') this.intend(name);
      else if (word === 'ok' || word === 'fail') this.note(name, word);
      else if (word === 'did') this.did(name, Number(times));
    }
  }

  /** An event may be sent many times: once acknowledged it stays so, and a refusal says nothing of a copy still under way. */
  note(eventId: string, answer: Answer): void {
    const before = this.answers.get(eventId);
    if (before === 'ok' || answer === 'unknown' || before === answer) return;
    this.keep(`${answer} ${eventId}\n`);
    this.answers.set(eventId, answer);
  }

  get sent(): number {
    return this.answers.size;
  }

  count(answer: Answer): number {
    let count = 0;
    for (const one of this.answers.values()) if (one === answer) count += 1;
    return count;
  }

  answerOf(eventId: string): Answer | null {
    return this.answers.get(eventId) ?? null;
  }

  entries(): IterableIterator<[string, Answer]> {
    return this.answers.entries();
  }
}

/** What stands of one event after the drain. */
export interface EventEffects {
  /** The id; for the second content under an id what `rivalOf` makes of it. */
  readonly eventId: string;
  /** Copies in the archive. */
  readonly archived: number;
  /** Times it was counted: rows of the ledger of experience, for types without experience rows of the inbox. */
  readonly counted: number;
}

/** Dead letters of one event. */
export interface EventLetters {
  readonly eventId: string;
  readonly reason: string;
  /** Roles in which it died. */
  readonly roles: number;
}

/** Everything that stands after the drain. */
export interface Found {
  readonly effects: readonly EventEffects[];
  readonly letters: readonly EventLetters[];
}

export interface Verdict {
  readonly sent: number;
  readonly acknowledged: number;
  /** Told that it was refused, and nothing else. */
  readonly refused: number;
  /** Acknowledged, and without effect; of a second content: neither a dead letter in every role. */
  readonly lost: readonly string[];
  /** Counted or archived more than once, or once in one place and not in the other. */
  readonly doubled: readonly string[];
  /** In effect, or dead, although nobody sent it, or its sender was told that it was refused, or its id was taken. */
  readonly unexpected: readonly string[];
}

const CONFLICT = 'event_id_conflict';

/** Acknowledged events of which nothing is found yet; after the drain they are lost. */
export function missingOf(history: History, { effects, letters }: Found, roles: number): string[] {
  const inEffect = new Set(effects.map(({ eventId }) => eventId));
  const died = new Map(letters.map((letter) => [letter.eventId, letter]));
  const missing: string[] = [];
  for (const [eventId, answer] of history.entries()) {
    const place = firstOf(eventId) === null ? inEffect.has(eventId) : died.get(eventId)?.roles === roles;
    if (answer === 'ok' && !place) missing.push(eventId);
  }
  return missing;
}

/**
 * Holds what clients wrote down against what took effect. An `unknown` may have happened, once, or not; so may the letter of a
 * second content, for its sender is told of one copy and another may be under way.
 *
 * @param roles how many roles there are: each settles every event
 */
export function judge(history: History, found: Found, roles: number): Verdict {
  const doubled: string[] = [];
  const unexpected: string[] = [];
  for (const { eventId, archived, counted } of found.effects) {
    const answer = history.answerOf(eventId);
    if (answer === null || answer === 'fail' || firstOf(eventId) !== null) unexpected.push(eventId);
    if (archived !== 1 || counted !== 1) doubled.push(eventId);
  }
  const inEffect = new Set(found.effects.map(({ eventId }) => eventId));
  for (const { eventId, reason } of found.letters) {
    const first = firstOf(eventId);
    const isConflict = reason === CONFLICT && first !== null && inEffect.has(first);
    if (!isConflict || history.answerOf(eventId) === null) unexpected.push(eventId);
  }
  return {
    sent: history.sent,
    acknowledged: history.count('ok'),
    refused: history.count('fail'),
    lost: missingOf(history, found, roles),
    doubled,
    unexpected,
  };
}

export const isExact = ({ lost, doubled, unexpected }: Verdict): boolean =>
  lost.length + doubled.length + unexpected.length === 0;
