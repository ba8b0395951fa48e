import { connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between clients and the brokers of a cluster on this machine, and fails the way networks fail. */
export interface KafkaProxy {
  /** `host:port`, one for each broker. The brokers' own answers name these too. */
  readonly brokers: readonly string[];
  /** Breaks every connection and refuses new ones. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** From now on what is sent goes nowhere and nothing comes back; connections stay open. */
  silence(isSilent: boolean): void;
  /** The next request that carries `text` reaches its broker; before the answer comes back its connection breaks. */
  loseReply(text: string): void;
  close(): Promise<void>;
}

const METADATA = 3;
const HEADER_BYTES = 8;

/** Cuts a stream into messages, each with its four bytes of length before it. */
function framed(onFrame: (frame: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
      const end = 4 + rest.readInt32BE(0);
      onFrame(rest.subarray(0, end));
      rest = rest.subarray(end);
    }
  };
}

/**
 * Rewrites an answer to a metadata request (versions 1 to 8) in place: brokers are found behind their proxies. The mock
 * cluster calls broker 0 its controller, which it does not have: the first one will do.
 */
function rewrite(frame: Buffer, version: number, portOf: (port: number) => number): void {
  let at = HEADER_BYTES + (version >= 3 ? 4 : 0);
  const skipText = (): void => {
    at += 2 + Math.max(0, frame.readInt16BE(at));
  };
  const ids: number[] = [];
  let left = frame.readInt32BE(at);
  at += 4;
  for (; left > 0; left -= 1) {
    ids.push(frame.readInt32BE(at));
    at += 4;
    skipText();
    frame.writeInt32BE(portOf(frame.readInt32BE(at)), at);
    at += 4;
    skipText();
  }
  if (version >= 2) skipText();
  if (!ids.includes(frame.readInt32BE(at))) frame.writeInt32BE(ids[0] ?? 0, at);
}

/** @param targets the brokers, `host:port` */
export async function startKafkaProxy(targets: readonly string[]): Promise<KafkaProxy> {
  const pairs = new Set<() => void>();
  const lost = new Set<string>();
  const ports = new Map<number, number>();
  let servers: Server[] = [];
  let isSilent = false;

  const serve = (client: Socket, target: string): void => {
    const broker = connect(Number(target.split(':')[1]), target.split(':')[0]);
    const destroy = (): void => {
      pairs.delete(destroy);
      client.destroy();
      broker.destroy();
    };
    pairs.add(destroy);
    const versions = new Map<number, number>();
    const unanswered = new Set<number>();
    const onRequest = framed((frame) => {
      if (isSilent) return;
      const correlation = frame.readInt32BE(8);
      if (frame.readInt16BE(4) === METADATA) versions.set(correlation, frame.readInt16BE(6));
      for (const text of lost) {
        if (!frame.includes(text)) continue;
        lost.delete(text);
        unanswered.add(correlation);
      }
      broker.write(frame);
    });
    const onAnswer = framed((frame) => {
      if (isSilent) return;
      const correlation = frame.readInt32BE(4);
      if (unanswered.has(correlation)) return destroy();
      const version = versions.get(correlation);
      if (version !== undefined) rewrite(frame, version, (port) => ports.get(port) ?? port);
      versions.delete(correlation);
      client.write(frame);
    });
    client.on('data', onRequest).on('error', destroy).on('close', destroy);
    broker.on('data', onAnswer).on('error', destroy).on('close', destroy);
  };

  const listen = (target: string): Promise<Server> =>
    new Promise((resolve, reject) => {
      const server = createServer((client) => serve(client, target));
      const targetPort = Number(target.split(':')[1]);
      server.once('error', reject);
      server.listen(ports.get(targetPort) ?? 0, '127.0.0.1', () => {
        const address = server.address();
        if (typeof address === 'object' && address !== null) ports.set(targetPort, address.port);
        resolve(server);
      });
    });
  const up = async (): Promise<void> => {
    servers = await Promise.all(targets.map(listen));
  };
  const down = async (): Promise<void> => {
    const closed = servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve)));
    for (const destroy of [...pairs]) destroy();
    await Promise.all(closed);
  };
  await up();
  return {
    brokers: [...ports.values()].map((port) => `127.0.0.1:${String(port)}`),
    up,
    down,
    silence: (wished) => (isSilent = wished),
    loseReply: (text) => void lost.add(text),
    close: down,
  };
}
