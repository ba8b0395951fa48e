import { createSignedClient } from '../../pkg/client/signed-client.js';
import { secretOfKey } from '../../pkg/games/keys/postgres.js';
import { createReplayQueue } from '../../pkg/replay/jobs.postgres.js';
import { runReplays } from '../../pkg/replay/run-jobs.js';
import type { Platform } from '../platform.js';

const LEASE_MS = 15_000;

/** Replays that somebody started go through the front door from here, whichever admin service that somebody asked. */
export function sendReplays({ db, sealer, config, clock, random, logger, lifecycle }: Platform): void {
  const sending = runReplays(
    {
      queue: createReplayQueue(db, random.bytes(12).toString('base64url')),
      clientOf: async ({ keyId }) =>
        createSignedClient({
          url: config.admin.gatewayUrl,
          keyId: keyId ?? '',
          secret: await secretOfKey(db, sealer, keyId ?? ''),
          clock,
        }),
      clock,
      random,
      log: logger,
      leaseMs: LEASE_MS,
    },
    lifecycle.stopping,
  );
  lifecycle.onStop('replays', () => sending);
}
