import { userInfo } from 'node:os';

/** Who runs a command, for what is recorded of it. A container may run as a user that the system has no name for. */
export function operatorName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid-${String(process.getuid?.() ?? 'unknown')}`;
  }
}
