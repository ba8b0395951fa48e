import { Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { FairtallyError, OutageError } from '../kernel/errors.js';
import { ConfigError } from '../runtime/config.js';
import { createProgram, day, describeFailure, instant, someOf, wholeNumber } from './program.js';

async function run(words: readonly string[], work: () => Promise<number> = async () => 0, isDebug = false) {
  let told = '';
  const stderr = new Writable({
    write: (chunk, _encoding, done) => {
      told += String(chunk);
      done();
    },
  });
  const program = createProgram({
    name: 'fairtally',
    description: '',
    version: '1.2.3',
    stderr,
    isDebug: () => isDebug,
  });
  program.root.configureOutput({ writeOut: () => undefined, writeErr: (text) => void (told += text) });
  const options = program.root.command('work').option('--n <n>', '', wholeNumber(1, 9));
  options.action(program.action(work));
  return { code: await program.run(words), told };
}
const failing = (error: Error) => () => Promise.reject(error);

describe('the exit code is', () => {
  test('what the command answers', async () => {
    expect((await run(['work'], async () => 130)).code).toBe(130);
  });

  test('0 for help', async () => {
    expect((await run(['help'])).code).toBe(0);
    expect((await run(['work', '--help'])).code).toBe(0);
  });

  test.each([[[]], [['nonsense']], [['work', '--what']], [['work', 'more']], [['work', '--n', '10']]])(
    '2 for wrong words: %p',
    async (words) => {
      const { code, told } = await run(words);
      expect(code).toBe(2);
      expect(told).not.toBe('');
    },
  );

  test('78 for a wrong configuration, and the variable is named', async () => {
    const problem = { variable: 'PORT', expected: 'a port number' };
    const { code, told } = await run(['work'], failing(new ConfigError([problem])));
    expect(code).toBe(78);
    expect(told).toMatch(/^fairtally: the configuration is wrong:\n {2}PORT: expected a port number\n$/);
  });

  test('1 for what went wrong, told in one line', async () => {
    const { code, told } = await run(['work'], failing(new FairtallyError('x', 'do this instead')));
    expect(code).toBe(1);
    expect(told).toBe('fairtally: do this instead\n');
  });
});

test('a stack and its cause are shown when asked for, and only then', async () => {
  const error = new OutageError('PostgreSQL', new Error('connect ECONNREFUSED'));
  expect((await run(['work'], failing(error), true)).told).toMatch(
    /at .*\n[^]*caused by: Error: connect ECONNREFUSED/,
  );
  expect((await run(['work'], failing(error))).told).toBe(
    'fairtally: PostgreSQL cannot be used at the moment\nbecause: Error: connect ECONNREFUSED\n',
  );
});

test('a fault of ours is told as one', async () => {
  expect((await run(['work'], failing(new TypeError('x is undefined')))).told).toMatch(
    /a fault of ours: x is undefined/,
  );
});

test('option values are read, or refused with what they must be', () => {
  expect(wholeNumber(-5, 5)('-5')).toBe(-5);
  expect(() => wholeNumber(1, 5)('1.5')).toThrow('whole number from 1 to 5');
  expect(instant('2026-11-20T00:00:00+01:00')).toBe(Date.UTC(2026, 10, 19, 23));
  expect(() => instant('tomorrow')).toThrow('instant');
  expect(() => instant('2026-02-30T00:00:00Z')).toThrow('instant');
  expect(someOf('a', 'b')('b,a')).toEqual(['a', 'b']);
  expect(() => someOf('a', 'b')('a,c')).toThrow('some of a,b');
  expect(day('2028-02-29')).toBe('2028-02-29');
  expect(() => day('2027-02-29')).toThrow('day');
});

test('an outage is told with its cause, which says what is missing', () => {
  const cause = Object.assign(new Error('The specified queue does not exist.'), {
    name: 'QueueDoesNotExist',
  });
  expect(describeFailure(new OutageError('SQS', cause), false)).toEqual([
    'fairtally: SQS cannot be used at the moment',
    'because: QueueDoesNotExist: The specified queue does not exist.',
  ]);
});
