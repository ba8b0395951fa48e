import { connect, createServer, type Server, type Socket } from 'node:net';

/** Stands between a client and a real server on this machine, and fails the way networks fail. */
export interface TcpProxy {
  readonly port: number;
  /** Breaks every connection and refuses new ones. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** Breaks every connection now; new ones are served. */
  cutAll(): void;
  /** Every connection goes silent for good: nothing more is forwarded, not even an end. New ones are served. */
  silence(): void;
  /**
   * Breaks the connection on which a client next sends bytes that contain `text`: `sent` right after the server got them,
   * `answered` after the server answered, without the client seeing the answer. Of several texts one connection is to send
   * each after the one before it. Resolves once it is cut.
   */
  cutAfter(text: string | readonly string[], when: 'sent' | 'answered'): Promise<void>;
  /** Another server takes over: every connection breaks, new ones lead to it. */
  leadTo(targetPort: number): void;
  close(): Promise<void>;
}

interface Cut {
  readonly texts: readonly Buffer[];
  readonly when: 'sent' | 'answered';
  readonly done: () => void;
}

export async function startTcpProxy(firstTargetPort: number): Promise<TcpProxy> {
  let targetPort = firstTargetPort;
  const pairs = new Set<() => void>();
  const silent = new Set<() => void>();
  const cuts = new Set<Cut>();
  let server: Server | null = null;
  let port = 0;

  const serve = (client: Socket): void => {
    const target = connect(targetPort, '127.0.0.1');
    const destroy = (): void => {
      pairs.delete(destroy);
      silent.delete(destroy);
      client.destroy();
      target.destroy();
    };
    pairs.add(destroy);
    let armed: Cut | null = null;
    /** How many of its texts this client has sent. */
    const heard = new Map<Cut, number>();
    const hasSent = (cut: Cut, chunk: Buffer): boolean => {
      let count = heard.get(cut) ?? 0;
      for (let at = 0; count < cut.texts.length; count += 1) {
        const text = cut.texts[count] ?? chunk;
        at = chunk.indexOf(text, at);
        if (at === -1) break;
        at += text.length;
      }
      heard.set(cut, count);
      return count === cut.texts.length;
    };
    client.on('data', (chunk: Buffer) => {
      if (silent.has(destroy)) return;
      const cut = [...cuts].find((one) => hasSent(one, chunk)) ?? null;
      if (cut === null) return void target.write(chunk);
      cuts.delete(cut);
      if (cut.when === 'answered') armed = cut;
      target.write(chunk, () => {
        if (cut.when === 'answered') return;
        destroy();
        cut.done();
      });
    });
    target.on('data', (chunk: Buffer) => {
      if (silent.has(destroy)) return;
      if (armed === null) return void client.write(chunk);
      destroy();
      armed.done();
    });
    client.on('error', destroy).on('close', destroy);
    const targetGone = (): void => {
      if (!silent.has(destroy)) destroy();
    };
    target.on('error', targetGone).on('close', targetGone);
  };

  const cutAll = (): void => {
    for (const destroy of [...pairs]) destroy();
  };
  const up = (): Promise<void> =>
    new Promise((resolve, reject) => {
      server = createServer(serve);
      server.once('error', reject);
      server.listen(port, '127.0.0.1', () => {
        const address = server?.address();
        if (typeof address === 'object' && address !== null && address !== undefined) port = address.port;
        resolve();
      });
    });
  const down = async (): Promise<void> => {
    const current = server;
    server = null;
    if (current === null) return;
    const closed = new Promise((resolve) => current.close(resolve));
    cutAll();
    await closed;
  };
  await up();
  return {
    get port() {
      return port;
    },
    up,
    down,
    cutAll,
    silence: () => {
      for (const destroy of pairs) silent.add(destroy);
    },
    cutAfter: (text, when) =>
      new Promise((done) => {
        cuts.add({ texts: [text].flat().map((one) => Buffer.from(one)), when, done });
      }),
    leadTo: (port) => {
      targetPort = port;
      cutAll();
    },
    close: down,
  };
}
