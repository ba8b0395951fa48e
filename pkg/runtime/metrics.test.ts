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

test('the server answers GET /metrics, /healthz and /readyz, and nothing else', async () => {
  const health = createHealth(systemClock);
  const server = await startMetricsServer(createMetrics({ processMetrics: true }), '127.0.0.1', 0, health);
  const url = `http://127.0.0.1:${String(server.port)}`;
  const scrape = await fetch(`${url}/metrics`);
  expect(scrape.headers.get('content-type')).toContain('text/plain');
  expect(await scrape.text()).toContain('process_resident_memory_bytes');
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
  expect((await fetch(`${url}/readyz`)).status).toBe(503);
  health.started();
  expect(await (await fetch(`${url}/readyz`)).json()).toEqual({ ready: true, state: 'ready', checks: {} });
  expect((await fetch(`${url}/`)).status).toBe(404);
  expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(404);
  await server.close();
});
