import type { Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../pkg/kernel/clock.js';
import type { Logger } from '../../pkg/runtime/port.js';

export interface DrainParts {
  readonly server: Server;
  readonly clock: Pick<Clock, 'sleep' | 'monotonicMs'>;
  readonly logger: Logger;
  /** Aborts when the stop begins; readiness is off from then on. */
  readonly stopping: AbortSignal;
}

/** How an HTTP server ends without failing anybody. */
export interface Drain {
  /** For every response before anything is written: once the stop has begun it ends its connection. */
  prepare(response: ServerResponse): void;
  /** Resolves when every request is answered and every connection is gone. */
  close(): Promise<void>;
}

/** For a load balancer that asks for readiness: what it sends until it has seen the end is still served. */
const SEEN_AFTER_MS = 500;
const IDLE_EVERY_MS = 50;
/** For answers under way; a client that still sends or reads then is cut off. Well below what the process has to stop. */
const ANSWERED_WITHIN_MS = 15_000;

/**
 * First the listener stays open for half a second while `/readyz` says no; every answer of that time carries
 * `Connection: close`, so that busy clients go elsewhere by themselves. Then it closes, and connections end as they fall idle.
 */
export function createDrain({ server, clock, logger, stopping }: DrainParts): Drain {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  /** Node counts a connection as idle only after its first request; one that was opened in advance never had any. */
  const closeUnused = (): void => {
    for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
  };
  const closeServer = async (): Promise<void> => {
    const closed = new AbortController();
    server.close(() => closed.abort());
    const deadlineMs = clock.monotonicMs() + ANSWERED_WITHIN_MS;
    while (!closed.signal.aborted) {
      if (clock.monotonicMs() < deadlineMs) {
        server.closeIdleConnections();
        closeUnused();
      } else {
        logger.warn({}, 'clients that neither send nor read are cut off');
        server.closeAllConnections();
      }
      await clock.sleep(IDLE_EVERY_MS, closed.signal);
    }
  };
  return {
    prepare: (response) => {
      if (stopping.aborted) response.setHeader('Connection', 'close');
    },
    close: async () => {
      await clock.sleep(SEEN_AFTER_MS);
      await closeServer();
    },
  };
}
