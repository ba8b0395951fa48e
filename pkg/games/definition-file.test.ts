import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseDefinition } from './definition-file.js';
import { DefinitionError } from './definitions/faults.js';
import type { GameDefinition } from './port.js';

const sample = readFileSync(new URL('../../sample_events/demo.yaml', import.meta.url), 'utf8');
const parse = (source: string): GameDefinition =>
  parseDefinition(source, { gameId: 'demo', version: 1, fileName: 'demo.yaml' });

function faultsOf(source: string): string[] {
  try {
    parse(source);
    return [];
  } catch (error) {
    if (error instanceof DefinitionError) return error.message.split('\n');
    throw error;
  }
}

const EVENTS = `events:
  lap:
    from: any
    payload:
      required: [track, timeMs]
      properties:
        track: { type: string, minLength: 1, maxLength: 32 }
        timeMs: { type: integer, minimum: 1, maximum: 3600000 }
        note: { type: string }
`;

describe('the sample definition', () => {
  const demo = parse(sample);

  test('describes the three sample event types', () => {
    expect([...demo.eventTypes.keys()]).toEqual(['progression', 'boss_kill', 'drop_claimed']);
    expect(demo.unknownTypes).toBe('store');
    const progression = demo.eventTypes.get('progression');
    expect(progression?.validate({ deltaXp: 150, activity: 'quest' })).toBeNull();
    expect(progression?.validate({ deltaXp: 150, activity: 'quest', mood: 'good' })).toBeNull();
    expect(progression?.validate({ deltaXp: 1_000_001, activity: 'quest' })).toEqual({
      pointer: '/payload/deltaXp',
      message: 'must be <= 1000000',
    });
    expect(progression?.validate({ deltaXp: 1 })).toEqual({
      pointer: '/payload/activity',
      message: 'is required',
    });
    expect(progression?.validate('x')?.pointer).toBe('/payload');
    expect(
      demo.eventTypes.get('drop_claimed')?.validate({ dropId: 'd', itemId: 'i', rarity: 'shiny' })?.message,
    ).toBe('must be one of "common", "uncommon", "rare", "epic", "legendary"');
  });

  test('ranks experience and boss times, for everyone to see', () => {
    expect(demo.boardsFor('progression').map((board) => board.name)).toEqual(['xp']);
    expect(demo.boardsFor('drop_claimed')).toEqual([]);
    expect(demo.boards.get('xp')).toMatchObject({
      aggregate: 'sum',
      order: 'desc',
      valueField: 'deltaXp',
      isPublic: true,
    });
    expect(demo.boards.get('boss-time')).toMatchObject({
      aggregate: 'min',
      order: 'asc',
      valueField: 'durationMs',
      partitionField: 'bossId',
      subjectField: null,
      isPublic: true,
    });
    expect(demo.boards.get('boss-time')?.windows.map((window) => window.kind)).toEqual([
      'weekly',
      'seasonal',
      'all-time',
    ]);
  });

  test('puts an event into one cycle per window', () => {
    const xp = demo.boards.get('xp');
    const cycles = xp === undefined ? [] : demo.cyclesOf(xp, Date.parse('2026-11-20T12:00:00Z'));
    expect(cycles.map((cycle) => cycle.key)).toEqual([
      'daily:2026-11-20',
      'weekly:2026-W47',
      'seasonal:2026-Q4',
      'all-time:all',
    ]);
  });

  test('pays coins at every level and a chest at every tenth', () => {
    expect(demo.levels?.rewardsFor(1)).toEqual([]);
    expect(demo.levels?.rewardsFor(2)).toEqual([{ reward: 'coins', amount: 200 }]);
    expect(demo.levels?.rewardsFor(10)).toEqual([
      { reward: 'coins', amount: 1000 },
      { reward: 'chest', amount: 1 },
    ]);
    expect(demo.levels?.rewardsFor(101)).toEqual([]);
  });

  test('pays a trophy per boss and each drop once', () => {
    expect(demo.rewards).toEqual([
      {
        eventType: 'boss_kill',
        causeName: 'boss',
        causeField: 'bossId',
        keyedByReward: true,
        reward: { fixed: 'trophy' },
        amount: { fixed: 1 },
      },
      {
        eventType: 'drop_claimed',
        causeName: 'drop',
        causeField: 'dropId',
        keyedByReward: false,
        reward: { field: 'itemId' },
        amount: { field: 'quantity', otherwise: 1 },
      },
    ]);
  });

  test('watches gains, boss times and the time between drops', () => {
    expect(demo.fairness.map(({ name, side }) => [name, side])).toEqual([
      ['xp-gain', 'high'],
      ['boss-speed', 'low'],
      ['drop-interval', 'low'],
    ]);
    expect(demo.fairness[2]?.value).toEqual({ sincePrevious: true });
  });
});

