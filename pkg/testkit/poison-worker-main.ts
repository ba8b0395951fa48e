// A worker of the product for tests of crashes: its process is aborted at the statement that enters one event for one
// role, as it would be by a message that takes all memory. POISON_ROLE and POISON_IDENTITY say which.
import { openBus, refuseVolatileBus } from '../../cmd/bus.js';
import { runService } from '../../cmd/service.js';
import { composeWorker } from '../../cmd/worker/compose.js';
import type { Database } from '../postgres/port.js';

const { POISON_ROLE: role, POISON_IDENTITY: identity } = process.env;

function swallow(values: readonly unknown[] = []): void {
  const holds = (value: unknown): boolean => String(value).includes(String(identity));
  if (values[0] === role && values.some(holds)) process.abort();
}

const poisoned = (db: Database): Database => ({
  ...db,
  transaction: (work, options) =>
    db.transaction(
      (sql) =>
        work({
          query: (text, values) => {
            swallow(values);
            return sql.query(text, values);
          },
        }),
      options,
    ),
});

await runService(
  'worker',
  async (platform) =>
    composeWorker({ ...platform, db: poisoned(platform.db) }, await openBus(platform, 'reads')),
  refuseVolatileBus,
);
