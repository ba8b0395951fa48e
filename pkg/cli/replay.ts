import { SingleBar } from 'cli-progress';
import type { SignedClient } from '../client/signed-client.js';
import type { Clock } from '../kernel/clock.js';
import type { Random } from '../kernel/random.js';
import {
  EMPTY_TALLY,
  readCheckpoint,
  recordingName,
  removeCheckpoint,
  writeCheckpoint,
  type Checkpoint,
  type Tally,
} from '../replay/checkpoint.js';
import { rebaseDaysFor, surveyRecording, MS_PER_DAY, type RecordingSummary } from '../replay/recording.js';
import { replay } from '../replay/replay.js';
import type { Output } from './output.js';
import { table } from './table.js';

export interface ReplayCommand {
  readonly files: readonly string[];
  readonly url: string;
  readonly rate: number | null;
  readonly concurrency: number;
  /** Whole days, or `auto`: so that the recording ends within the last day. */
  readonly rebase: number | 'auto';
  readonly isDryRun: boolean;
  /** Go on from the checkpoint where there is one. */
  readonly isResume: boolean;
  /** Where the checkpoint stands; null: none is kept. */
  readonly checkpointPath: string | null;
}

export interface ReplayDeps {
  readonly client: SignedClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly out: Output;
  readonly signal?: AbortSignal;
}

const CHECKPOINT_EVERY_MS = 500;

const rejectedCount = (tally: Tally): number =>
  Object.values(tally.rejected).reduce((sum, count) => sum + count, 0);
const day = (ms: number | null): string => (ms === null ? '-' : new Date(ms).toISOString().slice(0, 10));

/** Feeds a recording through the gateway. Killed and run again with --resume it goes on; run again without, all is duplicate. */
export async function replayCommand(command: ReplayCommand, deps: ReplayDeps): Promise<number> {
  const { out, clock } = deps;
  const summary = await surveyRecording(command.files);
  const recording = recordingName(command.files, command.url);
  const kept =
    command.checkpointPath !== null && command.isResume
      ? readCheckpoint(command.checkpointPath, recording)
      : null;
  const rebaseDays =
    kept?.rebaseDays ?? (command.rebase === 'auto' ? rebaseDaysFor(summary, clock.now()) : command.rebase);
  describe(out, summary, rebaseDays, kept);
  if (command.isDryRun) {
    out.line('Dry run: nothing was sent.');
    return 0;
  }

  const path = command.checkpointPath;
  const save = (line: number, tally: Tally): void => {
    if (path !== null) writeCheckpoint(path, { recording, rebaseDays, line, tally });
  };
  // Before the first event: the offset must survive a kill, or the same events would come back with other times.
  save(kept?.line ?? 0, kept?.tally ?? EMPTY_TALLY);
  const bar = out.isTerminal ? progressBar(out, summary.lines, kept?.line ?? 0) : null;
  const beganAt = clock.monotonicMs();
  let savedAt = beganAt;
  try {
    const done = await replay({
      ...command,
      ...deps,
      rebaseDays,
      fromLine: kept?.line ?? 0,
      ...(kept === null ? {} : { tally: kept.tally }),
      onProgress: ({ line, tally }) => {
        bar?.update(Math.min(line, summary.lines));
        if (clock.monotonicMs() - savedAt < CHECKPOINT_EVERY_MS) return;
        savedAt = clock.monotonicMs();
        save(line, tally);
      },
    });
    bar?.stop();
    if (deps.signal?.aborted === true) {
      save(done.line, done.tally);
      out.line(`Stopped at line ${String(done.line)}. Go on with the same command and --resume.`);
      return 130;
    }
    report(out, done.tally, kept?.tally ?? EMPTY_TALLY, clock.monotonicMs() - beganAt);
    if (path !== null) removeCheckpoint(path);
    return 0;
  } finally {
    bar?.stop();
  }
}

function describe(out: Output, summary: RecordingSummary, rebaseDays: number, kept: Checkpoint | null): void {
  out.line(
    `${String(summary.lines)} events from ${day(summary.firstMs)} to ${day(summary.lastMs)}, ${String(summary.malformed)} lines that cannot be read`,
  );
  out.line(table(['type', 'events'], Object.entries(summary.byType)));
  if (rebaseDays !== 0) {
    const shift = rebaseDays * MS_PER_DAY;
    const [first, last] = [summary.firstMs, summary.lastMs].map((ms) => day(ms === null ? null : ms + shift));
    out.line(`Moved by ${String(rebaseDays)} days: ${first ?? '-'} to ${last ?? '-'}`);
  }
  if (kept !== null) out.line(`Going on after line ${String(kept.line)}.`);
}

function progressBar(out: Output, total: number, start: number): SingleBar {
  const bar = new SingleBar({
    stream: out.stream,
    format: 'replay [{bar}] {value}/{total} events, {eta_formatted} left',
    barCompleteChar: '=',
    barIncompleteChar: ' ',
    hideCursor: true,
  });
  bar.start(total, start);
  return bar;
}

function report(out: Output, tally: Tally, before: Tally, tookMs: number): void {
  const rows: [string, number][] = [
    ['accepted', tally.accepted],
    ['duplicate', tally.duplicates],
    ...Object.entries(tally.rejected).map(([reason, count]): [string, number] => [
      `rejected: ${reason}`,
      count,
    ]),
  ];
  out.line(table(['outcome', 'events'], rows));
  const sum = (one: Tally): number => one.accepted + one.duplicates + rejectedCount(one);
  const seconds = Math.max(tookMs / 1000, 0.001);
  out.line(
    `${String(Math.round((sum(tally) - sum(before)) / seconds))} events/s over ${seconds.toFixed(1)} s`,
  );
}
