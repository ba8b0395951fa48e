import { describe, expect, test } from '@jest/globals';
import request from 'supertest';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import { systemClock } from '../kernel/clock.js';
import { systemRandom } from '../kernel/random.js';
import type { Logger } from '../runtime/port.js';
import { createApp } from './app.js';
import { RequestProblem } from '../http/request-problem.js';

interface Line {
  readonly level: string;
  readonly fields: object;
}

/** What an app answers and logs when its one route throws. */
async function answerTo(error: unknown): Promise<{ answer: request.Response; lines: readonly Line[] }> {
  const lines: Line[] = [];
  const at =
    (level: string) =>
    (fields: object): void =>
      void lines.push({ level, fields });
  const logger: Logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const app = createApp({
    logger,
    clock: systemClock,
    random: systemRandom,
    corsOrigins: [],
    takeAddressBudget: () => Promise.resolve({ allowed: true, headers: {} }),
    routes: [
      (serve) =>
        serve({
          path: '/thing',
          GET: (_request, response) => {
            response.set({ 'Cache-Control': 'public, max-age=2', ETag: '"x"' });
            throw error;
          },
        }),
    ],
  });
  return { answer: await request(app).get('/thing'), lines };
}

describe('a failure', () => {
  test('that nobody foresaw is ours: logged with its request id, told without a word of it', async () => {
    for (const error of [
      new Error('marker'),
      'marker',
      undefined,
      Object.assign(new Error('marker'), { status: 404 }),
      new FairtallyError('some_room', 'marker'),
      // Codes of the wire when thrown by a room that is not asked for them: no fault of the asker.
      new FairtallyError('invalid_signature', 'marker'),
      new FairtallyError('constructor', 'marker'),
    ].filter((one) => one !== undefined)) {
      const { answer, lines } = await answerTo(error);
      expect([answer.status, JSON.parse(answer.text)]).toMatchObject([500, { code: 'internal_error' }]);
      expect(answer.text).not.toContain('marker');
      expect(answer.headers).toMatchObject({ 'cache-control': 'no-store' });
      expect(answer.headers['etag']).toBeUndefined();
      expect(lines).toEqual([
        {
          level: 'error',
          fields: expect.objectContaining({ requestId: answer.headers['x-request-id'] }) as object,
        },
      ]);
    }
  });

  test('of a dependency is 503 with Retry-After, and warns', async () => {
    const { answer, lines } = await answerTo(new OutageError('the marker'));
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([
      503,
      { code: 'dependency_unavailable', retryable: true },
    ]);
    expect(answer.headers['retry-after']).toMatch(/^[123]$/);
    expect(lines.map(({ level }) => level)).toEqual(['warn']);
  });

  test.each([
    ['not_found', 404, 'not_found', undefined],
    ['invalid_parameter', 400, 'invalid_parameter', undefined],
    ['invalid_cursor', 400, 'invalid_parameter', '/cursor'],
    ['bad_cursor', 400, 'invalid_parameter', '/cursor'],
    ['bad_limit', 400, 'invalid_parameter', '/limit'],
    ['definition_unavailable', 503, 'definition_unavailable', undefined],
  ])('%s of a room is answered %i %s', async (thrown, status, code, pointer) => {
    const { answer } = await answerTo(new FairtallyError(thrown, 'marker'));
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([
      status,
      { code, ...(pointer === undefined ? {} : { pointer }) },
    ]);
  });

  test('invalid_parameter of a room says in the words of the room what it takes', async () => {
    const { answer } = await answerTo(new FairtallyError('invalid_parameter', 'name one as partition'));
    expect(JSON.parse(answer.text)).toMatchObject({ detail: 'name one as partition' });
  });

  test('told by a route carries the headers of the route', async () => {
    const { answer, lines } = await answerTo(new RequestProblem('rate_limited', {}, { 'Retry-After': '7' }));
    expect([answer.status, answer.headers['retry-after'], lines]).toEqual([429, '7', []]);
  });
});
