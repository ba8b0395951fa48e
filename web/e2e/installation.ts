import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSignedClient, type SignedClient } from '../../pkg/client/signed-client.js';
import { systemClock } from '../../pkg/kernel/clock.js';
import { createDatabase } from '../../pkg/postgres/database.js';
import { APPLICATION, SUPERUSER } from '../../pkg/postgres/embedded-cluster.js';
import { SOCKET_PORT } from '../../pkg/postgres/embedded-leftovers.js';
import type { Database } from '../../pkg/postgres/port.js';
import { socketFolder } from '../../pkg/runtime/socket-folder.js';
import { serverUser } from '../../pkg/runtime/unprivileged.js';
import { freePort } from '../../pkg/testkit/postgres-server.js';
import { built, startProcess } from '../../pkg/testkit/processes.js';

/** The whole product in one process group on folders and ports of its own, as `make run` starts it, without the sample season. */
export interface Installation {
  readonly gatewayUrl: string;
  readonly adminUrl: string;
  /** Of the user `admin`. */
  readonly password: string;
  /** Signs with the sample game's own key. */
  readonly client: SignedClient;
  clientOf(keyId: string, secret: string): SignedClient;
  /** Its own database, as the one who administers the server: to break something there, and to mend it. */
  database(): Database;
  stop(): Promise<void>;
}

export async function startInstallation(
  variables: Readonly<Record<string, string>> = {},
): Promise<Installation> {
  const folder = mkdtempSync(join(tmpdir(), 'fairtally-browser-'));
  const dataDir = join(folder, 'data');
  const [port, adminPort] = [await freePort(), await freePort()];
  const started = startProcess('all-in-one', [built('cmd/fairtally/main.js'), 'run'], {
    PORT: String(port),
    ADMIN_PORT: String(adminPort),
    METRICS_PORT: '0',
    DATA_DIR: dataDir,
    SAMPLE_EVENTS: 'off',
    ...variables,
  });
  await started.waitFor(/Fairtally is running/, 240_000);
  const secret = (name: string): string => readFileSync(join(dataDir, 'secrets', name), 'utf8').trim();
  const gatewayUrl = `http://127.0.0.1:${String(port)}`;
  const clients: SignedClient[] = [];
  const clientOf = (keyId: string, keySecret: string): SignedClient => {
    const client = createSignedClient({ url: gatewayUrl, keyId, secret: keySecret, clock: systemClock });
    clients.push(client);
    return client;
  };
  let db: Database | null = null;
  return {
    gatewayUrl,
    adminUrl: `http://127.0.0.1:${String(adminPort)}`,
    password: secret('admin.password'),
    client: clientOf('demo', secret('demo.hmac')),
    clientOf,
    database: () =>
      (db ??= createDatabase({ url: databaseUrl(dataDir, secret('postgres.superuser')), poolSize: 1 })),
    stop: async () => {
      await db?.close();
      for (const client of clients) client.close();
      started.kill('SIGTERM');
      await started.exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function databaseUrl(dataDir: string, password: string): string {
  const sockets = socketFolder(dataDir, serverUser(join(dataDir, 'pg')));
  return `postgres://${SUPERUSER}:${password}@/${APPLICATION}?host=${encodeURIComponent(sockets)}&port=${String(SOCKET_PORT)}`;
}
