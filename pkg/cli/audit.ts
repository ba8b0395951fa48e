import type { AuditDeps, AuditResult } from '../audit/audit.js';
import { nowAndThen } from './now-and-then.js';
import type { Output } from './output.js';
import { countOf } from './plural.js';
import { table } from './table.js';

const ROWS_SHOWN_MAX = 50;
const TEXT_MAX = 60;

/** Runs an audit and tells what differs. 1 when anything does, or when it could not look at everything. */
export async function auditCommand(
  { isJson, out }: { readonly isJson: boolean; readonly out: Output },
  audit: (onProgress: NonNullable<AuditDeps['onProgress']>) => Promise<AuditResult>,
): Promise<number> {
  const isDue = isJson ? () => false : out.isTerminal ? () => true : nowAndThen();
  const result = await audit(({ players, differences }) => {
    if (isDue()) out.line(`${countOf(players, 'player')} looked at, ${countOf(differences, 'difference')}`);
  });
  if (isJson) out.line(JSON.stringify(result, null, 2));
  else report(out, result);
  return result.differences.length === 0 && result.unread.length === 0 && result.isComplete ? 0 : 1;
}

function report(
  out: Output,
  { gameId, players, events, differences, isComplete, unread, letters }: AuditResult,
): void {
  if (letters.length > 0) {
    out.line('Open dead letters:');
    out.line(
      table(
        ['role', 'reason', 'letters'],
        letters.map((row) => [row.role, row.reason, row.letters]),
      ),
    );
  }
  const looked = `${countOf(events, 'event')} of ${countOf(players, 'player')} of ${gameId}`;
  if (unread.length > 0) {
    out.line(`Not looked at: ${countOf(unread.length, 'player')}.`);
    const rows = unread.slice(0, ROWS_SHOWN_MAX).map(({ playerId, why }) => [short(playerId), why]);
    out.line(table(['player', 'why'], rows));
  }
  if (differences.length === 0 && unread.length + Number(!isComplete) > 0) {
    out.line(`No difference in ${looked}; the rest was not looked at.`);
    return;
  }
  if (differences.length === 0) {
    out.line(`Exact: ${looked}, and every effect is what they make it.`);
    return;
  }
  const shown = differences.slice(0, ROWS_SHOWN_MAX);
  const head = ['kind', 'role', 'subject', 'what', 'expected', 'found'];
  const rows = shown.map((row) =>
    [row.kind, row.role, row.subject, row.what, row.expected, row.found].map(short),
  );
  out.line(table(head, rows));
  if (differences.length > shown.length)
    out.line(`and ${String(differences.length - shown.length)} more: --json shows all`);
  out.line(
    `${countOf(differences.length, 'difference')} in ${looked}${isComplete ? '' : '; the rest was not looked at'}.`,
  );
}

const short = (text: string): string => (text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX - 1)}…`);
