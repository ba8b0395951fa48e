import { expect, test } from '@jest/globals';
import { systemClock } from '../kernel/clock.js';
import { createHealth } from './health.js';
import { createMetrics, startMetricsServer } from './metrics.js';

test('counters, gauges and histograms appear in the text that Prometheus reads', async () => {
  const metrics = createMetrics({ processMetrics: false });
  metrics.counter('events_total', 'Events', ['result']).inc({ result: 'accepted' }, 3);
  metrics.gauge('lag_events', 'Lag', ['role']).set(7, { role: 'archive' });
  metrics.histogram('batch_size', 'Batch', [1, 10]).observe(5);
  const text = await metrics.render();
  expect(text).toContain('events_total{result="accepted"} 3');
  expect(text).toContain('lag_events{role="archive"} 7');
  expect(text).toContain('batch_size_bucket{le="10"} 1');
});

test('asking twice for one name gives the same instrument', async () => {
  const metrics = createMetrics({ processMetrics: false });
  metrics.counter('kills_total', 'Kills').inc();
  metrics.counter('kills_total', 'Kills').inc();
  expect(await metrics.render()).toContain('kills_total 2');
});

test('the server answers GET /metrics and nothing else', async () => {
  const server = await startMetricsServer(
    createMetrics({ processMetrics: true }),
    '127.0.0.1',
    0,
    createHealth(systemClock),
  );
  const url = `http://127.0.0.1:${String(server.port)}`;
  const answer = await fetch(`${url}/metrics`);
  expect(answer.headers.get('content-type')).toContain('text/plain');
  expect(await answer.text()).toContain('process_resident_memory_bytes');
  expect((await fetch(`${url}/`)).status).toBe(404);
  expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(404);
  await server.close();
});