test('a new event type, a board per track and a reward come with YAML alone', () => {
  const definition = parse(
    sample
      .replace(/^events:\n/m, `${EVENTS}\n`)
      .replace(/^rewards:\n/m, 'rewards:\n  - { event: lap, once: "track:{track}:{item}", item: badge }\n')
      .replace(
        /^boards:\n/m,
        'boards:\n  laps: { event: lap, aggregate: min, value: timeMs, partition: track, windows: [daily], public: true }\n',
      ),
  );
  expect(definition.eventTypes.get('lap')?.validate({ track: 'monza', timeMs: 81_000 })).toBeNull();
  expect(
    definition.boardsFor('lap').map(({ name, partitionField, order }) => [name, partitionField, order]),
  ).toEqual([['laps', 'track', 'asc']]);
  expect(definition.rewards.find((reward) => reward.eventType === 'lap')).toMatchObject({
    causeName: 'track',
    causeField: 'track',
    reward: { fixed: 'badge' },
  });
  expect(definition.boardsFor('progression').map((board) => board.name)).toEqual(['xp']);
});

test('the plain rule is what a metric says that says nothing: |z| > 3 after 10 samples of raw values', () => {
  const definition = parse(`${EVENTS}fairness:\n  lap-time: { event: lap, value: timeMs }\n`);
  expect(definition.fairness).toEqual([
    {
      name: 'lap-time',
      eventType: 'lap',
      value: { field: 'timeMs' },
      partitionField: null,
      transform: 'none',
      side: 'both',
      minSamples: 10,
      maxZ: 3,
    },
  ]);
});

