import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { listenError } from '../pkg/runtime/port-taken.js';

/**
 * Begins to listen. Answers the port, which the system chooses when it is 0.
 *
 * @param variable the setting that the port is from
 * @throws FairtallyError `port_taken`, or the listener's error
 */
export function listen(server: Server, host: string, port: number, variable: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const refuse = (error: Error): void => reject(listenError(error, host, port, variable));
    server.once('error', refuse);
    server.listen(port, host, () => {
      server.off('error', refuse);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
