import { readFileSync, statSync } from 'node:fs';
import { FairtallyError } from '../kernel/errors.js';

/** Files that a person named. @throws FairtallyError `no_file` for the first that is not there */
export function refuseAbsent(files: readonly string[]): void {
  for (const file of files) {
    if (statSync(file, { throwIfNoEntry: false }) === undefined)
      throw new FairtallyError('no_file', `there is no file ${file}`);
  }
}

/** The text of a file that a person named. @throws FairtallyError `no_file`; as readFileSync does */
export function readNamedFile(file: string): string {
  refuseAbsent([file]);
  return readFileSync(file, 'utf8');
}
