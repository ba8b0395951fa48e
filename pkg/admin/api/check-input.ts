import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ErrorObject, ValidateFunction } from 'ajv/dist/2020.js';
import type { Request } from 'express';
import { parseTimestamp } from '../../contract/timestamp.js';
import { jsonValue } from '../../http/body.js';
import { Parameters } from '../../http/parameters.js';
import { RequestProblem, wrongParameter } from '../../http/request-problem.js';
import type { ApiDocument, Operation, Parameter } from './document.js';

/** What was sent, as the document describes it. */
export interface Input {
  readonly path: Readonly<Record<string, unknown>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: unknown;
}

/** Reads parameters and body of a request. @throws RequestProblem */
export type ReadInput = (request: Request<Record<string, string>>) => Input;

const TEXT_MAX_LENGTH = 4_096;
/** What PostgreSQL keeps in no text. */
const UNFIT = /[\u0000\p{Surrogate}]/u;
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Compiles the schemas of the document once: each operation's reader of its input. */
export function createInputReaders({ root }: ApiDocument): (operation: Operation) => ReadInput {
  const ajv = new Ajv2020({
    strict: false,
    validateSchema: false,
    useDefaults: true,
    formats: {
      'date-time': (text: string) => parseTimestamp(text) !== null,
      date: (text: string) => DAY.test(text) && parseTimestamp(`${text}T00:00:00Z`) !== null,
      uri: (text: string) => URL.canParse(text),
    },
  });
  ajv.addSchema(root, 'admin');
  const compile = (pointer: string): ValidateFunction => ajv.compile({ $ref: `admin#${pointer}` });
  return (operation) => {
    const names = operation.parameters.filter((one) => one.in === 'query').map(({ name }) => name);
    const readers = operation.parameters.map((one) => ({ ...one, check: compileParameter(compile, one) }));
    const checkBody = operation.body === null ? null : compile(operation.body);
    return (request) => {
      const sent = new Parameters(request, names);
      const path: Record<string, unknown> = {};
      const query: Record<string, unknown> = {};
      for (const { name, in: where, isRequired, check } of readers) {
        const text = where === 'path' ? request.params[name] : sent.text(name, TEXT_MAX_LENGTH);
        const value = check(text);
        if (value === undefined && isRequired) throw wrongParameter(name);
        if (value !== undefined) (where === 'path' ? path : query)[name] = value;
      }
      return { path, query, body: checkBody === null ? null : checked(checkBody, jsonValue(request)) };
    };
  };
}

/** The value of a parameter, its default where it is absent. */
type CheckParameter = (text: string | undefined) => unknown;

function compileParameter(
  compile: (pointer: string) => ValidateFunction,
  { name, schema, type, fallback }: Parameter,
): CheckParameter {
  const check = compile(schema);
  return (text) => {
    if (text === undefined) return fallback;
    const value = typed(text, type);
    if (!UNFIT.test(text) && check(value)) return value;
    throw wrongParameter(name);
  };
}

function typed(text: string, type: unknown): unknown {
  if (type === 'integer' || type === 'number')
    return /^-?(0|[1-9][0-9]{0,15})(\.[0-9]{1,15})?$/.test(text) ? Number(text) : text;
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text;
  return text;
}

function checked(check: ValidateFunction, value: unknown): unknown {
  if (check(value)) return value;
  const [error] = check.errors ?? [];
  throw new RequestProblem(...problemOfError(error));
}

function problemOfError(error: ErrorObject | undefined): ConstructorParameters<typeof RequestProblem> {
  const pointer = error?.instancePath ?? '';
  if (error?.keyword === 'required')
    return ['missing_field', { pointer: `${pointer}/${String(error.params['missingProperty'])}` }];
  if (error?.keyword === 'additionalProperties') return ['unknown_field', { pointer }];
  return ['invalid_field', { pointer }];
}
