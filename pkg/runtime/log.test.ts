import { expect, test } from '@jest/globals';
import { createLogger, type LogLevel } from './log.js';

function linesOf(
  write: (logger: ReturnType<typeof createLogger>) => void,
  level: LogLevel = 'info',
): string[] {
  const lines: string[] = [];
  write(createLogger(level, { write: (line: string) => void lines.push(line) }));
  return lines;
}

test('a line is JSON with a level, a time, its fields and its sentence', () => {
  const [line = ''] = linesOf((logger) => logger.info({ role: 'archive' }, 'a batch was applied'));
  expect(JSON.parse(line)).toMatchObject({ level: 'info', role: 'archive', msg: 'a batch was applied' });
  expect((JSON.parse(line) as { time: string }).time).toMatch(/^\d{4}-.*Z$/);
});

test('lines below the level are not written', () => {
  expect(linesOf((logger) => logger.debug({}, 'small talk'))).toEqual([]);
  expect(linesOf((logger) => logger.error({}, 'anything'), 'silent')).toEqual([]);
});

test('secrets are redacted at the top and two levels down', () => {
  const SECRET = 'hunter2-hunter2';
  const [line = ''] = linesOf((logger) =>
    logger.warn(
      {
        authorization: SECRET,
        key: { secret: SECRET, keyId: 'demo' },
        request: { headers: { 'x-signature': SECRET, cookie: SECRET, accept: 'text/html' } },
      },
      'refused',
    ),
  );
  expect(line).not.toContain(SECRET);
  expect(JSON.parse(line)).toMatchObject({
    key: { keyId: 'demo' },
    request: { headers: { accept: 'text/html' } },
  });
});

test('an error is told by its own words, without the body or the client that a library hung on it', () => {
  const cause = Object.assign(new Error('connect to postgres://user:hunter2@db/x failed'), {
    code: 'ECONNREFUSED',
  });
  const error = Object.assign(new Error('cannot parse', { cause }), {
    body: 'hunter2',
    config: { auth: 'hunter2' },
  });
  const [line = ''] = linesOf((logger) => logger.error({ err: error }, 'failed'));
  expect(line).not.toContain('hunter2');
  expect(JSON.parse(line)).toMatchObject({
    err: { type: 'Error', message: 'cannot parse', cause: { code: 'ECONNREFUSED' } },
  });
});

test('row 71: a player name with a line break stays inside its line', () => {
  const lines = linesOf((logger) => logger.info({ playerId: 'p\n{"level":"error"}' }, 'seen'));
  expect(lines).toHaveLength(1);
  expect(lines[0]?.trimEnd()).not.toContain('\n');
});
