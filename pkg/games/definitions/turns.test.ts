import { describe, expect, test } from '@jest/globals';
import { parseDefinition, proveDefinition, readProvenDefinition } from '../definition-file.js';

const identity = { gameId: 'demo', version: 1, fileName: 'demo.yaml' };
const EVENTS = `events:
  lap:
    from: any
    payload:
      required: [track, timeMs]
      properties:
        track: { type: string, minLength: 1, maxLength: 32 }
        timeMs: { type: integer, minimum: 1, maximum: 3600000 }
`;
/** More fields than a payload may have. */
const FIELDS = Array.from({ length: 300 }, (_, index) => `f${String(index)}: { type: integer }`);
const WIDE = `events: { wide: { from: any, payload: { properties: { ${FIELDS.join(', ')} } } } }`;

function faultsAtOnce(source: string): string[] {
  try {
    parseDefinition(source, identity);
    return [];
  } catch (error) {
    return (error as Error).message.split('\n');
  }
}

describe('a definition that is read while others are served', () => {
  test('lets them have a turn after each event type, and is refused for all that it is refused for at once', async () => {
    const types = Array.from({ length: 20 }, (_, index) => `type_${String(index)}`);
    const source = `events:\n${types.map((name) => `  ${name}: { from: any, payload: { properties: { n: { minimum: x } } } }\n`).join('')}`;
    let turns = 0;
    let isOver = false;
    const takeTurn = (): void => {
      turns += 1;
      if (!isOver) setImmediate(takeTurn);
    };
    setImmediate(takeTurn);
    const refused = await proveDefinition(source, identity).catch((error: unknown) => error);
    isOver = true;
    expect(turns).toBeGreaterThanOrEqual(types.length);
    expect((refused as Error).message.split('\n')).toEqual(faultsAtOnce(source));
  });

  test('judges payloads as it does when its schemas are compiled at once', async () => {
    const proven = (await readProvenDefinition(EVENTS, identity)).eventTypes.get('lap');
    const whole = parseDefinition(EVENTS, identity).eventTypes.get('lap');
    expect(proven?.schema).toEqual(whole?.schema);
    for (const payload of [{}, { track: 'a', timeMs: 0 }, { track: 'a', timeMs: 1 }, 7])
      expect(proven?.validate(payload)).toEqual(whole?.validate(payload));
  });

  test('is not refused for its size once it was applied, whatever newer ones are refused for', async () => {
    const type = (await readProvenDefinition(WIDE, identity)).eventTypes.get('wide');
    expect(type?.validate({ f299: 1 })).toBeNull();
    expect(type?.validate({ f299: 'x' })?.pointer).toBe('/payload/f299');
  });
});
