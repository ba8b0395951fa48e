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
  /** How many answers had which status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Of those answered 202: paced from when the request was due, else from when it was sent. */
  readonly latenciesMs: readonly number[];
  /** Paced only: how often requests were due and no connection was free. */
  readonly late: number;
}

const TICK_MS = 2;
/** In the place of a status: the connection ended instead of an answer. */
const CLOSED = 'closed';

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
  private readonly statuses: Record<string, number> = {};
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
    const { statuses, latenciesMs, late } = this;
    const refused = this.answered - (statuses['202'] ?? 0);
    return { sent: this.answered, seconds, refused, statuses, latenciesMs, late };
  }

  private isOver = false;

  private tick(beganMs: number, endMs: number): void {
    const nowMs = performance.now();
    const { requests, perSecond } = this.options;
    this.isOver = nowMs >= endMs || this.next >= requests.length;
    const due = perSecond === undefined ? Infinity : ((nowMs - beganMs) / 1000) * perSecond;
    while (!this.isOver && this.next < due && this.idle.length > 0) {
      const dueMs = perSecond === undefined ? nowMs : beganMs + (this.next / perSecond) * 1000;
      // In turn: a connection that is not used for long is closed by the other side.
      this.sendOn(this.idle.shift(), dueMs);
    }
    if (this.next < due && perSecond !== undefined && !this.isOver) this.late += 1;
    if (this.isOver && this.answered === this.next) this.finished();
  }

  /** A request that waited for a connection has waited for us: its time counts from when it was due. */
  private sendOn(connection: Connection | undefined, dueMs: number): void {
    const request = this.options.requests[this.next];
    if (request === undefined || connection === undefined) {
      this.isOver = true;
      return;
    }
    if (connection.isClosed) return;
    this.next += 1;
    connection.send(request, dueMs);
  }

  private took(connection: Connection, status: string, ms: number): void {
    this.answered += 1;
    this.statuses[status] = (this.statuses[status] ?? 0) + 1;
    if (status === '202') this.latenciesMs.push(ms);
    if (status === CLOSED) this.isOver ||= this.all.every(({ isClosed }) => isClosed);
    else this.goOn(connection);
    if (this.isOver && this.answered === this.next) this.finished();
  }

  private goOn(connection: Connection): void {
    if (this.options.perSecond === undefined && !this.isOver) this.sendOn(connection, performance.now());
    else this.idle.push(connection);
  }
}

class Connection {
  isClosed = false;
  private missing = 0;
  private isWaiting = false;
  private dueMs = 0;
  private status = '';

  constructor(
    readonly socket: Socket,
    private readonly took: (connection: Connection, status: string, ms: number) => void,
  ) {
    socket.on('data', (chunk: Buffer) => this.hear(chunk));
    socket.on('error', () => undefined); // its end follows, and that is counted
    socket.on('close', () => {
      this.isClosed = true;
      if (this.isWaiting) this.answered(CLOSED);
    });
  }

  send(request: Buffer, dueMs: number): void {
    this.dueMs = dueMs;
    this.isWaiting = true;
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
    if (this.missing === 0) this.answered(this.status);
  }

  private answered(status: string): void {
    this.isWaiting = false;
    this.took(this, status, performance.now() - this.dueMs);
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
