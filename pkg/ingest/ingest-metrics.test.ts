import { describe, expect, test } from '@jest/globals';
import { createMetrics } from '../runtime/metrics.js';
import { ingestEvent, startIngestServer } from '../testkit/ingest-server.js';
import { IngestMetrics } from './ingest-metrics.js';

describe('what the way in counts', () => {
  test('accepted, duplicate, conflict, rejected by reason and build, refused requests, acknowledged latency', async () => {
    const metrics = createMetrics({ processMetrics: false });
    const ingest = await startIngestServer({ deps: { metrics } });
    const event = ingestEvent();
    const changed = { ...event, payload: { deltaXp: 1, activity: 'other' } };
    const events = [event, event, changed, ingestEvent({ ts: 'never' })];
    const body = JSON.stringify({ context: { build: '1.4.2' }, events });
    await ingest.post({ path: '/v1/events/batch', body });
    await ingest.post({ body: JSON.stringify(ingestEvent()) });
    await ingest.post({ body: '{}', secret: 'wrong' });
    await ingest.close();
    const text = await metrics.render();
    for (const line of [
      'fairtally_ingest_accepted_total{game="demo",build="1.4.2"} 1',
      'fairtally_ingest_accepted_total{game="demo",build="none"} 1',
      'fairtally_ingest_duplicate_total{game="demo",build="1.4.2"} 1',
      'fairtally_ingest_conflict_total{game="demo",build="1.4.2"} 1',
      'fairtally_ingest_rejected_total{game="demo",build="1.4.2",reason="invalid_ts"} 1',
      'fairtally_ingest_requests_refused_total{reason="invalid_signature"} 1',
      'fairtally_ingest_acknowledged_seconds_count 2',
      'fairtally_ingest_in_flight_requests 0',
    ]) {
      expect(text).toContain(line);
    }
  });

  test('clients cannot make labels without end', async () => {
    const metrics = createMetrics({ processMetrics: false });
    const ingest = new IngestMetrics(metrics);
    for (let i = 0; i < 500; i += 1)
      ingest.taken('demo', `build-${String(i)}`, { accepted: 1, duplicates: 0 });
    ingest.taken('demo', 'x{}"\n', { accepted: 1, duplicates: 0 });
    const lines = (await metrics.render())
      .split('\n')
      .filter((line) => line.startsWith('fairtally_ingest_accepted_total'));
    expect(lines).toHaveLength(51);
    expect(lines.at(-1)).toBe('fairtally_ingest_accepted_total{game="demo",build="other"} 451');
  });
});
