import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Begins to listen. Answers the port, which the system chooses when it is 0. */
export function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
