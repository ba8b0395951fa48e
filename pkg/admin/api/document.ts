import { parse } from 'yaml';
import { GAME_ROLES, type RequiredRole } from '../port.js';

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete';
const METHODS: readonly Method[] = ['get', 'post', 'put', 'patch', 'delete'];

/** A parameter of a path or a query. Its schema is reached by the pointer, so that its references keep their meaning. */
export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly isRequired: boolean;
  /** JSON Pointer into the document. */
  readonly schema: string;
  /** `integer`, `number`, `boolean`, or anything else: a text. */
  readonly type: unknown;
  /** What stands where nothing was sent; undefined: nothing. */
  readonly fallback: unknown;
}

/** One entry of the document (api/admin.yaml). */
export interface Operation {
  readonly id: string;
  readonly method: Method;
  /** As OpenAPI writes it: `/admin/v1/games/{gameId}`. */
  readonly path: string;
  readonly role: RequiredRole;
  readonly isOfGame: boolean;
  readonly parameters: readonly Parameter[];
  /** Pointer to the schema of a JSON body; null: it takes none, or its handler reads the bytes itself. */
  readonly body: string | null;
  /** Whether its body is something else than JSON. */
  readonly isUpload: boolean;
  readonly bodyBytesMax: number;
  /** Whether it answers a stream of events. */
  readonly isStream: boolean;
}

export interface ApiDocument {
  readonly root: object;
  readonly operations: readonly Operation[];
}

type Node = Readonly<Record<string, unknown>>;

const BODY_MAX_BYTES = 64 * 1024;
/** A name and a password, or what an issuer answered: strangers may send it, and it takes room until it is answered. */
const STRANGERS_BODY_MAX_BYTES = 16 * 1024;
const ROLES: readonly string[] = [...GAME_ROLES, 'signed-in', 'anyone'];

/** Reads the OpenAPI document. @throws Error that names an operation without an id, a role or a game to have the role in */
export function readApiDocument(yaml: string): ApiDocument {
  const root = parse(yaml, { merge: true }) as Node;
  const operations = Object.entries(root['paths'] as Record<string, Node>).flatMap(([path, item]) =>
    METHODS.filter((method) => item[method] !== undefined).map((method) =>
      readOperation(root, path, method, item),
    ),
  );
  return { root, operations };
}

function readOperation(root: Node, path: string, method: Method, item: Node): Operation {
  const node = item[method] as Node;
  const place = pointer('paths', path, method);
  const { operationId: id, 'x-role': role } = node;
  const bodyBytesMax =
    node['x-body-bytes'] ?? (role === 'anyone' ? STRANGERS_BODY_MAX_BYTES : BODY_MAX_BYTES);
  if (typeof id !== 'string') throw new Error(`${method} ${path} has no operationId`);
  const isOfGame = path.includes('{gameId}');
  if (!isRole(role)) throw new Error(`${id} has no x-role, or one that is unknown`);
  if (isOfGame !== (GAME_ROLES as readonly string[]).includes(role))
    throw new Error(`${id}: a role of a game is asked where there is a {gameId}, and only there`);
  const content = (node['requestBody'] as { content?: Node } | undefined)?.content ?? {};
  const [media] = Object.keys(content);
  const { '200': good } = node['responses'] as Readonly<Record<string, { content?: Node } | undefined>>;
  return {
    id,
    method,
    path,
    role,
    isOfGame,
    parameters: [
      ...readParameters(root, item['parameters'], pointer('paths', path)),
      ...readParameters(root, node['parameters'], place),
    ],
    body: media === 'application/json' ? `${place}/requestBody/content/application~1json/schema` : null,
    isUpload: media !== undefined && media !== 'application/json',
    bodyBytesMax: Number(bodyBytesMax),
    isStream: good?.content?.['text/event-stream'] !== undefined,
  };
}

const isRole = (value: unknown): value is RequiredRole => typeof value === 'string' && ROLES.includes(value);

function readParameters(root: Node, list: unknown, place: string): Parameter[] {
  return ((list ?? []) as readonly Node[]).flatMap((entry, index) => {
    const ref = entry['$ref'];
    const at = typeof ref === 'string' ? ref.slice(1) : `${place}/parameters/${String(index)}`;
    const node = (typeof ref === 'string' ? resolve(root, at) : entry) as Node;
    const { name, in: where, required = false, schema } = node;
    if (where !== 'path' && where !== 'query') return []; // the one header is a rule for all, and checked as such
    return [
      {
        name: String(name),
        in: where,
        isRequired: required === true,
        schema: `${at}/schema`,
        type: throughReferences(root, schema as Node)['type'],
        fallback: throughReferences(root, schema as Node)['default'],
      },
    ];
  });
}

function throughReferences(root: Node, schema: Node): Node {
  const ref = schema['$ref'];
  return typeof ref === 'string' ? throughReferences(root, resolve(root, ref.slice(1)) as Node) : schema;
}

const resolve = (root: Node, at: string): unknown =>
  at
    .slice(1)
    .split('/')
    .reduce<unknown>((node, part) => (node as Node)[part.replaceAll('~1', '/').replaceAll('~0', '~')], root);

const pointer = (...parts: readonly string[]): string =>
  parts.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
