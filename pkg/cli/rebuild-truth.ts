import { SingleBar } from 'cli-progress';
import type { TruthProgress, TruthRebuilt } from '../heal/rebuild.js';
import type { Healed } from '../worker/rederive/port.js';
import { nowAndThen } from './now-and-then.js';
import type { Output } from './output.js';
import { countOf } from './plural.js';
import { table } from './table.js';

const ROWS_SHOWN_MAX = 50;
const TEXT_MAX = 80;

export interface RebuildTruthDeps {
  readonly countPlayers: () => Promise<number>;
  /** `onWalk`: events of the archive that were counted for boards that do not rank players, and the player it has come to. */
  readonly rebuild: (
    onProgress: (progress: TruthProgress) => void,
    onWalk: (walked: { readonly events: number; readonly playerId: string }) => void,
  ) => Promise<TruthRebuilt>;
  readonly out: Output;
}

/**
 * Makes progress, ledger, scores and missing receipts of players again, or with a dry run tells what would be. 0 when
 * everything is right in the end, 1 when something is wrong or could not be judged.
 */
export async function rebuildTruthCommand(
  isDryRun: boolean,
  { countPlayers, rebuild, out }: RebuildTruthDeps,
): Promise<number> {
  const bar = out.isTerminal ? progressBar(out, await countPlayers()) : null;
  try {
    const isDue = nowAndThen();
    const result = await rebuild(
      ({ players, repaired, last }) => {
        const player = short(last?.playerId ?? 'those in motion');
        bar?.update(players, { repaired, player });
        if (bar === null && isDue())
          out.line(`${countOf(players, 'player')} looked at, ${String(repaired)} made again, at ${player}`);
      },
      ({ events, playerId }) => {
        const counted = `${short(playerId)}, ${countOf(events, 'event')} counted for boards of guilds`;
        bar?.update({ player: counted });
        if (bar === null && isDue()) out.line(`at ${counted}`);
      },
    );
    bar?.stop();
    return report(isDryRun, result, out);
  } finally {
    bar?.stop();
  }
}

function report(isDryRun: boolean, result: TruthRebuilt, out: Output): number {
  const { players, repaired, stays, moving, left, isCut } = result;
  show(isDryRun ? 'Wrong:' : 'Made again:', repaired.flatMap(wrongRows), out);
  show('Stays as it is:', stays.flatMap(stayingRows), out);
  show('Still wrong:', left.flatMap(wrongRows), out);
  const looked = `${countOf(players, 'player')} looked at`;
  const done = `${String(repaired.length)} ${isDryRun ? 'would be made again' : 'made again'}`;
  out.line(
    `${looked}: ${done}, ${String(stays.length)} left as found, ${String(moving.length)} in motion to the end.`,
  );
  const unread = new Set(
    stays
      .filter(({ verdict }) => verdict.kind === 'unread')
      .map(({ gameId, playerId }) => `${gameId} ${playerId}`),
  );
  if (unread.size > 0)
    out.line(
      `${countOf(unread.size, 'player')} could not be looked at: whether they are right is not known.`,
    );
  if (moving.length > 0) out.line('The archive is behind those in motion: run this again when it is not.');
  if (isCut) out.line('There was too much for one report: run this again.');
  if (isDryRun && repaired.length > 0) out.line('Nothing was changed. Without --check they are made again.');
  if (!isDryRun && repaired.length > 0)
    out.line(left.length === 0 ? 'What was touched is exact now.' : 'What was touched is not exact.');
  const isRight = stays.length + moving.length + left.length === 0 && !isCut;
  return isRight && !(isDryRun && repaired.length > 0) ? 0 : 1;
}

const wrongRows = ({ gameId, playerId, role, verdict }: Healed): string[][] =>
  verdict.kind === 'wrong' || verdict.kind === 'repaired'
    ? verdict.wrong.map(({ what, expected, found }) => [gameId, playerId, role, what, expected, found])
    : [];

const stayingRows = ({ gameId, playerId, role, verdict }: Healed): string[][] => {
  if (verdict.kind === 'blocked' || verdict.kind === 'unread')
    return [[gameId, playerId, role, verdict.why, '', '']];
  if (verdict.kind === 'moving') return [];
  return verdict.kept.map(({ what, expected, found }) => [gameId, playerId, role, what, expected, found]);
};

function show(title: string, rows: readonly string[][], out: Output): void {
  if (rows.length === 0) return;
  out.line(title);
  const head = ['game', 'player', 'role', 'what', 'expected', 'found'];
  out.line(
    table(
      head,
      rows.slice(0, ROWS_SHOWN_MAX).map((row) => row.map(short)),
    ),
  );
  if (rows.length > ROWS_SHOWN_MAX) out.line(`and ${String(rows.length - ROWS_SHOWN_MAX)} more`);
}

/** Control characters would speak to the terminal of whoever reads. */
function short(text: string): string {
  const plain = text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD');
  return plain.length <= TEXT_MAX ? plain : `${plain.slice(0, TEXT_MAX - 1)}…`;
}

function progressBar(out: Output, total: number): SingleBar {
  const bar = new SingleBar({
    stream: out.stream,
    format: 'rebuild [{bar}] {value}/{total} players, {repaired} made again, at {player}',
    barCompleteChar: '=',
    barIncompleteChar: ' ',
  });
  bar.start(total, 0, { repaired: 0, player: '' });
  return bar;
}
