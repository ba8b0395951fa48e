// Who may import whom (docs: the rooms). A room is a folder of pkg/; what is not allowed here is forbidden.
import { dirname, relative, resolve } from 'node:path';

const ROOT = dirname(import.meta.dirname);
const TECHNOLOGY_FILE = /(^|[.-])(postgres|redis|kafka|sqs|servicebus)([.-]|$)/;
const TECHNOLOGY_PACKAGE = /^(pg|ioredis|kafkajs|rhea|@aws-sdk\/.*|@azure\/.*)$/;
const DRIVER = /^(memory|postgres|redis|kafka|sqs|servicebus)\.ts$/;

/** Rooms that others may use beyond their ports. */
const OPEN_TO = {
  kernel: () => true,
  contract: (room) => !['kernel', 'signing', 'runtime'].includes(room),
  // Pure: the law of the wire, the same on both of its ends.
  signing: (room) => !['kernel', 'contract', 'runtime'].includes(room),
  // What every Express app of ours shares: bodies, parameters, problems.
  http: (room) => ['query', 'admin'].includes(room),
  // The command line speaks to the front door as anybody else does, and so does a load under fire.
  client: (room) => ['cli', 'replay', 'chaos'].includes(room),
  chaos: (room) => room === 'cli',
  replay: (room) => room === 'cli',
  // The rooms of a technology start and watch servers; the command line tells of a wrong configuration.
  runtime: (room) => ['postgres', 'redis', 'cli'].includes(room),
};

/** Where a file stands: `pkg/<room>/...`, `cmd/...` or elsewhere. */
function placeOf(file) {
  const path = relative(ROOT, file).replaceAll('\\', '/');
  const [top, second] = path.split('/');
  return { path, top, room: top === 'pkg' ? second : null, name: path.split('/').at(-1) ?? '' };
}

/** Tests, what only they use (`fixtures.ts`), and the suites that each driver of a port must pass (`contract.ts`). */
const isTest = ({ top, path, room, name }) =>
  room === 'testkit' ||
  /\.test\.ts$/.test(path) ||
  (top === 'pkg' && ['contract.ts', 'fixtures.ts'].includes(name));

/** Why an import is not allowed, or null. */
export function refusal(importer, specifier, isTypeOnly) {
  const from = placeOf(importer);
  if (from.room === null && from.top !== 'cmd') return null;
  if (isTest(from)) return null;
  if (!specifier.startsWith('.')) return packageRefusal(from, specifier);
  const to = placeOf(resolve(dirname(importer), specifier.replace(/\.js$/, '.ts')));
  if (to.top === 'cmd') return from.top === 'cmd' ? null : 'nobody imports cmd/';
  if (to.room === 'testkit' || /\.test\.ts$/.test(to.path)) return 'only tests import pkg/testkit and tests';
  if (from.top === 'cmd' || to.room === null || to.room === from.room) return null;
  if (from.room === 'kernel') return 'pkg/kernel imports nothing of ours';
  if (OPEN_TO[to.room]?.(from.room) === true) return null;
  if (['postgres', 'redis'].includes(to.room) && TECHNOLOGY_FILE.test(from.name)) return null;
  // The command line and the admin API stand in front of every room, and are handed what they work with.
  if (['cli', 'admin'].includes(from.room) && isTypeOnly) return null;
  if (['contract', 'signing', 'runtime'].includes(from.room))
    return `pkg/${from.room} imports pkg/kernel only`;
  if (DRIVER.test(to.name)) return 'only cmd/ names a driver';
  if (to.name !== 'port.ts') return `of pkg/${to.room} only port.ts may be imported here, as types`;
  return isTypeOnly ? null : `import pkg/${to.room}/port.ts as types: import type`;
}

function packageRefusal(from, specifier) {
  if (!TECHNOLOGY_PACKAGE.test(specifier) || from.top === 'cmd') return null;
  if (['postgres', 'redis'].includes(from.room) || TECHNOLOGY_FILE.test(from.name)) return null;
  return `only a file named after the technology imports ${specifier}`;
}

export const walls = {
  meta: { type: 'problem', schema: [] },
  create(context) {
    const check = (node) => {
      if (typeof node.source?.value !== 'string') return;
      const kind = node.importKind ?? node.exportKind;
      const specifiers = node.specifiers ?? [];
      const isTypeOnly =
        kind === 'type' ||
        (specifiers.length > 0 && specifiers.every((one) => (one.importKind ?? one.exportKind) === 'type'));
      const reason = refusal(context.filename, node.source.value, isTypeOnly);
      if (reason !== null) context.report({ node, message: `Import wall: ${reason}.` });
    };
    return {
      ImportDeclaration: check,
      ExportNamedDeclaration: check,
      ExportAllDeclaration: check,
      ImportExpression: check,
    };
  },
};
