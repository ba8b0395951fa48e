import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';

/** The API document as a test of the wire: what it does not document must not be answered. */

interface Response {
  readonly $ref?: string;
  readonly content?: Readonly<Record<string, unknown>>;
}

interface OperationObject {
  readonly operationId: string;
  readonly responses: Readonly<Record<string, Response>>;
}

export interface Operation {
  readonly operationId: string;
  /** Upper case. */
  readonly method: string;
  /** With `{names}` where a path has parameters. */
  readonly path: string;
  readonly statuses: readonly number[];
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, OperationObject>>>>;
}

const SOURCE = new URL('../../api/openapi.yaml', import.meta.url);
const document = parse(readFileSync(SOURCE, 'utf8'), { maxAliasCount: 1000 }) as Document;

const ajv = new Ajv2020({ strict: false, allErrors: true });
(addFormats as unknown as (target: Ajv2020) => void)(ajv);
ajv.addSchema({ $id: 'api', ...document });
const validators = new Map<string, ValidateFunction>();

export const OPERATIONS: readonly Operation[] = Object.entries(document.paths).flatMap(([path, item]) =>
  Object.entries(item).map(([method, { operationId, responses }]) => ({
    operationId,
    method: method.toUpperCase(),
    path,
    statuses: Object.keys(responses).map(Number),
  })),
);

export function operation(operationId: string): Operation {
  const found = OPERATIONS.find((candidate) => candidate.operationId === operationId);
  if (found === undefined) throw new Error(`the API document has no operation ${operationId}`);
  return found;
}

/**
 * Throws unless the document has this status for the operation and the body is what it says there. `body` is the parsed JSON;
 * a text where the document has no JSON, empty (or an empty object) where it has no content.
 */
export function expectAnswer(operationId: string, status: number, body: unknown): void {
  const { path, method, statuses } = operation(operationId);
  if (!statuses.includes(status))
    throw new Error(`${operationId} answered ${String(status)}, which is not documented`);
  const place = `#/paths/${segment(path)}/${method.toLowerCase()}/responses/${String(status)}`;
  const reference = (at(place) as Response).$ref ?? place;
  const { content } = at(reference) as Response;
  if (content === undefined) return expectEmpty(operationId, body);
  const type = Object.keys(content)[0] ?? '';
  if (!type.endsWith('json')) {
    if (typeof body !== 'string' || body === '') throw new Error(`${operationId} has no text`);
    return;
  }
  const schema = `api${reference}/content/${segment(type)}/schema`;
  let validate = validators.get(schema);
  if (validate === undefined) validators.set(schema, (validate = ajv.compile({ $ref: schema })));
  if (!validate(body)) {
    const faults = ajv.errorsText(validate.errors, { separator: '\n' });
    throw new Error(
      `${operationId} ${String(status)} is not as documented:\n${faults}\n${JSON.stringify(body)}`,
    );
  }
}

function expectEmpty(operationId: string, body: unknown): void {
  if (body === '' || JSON.stringify(body) === '{}') return;
  throw new Error(`${operationId} has a body that is not documented`);
}

const segment = (text: string): string =>
  encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'));

function at(pointer: string): unknown {
  let value: unknown = document;
  for (const part of pointer.split('/').slice(1)) {
    const key = decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
    value = (value as Readonly<Record<string, unknown>>)[key];
  }
  return value;
}
