import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/**
 * What tells one life of a process from a later one that got the same id: a hash of its start time (and, on Linux, of
 * the boot that the time is counted from). null when no such process lives; a zombie does not.
 */
export function processIdentity(pid: number): string | null {
  const startedAt = process.platform === 'linux' ? startOnLinux(pid) : startByPs(pid);
  return startedAt === null ? null : createHash('sha256').update(startedAt).digest('hex').slice(0, 16);
}

function startOnLinux(pid: number): string | null {
  const stat = readText(`/proc/${String(pid)}/stat`);
  if (stat === null) return null;
  // proc(5): the name stands in parentheses and may hold any character; state is field 3, start time field 22.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [state = ''] = fields;
  if (state === 'Z' || state === 'X') return null;
  return `${readText('/proc/sys/kernel/random/boot_id') ?? ''} ${fields[19] ?? ''}`;
}

function startByPs(pid: number): string | null {
  const { stdout } = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], { encoding: 'utf8' });
  const line = stdout.trim();
  return line === '' || line.startsWith('Z') ? null : line.slice(line.indexOf(' ')).trim();
}

/** The command line of a process, its words joined by spaces; '' when it does not live or hides it. */
export function commandLine(pid: number): string {
  if (process.platform === 'linux') {
    return (readText(`/proc/${String(pid)}/cmdline`) ?? '').replaceAll('\0', ' ').trim();
  }
  return spawnSync('ps', ['-ww', '-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }).stdout.trim();
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null; // a process may end at any moment: what cannot be read is not there
  }
}
