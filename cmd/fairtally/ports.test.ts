import { createServer, type AddressInfo } from 'node:net';
import { expect, test } from '@jest/globals';
import { systemClock } from '../../pkg/kernel/clock.js';
import { waitForPorts } from './ports.js';

/** A clock on which waiting takes no time. */
function hurriedClock(onSleep: () => void): typeof systemClock {
  let nowMs = 0;
  return {
    ...systemClock,
    monotonicMs: () => nowMs,
    sleep: (ms) => {
      nowMs += ms;
      onSleep();
      return Promise.resolve();
    },
  };
}

async function withListener<T>(work: (port: number, close: () => void) => Promise<T>): Promise<T> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await work((server.address() as AddressInfo).port, () => server.close());
  } finally {
    server.close();
  }
}

test('a port that another process keeps is named with the setting that it is from', () =>
  withListener(async (port) => {
    const wanted = [
      { port: 0, setting: 'PORT' },
      { port, setting: 'ADMIN_PORT' },
    ];
    const waiting = waitForPorts(
      '127.0.0.1',
      wanted,
      hurriedClock(() => undefined),
    );
    await expect(waiting).rejects.toMatchObject({
      code: 'port_taken',
      message: expect.stringContaining(
        `listens at ${String(port)} (ADMIN_PORT): is Fairtally running already?`,
      ),
    });
  }));

test('a port that its holder lets go of meanwhile is waited for', () =>
  withListener(async (port, close) => {
    await waitForPorts('127.0.0.1', [{ port, setting: 'PORT' }], hurriedClock(close));
  }));