describe('a wrong definition names the line, the path and what to do', () => {
  const board = (lines: string): string => `${EVENTS}boards:\n  laps:\n    event: lap\n${lines}`;
  const cases: readonly (readonly [string, string, readonly string[]])[] = [
    [
      'a board of an unknown field',
      board('    aggregate: min\n    value: foo\n    windows: [daily]\n'),
      [
        'demo.yaml:14:12 boards.laps.value: field "foo" is not in the payload schema of lap; describe it there',
      ],
    ],
    [
      'an unknown key',
      board('    aggregate: sum\n    wndows: [daily]\n'),
      [
        'demo.yaml:12:5 boards.laps: lacks `windows`; add `windows: [daily, weekly, seasonal, all-time]`',
        'demo.yaml:14:5 boards.laps.wndows: unknown key; known here: ',
      ],
    ],
    [
      'an unknown event type',
      `${EVENTS}levels: { event: run, xp: x, max: 5, curve: { sqrt: { divisor: 9 } } }\n`,
      ['"run" is not an event type; the document has `lap`'],
    ],
    [
      'a partition that may be absent',
      board('    aggregate: sum\n    partition: note\n    windows: [daily]\n'),
      ['field "note" may be absent from lap'],
    ],
    [
      'a value that is not an integer',
      board('    aggregate: best\n    value: track\n    windows: [daily]\n'),
      ['field "track" of lap must have `type: integer`'],
    ],
    ['a value that lacks', board('    aggregate: last\n    windows: [daily]\n'), ['lacks `value`']],
    ['a window twice', board('    aggregate: sum\n    windows: [daily, daily]\n'), ['names a window twice']],
    [
      'a time zone that does not exist',
      `${EVENTS}reset: { timeZone: Mars/Olympus }\n`,
      ['demo.yaml:10:20 reset.timeZone: must be the IANA name'],
    ],
    ['an offset for a time zone', `${EVENTS}reset: { timeZone: "+02:00" }\n`, ['must be the IANA name']],
    [
      'an anchor and an alias',
      `${EVENTS}reset: &r { hour: 1 }\nseasons: *r\n`,
      ['reset: has an anchor', 'seasons: is an alias', 'seasons: must be a mapping'],
    ],
    ['a merge key', `${EVENTS}reset: { <<: { hour: 1 } }\n`, ['reset.<<: unknown key']],
    ['a tag', `${EVENTS}reset: { hour: !!int 1 }\n`, ['reset.hour: has a tag']],
    ['an infinite number', `${EVENTS}reset: { hour: .inf }\n`, ['reset.hour: is not a safe finite number']],
    ['a number beyond 2^53', `${EVENTS}reset: { hour: 9007199254740993 }\n`, ['is not a safe finite number']],
    ['a number that overflows', `${EVENTS}reset: { hour: 1e400 }\n`, ['is not a safe finite number']],
    ['a key twice', `${EVENTS}grace: 1h\ngrace: 2h\n`, ['demo.yaml:11:1 grace: stands twice']],
    ['a reserved key', `${EVENTS}__proto__: 1\n`, ['"__proto__" is a reserved word']],
    [
      'a board that no URL could name',
      `${EVENTS}boards:\n  Lap_Times: { event: lap, aggregate: sum, windows: [daily] }\n`,
      ['boards.Lap_Times: is not a name'],
    ],
    ['a type that no event could have', EVENTS.replace('lap:', 'Lap:'), ['events.Lap: is not a name']],
    ['two documents', `${EVENTS}---\na: 1\n`, ['multiple documents']],
    ['broken YAML', `${EVENTS}grace: [\n`, ['demo.yaml:11:1 the document: ']],
    ['an empty document', '# nothing\n', ['demo.yaml:1:1 the document: is empty']],
    ['another game', `game: chess\n${EVENTS}`, ['is applied to game "demo"']],
    ['a duration without a unit', `${EVENTS}grace: 24\n`, ['must be a duration']],
    [
      'a table that does not rise',
      `${EVENTS}levels: { event: lap, xp: timeMs, table: [0, 5, 5] }\n`,
      ['levels.table[2]: must be greater'],
    ],
    [
      'an unknown curve',
      `${EVENTS}levels: { event: lap, xp: timeMs, max: 5, curve: { cubic: {} } }\n`,
      ['levels.curve: lacks `sqrt`', 'levels.curve.cubic: unknown key'],
    ],
    [
      'two rewards of one cause',
      `${EVENTS}rewards:\n  - { event: lap, once: "t:{track}", item: a }\n  - { event: lap, once: "t:{track}", item: b }\n`,
      ['rewards[1].once: `t:` is used by another reward'],
    ],
    [
      'a reward that would pass for a level',
      `${EVENTS}rewards:\n  - { event: lap, once: "level:{track}", item: a }\n`,
      ['`level:` belongs to the rewards of `levels`'],
    ],
    [
      'seasons that overlap',
      `${EVENTS}seasons:\n  one: { from: 2026-01-01T00:00:00Z, to: 2026-03-01T00:00:00Z }\n  two: { from: 2026-02-01T00:00:00Z, to: 2026-04-01T00:00:00Z }\n`,
      ['seasons.two: overlaps season one'],
    ],
    [
      'row 55: a season that begins on 30 February',
      `${EVENTS}seasons:\n  one: { from: 2026-02-30T00:00:00Z, to: 2026-04-01T00:00:00Z }\n`,
      ['seasons.one.from: must be an instant'],
    ],
    [
      'a pattern',
      EVENTS.replace('note: { type: string }', 'note: { type: string, pattern: "(a+)+$" }'),
      ['events.lap.payload.properties.note.pattern: `pattern` is not allowed'],
    ],
    [
      'a remote schema',
      EVENTS.replace('note: { type: string }', 'note: { $ref: "http://x/y" }'),
      ['events.lap.payload.properties.note.$ref: unknown schema keyword'],
    ],
    [
      'a schema value of the wrong kind',
      EVENTS.replace('maxLength: 32', 'maxLength: -1'),
      ['events.lap.payload.properties.track.maxLength: is not a JSON Schema: must be >= 0'],
    ],
    [
      'a required field nobody describes',
      EVENTS.replace('[track, timeMs]', '[track, timeMs, speed]'),
      ['"speed" is required but not among the properties'],
    ],
    [
      'a bound on the wrong type',
      EVENTS.replace('note: { type: string }', 'note: { type: string, minimum: 1 }'),
      ['is not a strict JSON Schema'],
    ],
    [
      'a payload that is a list',
      EVENTS.replace('required: [track, timeMs]', 'type: array'),
      ['a payload is an object'],
    ],
  ];

  test.each(cases)('%s', (_name, source, expected) => {
    const told = faultsOf(source);
    expect(told).toHaveLength(expected.length);
    expected.forEach((part, index) => expect(told[index]).toContain(part));
  });

  test('all faults are told at once', () => {
    expect(faultsOf(`${EVENTS}grace: x\nreset: { hour: 24 }\nunknownTypes: maybe\n`)).toHaveLength(3);
  });
});

