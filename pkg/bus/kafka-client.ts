import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import kafkajs from 'kafkajs';
import type { ISocketFactory, Kafka, SASLOptions } from 'kafkajs';
import type { Logger } from '../runtime/port.js';

/** How the brokers are reached. */
export interface KafkaConnection {
  /** `host:port` of brokers to begin with. */
  readonly brokers: readonly string[];
  readonly isTls: boolean;
  readonly sasl: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  } | null;
}

export interface KafkaClient {
  readonly kafka: Kafka;
  /** How many connections were refused, broken or ended by a broker so far. */
  lostConnections(): number;
  /** What the client said last of anything that went wrong: of a failure that it hides by trying again this is all there is. */
  complaint(): string;
  /** Breaks every connection and lets no new one be made: the one end that needs no answer from a broker. */
  destroy(): void;
}

const CLIENT_ID = 'fairtally';
const CONNECT_TIMEOUT_MS = 2_000;
const KEEP_ALIVE_MS = 60_000;
/** Enough tries to come past brokers that are away; what is lost for longer is begun anew by who uses the client. */
const RETRY = { initialRetryTime: 50, maxRetryTime: 500, retries: 4 };

export interface KafkaClientOptions {
  readonly kafka: KafkaConnection;
  /** A broker that is silent for so long counts as away. */
  readonly requestTimeoutMs: number;
  readonly logger: Logger;
  /** A consumer's offset is none of the partition's any more: it goes on from the oldest message there is. */
  readonly onOffsetReset?: (partition: unknown) => void;
}

/** What the client (2.2.4) says when it does that; there is no event for it. */
const OUT_OF_RANGE = 'Offset out of range, resetting to default offset';

export function openKafka(options: KafkaClientOptions): KafkaClient {
  const { kafka: connection, requestTimeoutMs, logger, onOffsetReset } = options;
  const { sasl } = connection;
  const seeds = seedNames(connection.brokers);
  const sockets = trackedSockets(seeds.hostOf);
  let complaint = 'no reason given';
  const kafka = new kafkajs.Kafka({
    clientId: CLIENT_ID,
    brokers: seeds.names,
    ssl: connection.isTls,
    ...(sasl === null ? {} : { sasl: sasl as SASLOptions }),
    connectionTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: requestTimeoutMs,
    retry: RETRY,
    socketFactory: sockets.open,
    logLevel: kafkajs.logLevel.WARN,
    // The client calls a rebalance an error. What matters is told by the driver, in its own words.
    logCreator:
      () =>
      ({ namespace, log: { message, ...fields } }) => {
        const { error } = fields as { readonly error?: unknown };
        complaint = typeof error === 'string' ? `${message}: ${error}` : message;
        logger.debug({ ...fields, namespace }, message);
        if (message === OUT_OF_RANGE) onOffsetReset?.(fields['partition']);
      },
  });
  return { kafka, complaint: () => complaint, lostConnections: sockets.lost, destroy: sockets.destroy };
}

const IPV6 = /^\[(.+)\]:(\d+)$/;

/** The client cuts an address at its first colon. One of IPv6, which has more of them, goes by a name known here only. */
export function seedNames(brokers: readonly string[]): {
  readonly names: string[];
  hostOf(name: string): string;
} {
  const hosts = new Map<string, string>();
  const names = brokers.map((broker, n) => {
    const [, host, port] = IPV6.exec(broker) ?? [];
    if (host === undefined || port === undefined) return broker;
    const name = `seed-${String(n)}`;
    hosts.set(name, host);
    return `${name}:${port}`;
  });
  return { names, hostOf: (name) => hosts.get(name) ?? name };
}

function trackedSockets(hostOf: (name: string) => string): {
  readonly open: ISocketFactory;
  lost(): number;
  destroy(): void;
} {
  const sockets = new Set<Socket>();
  const ended = new WeakSet<Socket>();
  let lost = 0;
  let isDestroyed = false;
  const end = (socket: Socket): void => {
    if (ended.has(socket)) return;
    ended.add(socket);
    sockets.delete(socket);
    lost += 1;
  };
  const open: ISocketFactory = ({ host: name, port, ssl, onConnect }) => {
    if (isDestroyed) throw new Error('the client was ended');
    const host = hostOf(name);
    const secure: unknown = ssl; // typed as always there, and is false without TLS
    const socket = secure
      ? connectTls({ host, port, ...(isIP(host) === 0 ? { servername: host } : {}), ...ssl }, onConnect)
      : connectTcp({ host, port }, onConnect);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    sockets.add(socket);
    for (const event of ['end', 'error', 'close']) socket.once(event, () => end(socket));
    return socket;
  };
  return {
    open,
    lost: () => lost,
    destroy: () => {
      isDestroyed = true;
      // With an error: the client does not look for a bare end, and would wait for its answers.
      for (const socket of sockets) socket.destroy(new Error('the client was ended'));
    },
  };
}
