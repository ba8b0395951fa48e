/** What a client was told of an event it sent: counted, refused for good, or no answer that it could trust. */
export type Answer = 'ok' | 'fail' | 'unknown';

/** What the client wrote down, to be held against what the system did. As Jepsen's checkers do it. */
export class History {
  private readonly answers = new Map<string, Answer>();

  /** @param keep takes a line for each thing noted, before anything else happens: what a killed client leaves behind */
  constructor(private readonly keep: (line: string) => void = () => undefined) {}

  /** Before it is sent for the first time: from now on it may have taken effect. */
  intend(eventId: string): void {
    if (this.answers.has(eventId)) return;
    this.keep(`unknown ${eventId}\n`);
    this.answers.set(eventId, 'unknown');
  }

  /** Takes over the lines that another history kept. A last line that was cut off says nothing. */
  readLines(text: string): void {
    for (const line of text.split('\n').slice(0, -1)) {
      const [answer, eventId = ''] = line.split(' ');
      if (answer === 'unknown') this.intend(eventId);
      else if (answer === 'ok' || answer === 'fail') this.note(eventId, answer);
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
  readonly eventId: string;
  /** Copies in the archive. */
  readonly archived: number;
  /** Times it was counted: rows of the ledger of experience. */
  readonly counted: number;
}

export interface Verdict {
  readonly sent: number;
  readonly acknowledged: number;
  /** Acknowledged, and without effect. */
  readonly lost: readonly string[];
  /** Counted or archived more than once, or once in one place and not in the other. */
  readonly doubled: readonly string[];
  /** In effect although nobody sent it, or although its sender was told that it was refused. */
  readonly unexpected: readonly string[];
}

/** Holds what clients wrote down against what took effect. An `unknown` may have happened, once, or not. */
export function judge(history: History, effects: Iterable<EventEffects>): Verdict {
  const doubled: string[] = [];
  const unexpected: string[] = [];
  const found = new Set<string>();
  for (const { eventId, archived, counted } of effects) {
    found.add(eventId);
    const answer = history.answerOf(eventId);
    if (answer === null || answer === 'fail') unexpected.push(eventId);
    if (archived !== 1 || counted !== 1) doubled.push(eventId);
  }
  const lost: string[] = [];
  for (const [eventId, answer] of history.entries())
    if (answer === 'ok' && !found.has(eventId)) lost.push(eventId);
  return { sent: history.sent, acknowledged: history.count('ok'), lost, doubled, unexpected };
}

export const isExact = ({ lost, doubled, unexpected }: Verdict): boolean =>
  lost.length + doubled.length + unexpected.length === 0;
