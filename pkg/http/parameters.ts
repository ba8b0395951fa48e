import type { Request } from 'express';
import { RequestProblem, wrongParameter } from './request-problem.js';

/** U+0000, what is no character at all, and halves of surrogate pairs: no id of ours holds them, PostgreSQL takes no U+0000. */
const UNFIT = /[\u0000\ufffe\uffff\p{Surrogate}]/u;
const PLAYER_ID_MAX_BYTES = 128;
const CURSOR_MAX_LENGTH = 1024;
const PAGE_DEFAULT = 100;
const PAGE_MAX = 1000;

/**
 * The query of a request, read strictly: every name is known to the route, every escape is UTF-8, and what may stand once
 * stands once. A misspelt parameter must not be ignored in silence. `+` is a space, as forms write it.
 */
export class Parameters {
  /** Still escaped, so that a list is split at the commas that separate and not at those of its items. */
  readonly #raw: ReadonlyMap<string, readonly string[]>;

  /** @throws RequestProblem `invalid_parameter` */
  constructor(request: Pick<Request, 'originalUrl'>, names: readonly string[]) {
    const raw = new Map<string, string[]>();
    for (const pair of queryOf(request.originalUrl).split('&')) {
      if (pair === '') continue;
      const equals = pair.indexOf('=');
      const name = equals === -1 ? pair : pair.slice(0, equals);
      if (!names.includes(name)) throw unknownParameter(names);
      const value = equals === -1 ? '' : pair.slice(equals + 1);
      raw.set(name, [...(raw.get(name) ?? []), value]);
    }
    this.#raw = raw;
  }

  has(name: string): boolean {
    return this.#raw.has(name);
  }

  /** A text of 1 to `maxLength` UTF-16 units; undefined when it is absent. */
  text(name: string, maxLength: number): string | undefined {
    const values = this.#raw.get(name);
    if (values === undefined) return undefined;
    const [value = ''] = values;
    if (values.length > 1) throw wrongParameter(name);
    return checkedText(name, value, maxLength);
  }

  integer(name: string, min: number, max: number): number | undefined {
    const text = this.text(name, 10);
    if (text === undefined) return undefined;
    const value = /^(0|[1-9][0-9]*)$/.test(text) ? Number(text) : NaN;
    if (!(value >= min && value <= max))
      throw wrongParameter(name, `${name} is a whole number from ${String(min)} to ${String(max)}`);
    return value;
  }

  choice<const Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    const text = this.text(name, 32);
    const choice = choices.find((candidate) => candidate === text);
    if (text !== undefined && choice === undefined)
      throw wrongParameter(name, `${name} is one of ${choices.join(', ')}`);
    return choice;
  }

  /** Player ids separated by commas, or the parameter repeated; `%2C` is a comma inside an id. */
  playerIds(name: string, max: number): readonly string[] | undefined {
    const ids = this.#raw.get(name)?.flatMap((value) => value.split(','));
    if (ids === undefined) return undefined;
    if (ids.length > max) throw wrongParameter(name);
    return ids.map((id) => checkPlayerId(checkedText(name, id, PLAYER_ID_MAX_BYTES), name));
  }

  playerId(name: string): string | undefined {
    const text = this.text(name, PLAYER_ID_MAX_BYTES);
    return text === undefined ? undefined : checkPlayerId(text, name);
  }

  /** `limit` (100 unless given) and `cursor`, as every list takes them. */
  page(): { limit: number; cursor: string | null } {
    return {
      limit: this.integer('limit', 1, PAGE_MAX) ?? PAGE_DEFAULT,
      cursor: this.text('cursor', CURSOR_MAX_LENGTH) ?? null,
    };
  }
}

const unknownParameter = (names: readonly string[]): RequestProblem =>
  new RequestProblem('invalid_parameter', {
    detail: names.length === 0 ? 'This takes no parameters' : `This takes the parameters ${names.join(', ')}`,
  });

export const NO_PARAMETERS: readonly string[] = [];
export const PAGE_PARAMETERS: readonly string[] = ['limit', 'cursor'];

const queryOf = (target: string): string => {
  const mark = target.indexOf('?');
  return mark === -1 ? '' : target.slice(mark + 1);
};

function checkedText(name: string, raw: string, maxLength: number): string {
  const text = unescaped(name, raw);
  if (text === '' || text.length > maxLength || UNFIT.test(text)) throw wrongParameter(name);
  return text;
}

function unescaped(name: string, raw: string): string {
  try {
    return decodeURIComponent(raw.replaceAll('+', ' '));
  } catch {
    throw wrongParameter(name);
  }
}

/** Whether a text can be a player id: the limits of the way in. */
export const isPlayerId = (text: string): boolean =>
  text !== '' && Buffer.byteLength(text) <= PLAYER_ID_MAX_BYTES && !UNFIT.test(text);

/** A player id of a path or a query. @throws RequestProblem `invalid_parameter` */
export function checkPlayerId(playerId: string | undefined, name = 'playerId'): string {
  if (playerId === undefined || !isPlayerId(playerId)) throw wrongParameter(name);
  return playerId;
}
