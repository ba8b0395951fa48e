import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { OutageError } from '../kernel/errors.js';
import type { SpanAttributes, SpanStart, Tracer } from '../runtime/port.js';
import { ingestEvent, startIngestServer, type IngestServer } from '../testkit/ingest-server.js';

const CLIENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const SPAN = '00-0af7651916cd43dd8448eb211c80319c-aaaaaaaaaaaaaaaa-01';

const single = (headers: Record<string, string | string[]> = {}) => ({
  body: JSON.stringify(ingestEvent()),
  headers,
});

describe('where no traces are made', () => {
  let ingest: IngestServer;
  beforeAll(async () => {
    ingest = await startIngestServer();
  });
  afterAll(() => ingest.close());
  beforeEach(() => {
    ingest.published.length = 0;
  });

  test('the trace of the client travels in the event and in the header of its message', async () => {
    await ingest.post(single({ traceparent: CLIENT }));
    const batch = { body: JSON.stringify([ingestEvent({ id: 'b-1' }), ingestEvent({ id: 'b-2' })]) };
    await ingest.post({ path: '/v1/events/batch', ...batch, headers: { traceparent: CLIENT } });
    expect(ingest.events().map(({ context }) => context)).toEqual(Array(3).fill({ traceparent: CLIENT }));
    expect(ingest.published.map(({ headers }) => headers)).toEqual(Array(3).fill({ traceparent: CLIENT }));
  });

  test('one of a later version travels as version 00', async () => {
    await ingest.post(single({ traceparent: `${CLIENT.replace('00-', '0f-')}-more` }));
    expect(ingest.events()[0]?.context).toEqual({ traceparent: CLIENT });
    expect(ingest.published[0]?.headers).toEqual({ traceparent: CLIENT });
  });

  test.each([
    ['none', {}],
    ['one that cannot be read', { traceparent: CLIENT.toUpperCase() }],
    ['one of zeros', { traceparent: `00-${'0'.repeat(32)}-b7ad6b7169203331-01` }],
    ['two', { traceparent: [CLIENT, SPAN] }],
  ])('a request with %s is taken and has no trace', async (_, headers) => {
    expect(await ingest.post(single(headers))).toMatchObject({ status: 202 });
    expect(ingest.events()[0]).not.toHaveProperty('context');
    expect(ingest.published[0]?.headers).toBeUndefined();
  });
});

describe('where traces are made', () => {
  const starts: SpanStart[] = [];
  const ends: { attributes: SpanAttributes; failure: string | undefined }[] = [];
  const tracer: Tracer = {
    start: (start) => {
      starts.push(start);
      return { traceparent: SPAN, end: (attributes, failure) => void ends.push({ attributes, failure }) };
    },
  };
  let isBusAway = false;
  let ingest: IngestServer;
  beforeAll(async () => {
    const publish = (): Promise<void> =>
      isBusAway ? Promise.reject(new OutageError('The bus')) : Promise.resolve();
    ingest = await startIngestServer({ deps: { tracer }, publish });
  });
  afterAll(() => ingest.close());
  beforeEach(() => {
    ingest.published.length = 0;
    starts.length = 0;
    ends.length = 0;
  });

  test('the request is a span under the client; its messages are under the request, its events name the client', async () => {
    await ingest.post({ ...single({ traceparent: CLIENT }), path: '/v1/events?game=demo' });
    expect(starts).toEqual([
      {
        name: 'POST /v1/events',
        kind: 'server',
        parent: CLIENT,
        attributes: {
          'http.request.method': 'POST',
          'http.route': '/v1/events',
          'url.path': '/v1/events',
          'url.scheme': 'http',
        },
      },
    ]);
    expect(ends).toEqual([{ attributes: { 'http.response.status_code': 202 }, failure: undefined }]);
    expect(ingest.published[0]?.headers).toEqual({ traceparent: SPAN });
    expect(ingest.events()[0]?.context).toEqual({ traceparent: CLIENT });
  });

  test('a client without a trace gets one that begins here, and its events name none', async () => {
    await ingest.post(single());
    expect(starts[0]?.parent).toBeNull();
    expect(ingest.published[0]?.headers).toEqual({ traceparent: SPAN });
    expect(ingest.events()[0]).not.toHaveProperty('context');
  });

  test('a refusal is told by its code and is no failure; an outage is one', async () => {
    await ingest.post({ ...single(), secret: 'a wrong secret' });
    isBusAway = true;
    await ingest.post({ body: JSON.stringify(ingestEvent({ id: 'away' })) });
    isBusAway = false;
    expect(ends).toEqual([
      {
        attributes: { 'http.response.status_code': 401, 'fairtally.problem': 'invalid_signature' },
        failure: undefined,
      },
      {
        attributes: { 'http.response.status_code': 503, 'fairtally.problem': 'dependency_unavailable' },
        failure: 'dependency_unavailable',
      },
    ]);
  });
});
