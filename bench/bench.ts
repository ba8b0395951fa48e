import type { Figure } from './figure.js';
import type { RedisServer } from '../pkg/testkit/redis-server.js';
import type { PostgresServer } from '../pkg/testkit/postgres-server.js';

/** What every part of the bench gets. */
export interface Bench {
  /** One line of progress. */
  tell(line: string): void;
  /** Node arguments for the processes under test: the profiler's, when a profile is wanted. */
  readonly nodeArgs: readonly string[];
  /** Started by the first part that needs them. */
  servers(): Promise<Servers>;
}

export interface Servers {
  readonly postgres: PostgresServer;
  /** null: there is no redis-server on this machine. */
  readonly redis: RedisServer | null;
}

/** Measures one thing. */
export type Part = (bench: Bench) => Promise<readonly Figure[]>;
