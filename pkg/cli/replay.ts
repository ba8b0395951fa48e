import { SingleBar } from 'cli-progress';
import type { SignedClient } from '../client/signed-client.js';
import type { Clock } from '../kernel/clock.js';
import { FairtallyError } from '../kernel/errors.js';
import type { Random } from '../kernel/random.js';
import {
  EMPTY_TALLY,
  readCheckpoint,
  recordingName,
  rejectedCount,
  writeCheckpoint,
  type Checkpoint,
  type Tally,
} from '../replay/checkpoint.js';
import {
  MS_PER_DAY,
  readRecording,
  rebaseDaysFor,
  surveyRecording,
  type RecordingSummary,
} from '../replay/recording.js';
import { replay, type ReplayProgress } from '../replay/replay.js';
import type { Output } from './output.js';
import { countOf } from './plural.js';
import { EXIT_FAILED, EXIT_INTERRUPTED } from './program.js';
import { refuseAbsent } from './files.js';
import { table } from './table.js';

export interface ReplayCommand {
  readonly files: readonly string[];
  readonly url: string;
  readonly rate: number | null;
  readonly concurrency: number;
  /** Whole days, or `auto`: so that the recording ends within the last day. null: as kept, else not moved. */
  readonly rebase: number | 'auto' | null;
  readonly isDryRun: boolean;
  /** Go on where the last run stopped. */
  readonly isResume: boolean;
  /** Where the checkpoint stands; null: none is kept. */
  readonly checkpointPath: string | null;
}

export interface ReplayDeps {
  readonly client: Pick<SignedClient, 'send'>;
  readonly clock: Clock;
  readonly random: Pick<Random, 'unit'>;
  readonly out: Output;
  readonly signal?: AbortSignal;
}

const CHECKPOINT_EVERY_MS = 500;

/**
 * Feeds a recording through the gateway; answers the exit code. The offset of the first run stays in the checkpoint, so
 * whatever is run again, killed or not, with --resume or without, sends the same events and counts nothing twice.
 *
 * 1 when most of it was refused as known with another time or content.
 *
 * @throws FairtallyError of the checkpoint (checkpoint.ts) or of the replay (replay.ts), `rebase_changed`,
 *   `ids_without_day` for a recording that cannot be moved, `no_file`
 */
export async function replayCommand(command: ReplayCommand, deps: ReplayDeps): Promise<number> {
  const { out, clock, signal } = deps;
  const { checkpointPath } = command;
  refuseAbsent(command.files);
  const recording = recordingName(command.files, command.url);
  const kept = checkpointPath === null ? null : readCheckpoint(checkpointPath, recording);
  const summary = await surveyRecording(command.files);
  const rebaseDays = rebaseOf(command, kept, summary, clock.now());
  if (rebaseDays !== 0) refuseIdsWithoutDay(summary);
  const start = command.isResume && kept !== null ? kept : { line: 0, tally: EMPTY_TALLY };
  describe(out, summary, rebaseDays);
  if (start.line > 0) out.line(`Going on after line ${String(start.line)}.`);
  if (command.isDryRun) {
    out.line(
      'Dry run: nothing was sent. It only reads the files; what the gateway would take of them, the dry run of the ' +
        'dashboard (Replay) tells.',
    );
    return 0;
  }

  let latest: ReplayProgress = start;
  const save = (): void => {
    if (checkpointPath !== null) writeCheckpoint(checkpointPath, { recording, rebaseDays, ...latest });
  };
  // Before the first event: the offset must survive a kill, or the same events would come back with other times.
  save();
  const bar = out.isTerminal ? progressBar(out, summary.lines, start.line) : null;
  const beganAt = clock.monotonicMs();
  let savedAt = beganAt;
  try {
    latest = await replay({
      ...command,
      ...deps,
      recording: readRecording(command.files, rebaseDays),
      fromLine: start.line,
      tally: start.tally,
      onProgress: (progress) => {
        latest = progress;
        bar?.update(Math.min(progress.line, summary.lines));
        if (clock.monotonicMs() - savedAt < CHECKPOINT_EVERY_MS) return;
        savedAt = clock.monotonicMs();
        save();
      },
    });
  } finally {
    bar?.stop();
    save();
  }
  report(out, latest.tally, start.tally, clock.monotonicMs() - beganAt);
  if (signal?.aborted === true) {
    out.line(`Stopped after line ${String(latest.line)}. Go on with the same command and --resume.`);
    return EXIT_INTERRUPTED;
  }
  if (!isMostlyConflicts(latest.tally)) return 0;
  out.line(
    'Most of it is known under the same ids with another time or content, and the first counts. Was this recording ' +
      'replayed before with another --rebase, or by `make run`, which moves the sample season?',
  );
  return EXIT_FAILED;
}

