import type { Logger } from '../../runtime/port.js';
import { SECRETS_BEGIN } from './game.js';
import type { World } from './world.js';

const SECRETS = new RegExp(SECRETS_BEGIN);

/** The log of every node: its lines are part of the trace, and no secret may stand in them. */
export class SimLog implements Logger {
  leak: string | null = null;

  constructor(private readonly world: World) {}

  debug(fields: object, message: string): void {
    this.line(fields, message);
  }

  info(fields: object, message: string): void {
    this.line(fields, message);
  }

  warn(fields: object, message: string): void {
    this.line(fields, message);
  }

  error(fields: object, message: string): void {
    this.line(fields, message);
  }

  isSecret(text: string): boolean {
    return SECRETS.test(text);
  }

  private line(fields: object, message: string): void {
    const told = Object.entries(fields)
      .map(([name, value]) => `${name}=${value instanceof Error ? reasonOf(value) : String(value)}`)
      .join(' ');
    const line = `~ ${message} ${told}`;
    if (SECRETS.test(line)) this.leak ??= line;
    this.world.trace(line);
  }
}

/** With its causes: a secret may hide in any of them. */
const reasonOf = (error: Error): string =>
  error.cause instanceof Error ? `${error.message} (${reasonOf(error.cause)})` : error.message;
