import { connect, type Socket } from 'node:net';

export interface LoadOptions {
  readonly port: number;
  readonly requests: readonly Buffer[];
  readonly connections: number;
  /** No request begins after this. */
  readonly maxSeconds: number;
  /** Requests per second, sent whether or not earlier ones are answered; absent: as fast as they are answered. */
  readonly perSecond?: number;
}

export interface LoadResult {
  readonly sent: number;
  readonly seconds: number;
  /** Answers other than 202. */
  readonly refused: number;
  readonly latenciesMs: readonly number[];
  /** Paced only: how often requests were due and no connection was free. */
  readonly late: number;
}

const TICK_MS = 2;

/** Sends prepared requests over keep-alive connections, one at a time on each. Cheaper per request than any listener. */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const run = new Load(options);
  await run.open();
  return run.finish();
}

class Load {
  private readonly idle: Connection[] = [];
  private readonly all: Connection[] = [];
  private readonly latenciesMs: number[] = [];
  private next = 0;
  private answered = 0;
  private refused = 0;
  private late = 0;
  private finished: () => void = () => undefined;

  constructor(private readonly options: LoadOptions) {}

  async open(): Promise<void> {
    const opened = Array.from({ length: this.options.connections }, () => openSocket(this.options.port));
    for (const socket of await Promise.all(opened)) {
      this.all.push(new Connection(socket, (connection, status, ms) => this.took(connection, status, ms)));
    }
    this.idle.push(...this.all);
  }

  async finish(): Promise<LoadResult> {
    const beganMs = performance.now();
    const endMs = beganMs + this.options.maxSeconds * 1000;
    const done = new Promise<void>((resolve) => (this.finished = resolve));
    const timer = setInterval(() => this.tick(beganMs, endMs), TICK_MS);
    this.tick(beganMs, endMs);
    await done;
    clearInterval(timer);
    const seconds = (performance.now() - beganMs) / 1000;
    for (const connection of this.all) connection.socket.destroy();
    const { refused, latenciesMs, late } = this;
    return { sent: this.answered, seconds, refused, latenciesMs, late };
  }

  private isOver = false;

  private tick(beganMs: number, endMs: number): void {
    const nowMs = performance.now();
    const { requests, perSecond } = this.options;
    this.isOver = nowMs >= endMs || this.next >= requests.length;
    const due = perSecond === undefined ? Infinity : ((nowMs - beganMs) / 1000) * perSecond;
    while (!this.isOver && this.next < due && this.idle.length > 0) this.sendOn(this.idle.pop());
    if (this.next < due && perSecond !== undefined && !this.isOver) this.late += 1;
    if (this.isOver && this.answered === this.next) this.finished();
  }

  private sendOn(connection: Connection | undefined): void {
    const request = this.options.requests[this.next];
    if (request === undefined || connection === undefined) {
      this.isOver = true;
      return;
    }
    this.next += 1;
    connection.send(request);
  }

  private took(connection: Connection, status: string, ms: number): void {
    this.answered += 1;
    if (status !== '202') this.refused += 1;
    this.latenciesMs.push(ms);
    if (this.options.perSecond === undefined && !this.isOver) this.sendOn(connection);
    else this.idle.push(connection);
    if (this.isOver && this.answered === this.next) this.finished();
  }
}

class Connection {
  private missing = 0;
  private sentMs = 0;
  private status = '';

  constructor(
    readonly socket: Socket,
    private readonly took: (connection: Connection, status: string, ms: number) => void,
  ) {
    socket.on('data', (chunk: Buffer) => this.hear(chunk));
    socket.on('error', (error) => {
      throw error;
    });
  }

  send(request: Buffer): void {
    this.sentMs = performance.now();
    this.socket.write(request);
  }

  private hear(chunk: Buffer): void {
    if (this.missing === 0) {
      const end = chunk.indexOf('\r\n\r\n');
      const head = chunk.toString('latin1', 0, end);
      this.status = head.slice(9, 12);
      this.missing = end + 4 + Number(/content-length: (\d+)/i.exec(head)?.[1]);
    }
    this.missing -= chunk.length;
    if (this.missing === 0) this.took(this, this.status, performance.now() - this.sentMs);
  }
}

function openSocket(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(socket);
    });
  });
}