function isMostlyConflicts(tally: Tally): boolean {
  const conflicts = tally.rejected['event_id_conflict'] ?? 0;
  return conflicts * 2 > tally.accepted + tally.duplicates + rejectedCount(tally);
}

/** Moved, such an event is filed under another day: each offset would count it once more. */
function refuseIdsWithoutDay({ idsWithoutDay, lines }: RecordingSummary): void {
  if (idsWithoutDay === 0) return;
  throw new FairtallyError(
    'ids_without_day',
    `${String(idsWithoutDay)} of ${countOf(lines, 'event')} have ids that carry no day (neither UUIDv7 nor ULID): moved in ` +
      `time they would be other events each time. Replay this recording unmoved, without --rebase`,
  );
}

function rebaseOf(
  { rebase, checkpointPath }: ReplayCommand,
  kept: Checkpoint | null,
  summary: RecordingSummary,
  nowMs: number,
): number {
  if (kept === null) return rebase === 'auto' ? rebaseDaysFor(summary, nowMs) : (rebase ?? 0);
  if (typeof rebase === 'number' && rebase !== kept.rebaseDays) {
    throw new FairtallyError(
      'rebase_changed',
      `this recording was sent moved by ${countOf(kept.rebaseDays, 'day')}; moved by ${String(rebase)} its events would be ` +
        `others. To send them all the same, remove ${checkpointPath ?? 'the checkpoint'}`,
    );
  }
  return kept.rebaseDays;
}

function describe(out: Output, summary: RecordingSummary, rebaseDays: number): void {
  const { lines, firstMs, lastMs, unreadable, byType } = summary;
  out.line(
    `${countOf(lines, 'line')} from ${day(firstMs)} to ${day(lastMs)}, ${String(unreadable)} of them unreadable`,
  );
  if (byType.size > 0) out.line(table(['type', 'events'], [...byType]));
  if (rebaseDays === 0) return;
  const moved = (ms: number | null): string => day(ms === null ? null : ms + rebaseDays * MS_PER_DAY);
  out.line(`Moved by ${countOf(rebaseDays, 'day')}: ${moved(firstMs)} to ${moved(lastMs)}`);
}

const day = (ms: number | null): string => (ms === null ? '-' : new Date(ms).toISOString().slice(0, 10));

function progressBar(out: Output, total: number, start: number): SingleBar {
  const bar = new SingleBar({
    stream: out.stream,
    format: 'replay [{bar}] {value}/{total} lines, {eta_formatted} left',
    barCompleteChar: '=',
    barIncompleteChar: ' ',
    hideCursor: true,
  });
  bar.start(total, start);
  return bar;
}

function report(out: Output, tally: Tally, before: Tally, tookMs: number): void {
  const rejected = Object.entries(tally.rejected).sort(([, a], [, b]) => b - a);
  const rows: [string, number][] = [
    ['accepted', tally.accepted],
    ['duplicate', tally.duplicates],
    ...rejected.map(([reason, count]): [string, number] => [`rejected: ${reason}`, count]),
  ];
  out.line(table(['outcome', 'events'], rows));
  const sum = (one: Tally): number => one.accepted + one.duplicates + rejectedCount(one);
  const seconds = Math.max(tookMs / 1000, 0.001);
  const rate = Math.round((sum(tally) - sum(before)) / seconds);
  out.line(`${String(rate)} events/s over ${seconds.toFixed(1)} s`);
}