/** One event type of that many fields. */
function wide(fieldCount: number): string {
  const fields = Array.from({ length: fieldCount }, (_, index) => `f${String(index)}: { type: integer }`);
  return `events: { wide: { from: any, payload: { properties: { ${fields.join(', ')} } } } }`;
}

describe('a hostile definition', () => {
  test.each(['[', '{a: ', '- ', '? '])('is refused when %p nests it without end', (open) => {
    expect(faultsOf(open.repeat(60_000))[0]).toMatch(/nested more than 32 levels/);
  });

  test('is refused when lines nest it', () => {
    const source = Array.from({ length: 600 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join('');
    expect(faultsOf(source)).toContainEqual(expect.stringMatching(/nested more than 32 levels/));
  });

  test.each([
    ['a mapping', `events:\n${'  e: {payload: {}}\n'.repeat(9_000)}`],
    ['a list', `events:\n${' - a\n'.repeat(10_000)}`],
    ['a list in brackets', `events: [${'a,'.repeat(10_000)}]`],
    ['lists in brackets', `events: [${'{},'.repeat(10_000)}]`],
  ])('is refused before it is parsed when it has too many entries: %s', (_what, source) => {
    expect(faultsOf(source)).toEqual([expect.stringMatching(/has more than 10000 entries/)]);
  });

  test('is refused above 256 KiB', () => {
    expect(faultsOf(`#${' '.repeat(256 * 1024)}`)[0]).toMatch(/larger than 262144 bytes/);
  });

  test('is refused when a payload has more than 200 schemas, itself included', () => {
    expect(parse(wide(199)).eventTypes.has('wide')).toBe(true);
    expect(faultsOf(wide(200))).toEqual([expect.stringMatching(/has more than 200 schemas/)]);
  });

  test('stops after 100 faults', () => {
    const source = Array.from({ length: 5000 }, (_, index) => `k${String(index)}: 1\n`).join('');
    expect(faultsOf(source)).toHaveLength(100);
  });
});

test('a payload with keys of Object.prototype is judged by its own keys alone', () => {
  const type = parse(
    EVENTS.replace('track, timeMs]', 'track, timeMs, toString]').replace('note:', 'toString:'),
  ).eventTypes.get('lap');
  expect(type?.validate({ track: 'a', timeMs: 1 })?.pointer).toBe('/payload/toString');
  expect(type?.validate({ track: 'a', timeMs: 1, toString: 'x' })).toBeNull();
});

test('the reference in docs/definition.md is a definition itself', () => {
  const page = readFileSync(new URL('../../docs/definition.md', import.meta.url), 'utf8');
  const definition = parse(/```yaml\n([^`]*(?:`[^`]+`[^`]*)*)```/.exec(page)?.[1] ?? '');
  expect([...definition.boards.keys()]).toEqual(['fastest-lap', 'mode-time']);
  expect(definition.boards.get('fastest-lap')).toMatchObject({
    filter: new Map([['mode', ['ranked']]]),
    windows: [{ kind: 'daily', timeZone: 'Europe/Berlin', resetHour: 0 }, {}, {}, {}],
  });
  expect(definition.boards.get('mode-time')).toMatchObject({
    order: 'asc',
    subjectField: 'mode',
    isPublic: false,
  });
  expect(definition.boards.get('mode-time')?.windows[0]).toMatchObject({
    timeZone: 'Europe/Berlin',
    resetHour: 4,
  });
});
