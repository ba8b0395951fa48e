import { randomBytes } from 'node:crypto';
import { createDatabase } from '../postgres/database.js';
import { migrate } from '../postgres/migrate.js';
import type { Database } from '../postgres/port.js';

export const TEMPLATE = 'fairtally_template';

/** Made by the integration tests' global setup: the server that all test files share. */
const serverUrl = (database: string): string => {
  const base = process.env['TEST_POSTGRES_URL'];
  if (base === undefined)
    throw new Error(
      'no test PostgreSQL: a test that uses one is named *.pg.test.ts, *.redis.test.ts or *.e2e.test.ts',
    );
  const url = new URL(base);
  url.pathname = `/${database}`;
  return url.toString();
};

export interface TestDatabase {
  readonly db: Database;
  readonly url: string;
  close(): Promise<void>;
}

/** A migrated database of its own, cloned from the template; dropped by `close`. */
export const testDatabase = (poolSize = 10): Promise<TestDatabase> => cloneOf(TEMPLATE, 'test', poolSize);

/** An empty database, for tests of migration itself. */
export const emptyDatabase = (): Promise<TestDatabase> => cloneOf('template0', 'empty', 10);

async function cloneOf(template: string, prefix: string, poolSize: number): Promise<TestDatabase> {
  const name = `${prefix}_${randomBytes(8).toString('hex')}`;
  await onServer(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  const url = serverUrl(name);
  const db = createDatabase({ url, poolSize });
  // A copy has the life of what it was copied from; these are no restored ones.
  if (template === TEMPLATE) await db.query('UPDATE database_life SET life = gen_random_uuid()');
  return {
    db,
    url,
    close: async () => {
      await db.close();
      await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
    },
  };
}

async function onServer(statement: string): Promise<void> {
  const admin = createDatabase({ url: serverUrl('postgres'), poolSize: 1 });
  try {
    await admin.query(statement);
  } finally {
    await admin.close();
  }
}

/** Makes the template that every test database is cloned from. */
export async function makeTemplate(postgresUrl: string): Promise<void> {
  const admin = createDatabase({ url: postgresUrl, poolSize: 1 });
  await admin.query(`CREATE DATABASE ${TEMPLATE} TEMPLATE template0`);
  await admin.close();
  const url = new URL(postgresUrl);
  url.pathname = `/${TEMPLATE}`;
  const template = createDatabase({ url: url.toString(), poolSize: 1 });
  await migrate(template);
  await template.close();
}
