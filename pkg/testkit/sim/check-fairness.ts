import type { AdmittedEvent } from '../../contract/event.js';
import { seriesOf } from '../../fairness/fold.js';
import { rerun } from '../../fairness/rerun.js';
import { definitionOf } from './game.js';
import { eventsOf, Violation, type Ground } from './ground.js';
import { keyText } from './store/meaning.js';
import type { Row } from './store/rows.js';
import type { System } from './system.js';

/** I17: the stored samples, run again in their order, give the stored findings. */
export function checkFairness({ store }: System, ground: Ground): void {
  const series = new Map<string, Row[]>();
  for (const row of store.committed('fairness_samples')) {
    const key = keyText(row['game_id'], row['player_id'], row['metric'], row['partition']);
    series.set(key, [...(series.get(key) ?? []), row]);
  }
  const entered = new Set(eventsOf(ground, 'fairness').map(({ identity }) => identity));
  const findings = new Map(
    store
      .committed('suspicious_events')
      .map((row) => [
        keyText(row['game_id'], row['player_id'], row['metric'], row['partition'], row['sample_no']),
        row,
      ]),
  );
  let found = 0;
  for (const [key, rows] of series) {
    rows.sort((a, b) => (a['sample_no'] as number) - (b['sample_no'] as number));
    const identities = rows.map((row) => row['identity']);
    if (new Set(identities).size !== rows.length)
      throw new Violation('I17', `an event is a sample of ${key} twice`);
    if (!identities.every((identity) => entered.has(identity as string)))
      throw new Violation('I2', `a sample of nothing in ${key}`);
    const [gameId = '', , metricName] = key.split('\u0000');
    const samples = rows.map((row) => ({
      sampleNo: row['sample_no'] as number,
      judged: row['value'] as number,
      definitionVersion: row['definition_version'] as number,
    }));
    for (const finding of rerun(
      samples,
      (version) => definitionOf(gameId, version).fairness.find(({ name }) => name === metricName) ?? null,
    )) {
      found += 1;
      const stored = findings.get(keyText(key, finding.sampleNo));
      if (stored?.['z'] !== finding.z || stored?.['mean'] !== finding.mean)
        throw new Violation(
          'I17',
          `running ${key} again finds something else at sample ${String(finding.sampleNo)}`,
        );
    }
  }
  if (found !== findings.size) throw new Violation('I17', 'a stored finding is not found again');
  checkSampled(series, eventsOf(ground, 'fairness'));
}

/** Every entered event is a sample of each metric that takes its value; the time between events leaves some out. */
function checkSampled(series: ReadonlyMap<string, readonly Row[]>, events: readonly AdmittedEvent[]): void {
  const wanted = new Map<string, number>();
  for (const event of events) {
    const definition = definitionOf(event.gameId, event.definitionVersion);
    for (const { gameId, playerId, metric, partition } of seriesOf([{ event, definition }])) {
      if (metric === 'xp-interval') continue;
      const key = keyText(gameId, playerId, metric, partition);
      wanted.set(key, (wanted.get(key) ?? 0) + 1);
    }
  }
  for (const [key, count] of wanted) {
    if ((series.get(key)?.length ?? 0) !== count)
      throw new Violation(
        'I17',
        `${key} has ${String(series.get(key)?.length)} samples of ${String(count)} events`,
      );
  }
}
