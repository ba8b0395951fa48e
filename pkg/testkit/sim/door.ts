import { EventEmitter } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IngestListener } from '../../ingest/listener.js';

export interface SimRequest {
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface SimAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

/** What the listener reads of an IncomingMessage. */
class Incoming extends EventEmitter {
  readonly method = 'POST';
  readonly socket = { remoteAddress: '10.0.0.1' };
  readonly headers: Readonly<Record<string, string>>;
  complete = false;

  constructor(
    readonly url: string,
    headers: Readonly<Record<string, string>>,
  ) {
    super();
    this.headers = Object.fromEntries(
      Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
    );
  }

  get headersDistinct(): Record<string, string[]> {
    return Object.fromEntries(Object.entries(this.headers).map(([name, value]) => [name, [value]]));
  }

  resume(): void {
    // the whole body is sent at once
  }
}

/** What the listener writes to a ServerResponse. */
class Outgoing {
  destroyed = false;
  private status = 0;
  private headers: Readonly<Record<string, unknown>> = {};

  constructor(private readonly onAnswer: (answer: SimAnswer) => void) {}

  writeHead(status: number, headers: Readonly<Record<string, unknown>>): void {
    this.status = status;
    this.headers = headers;
  }

  write(body: string): void {
    this.end(body);
  }

  end(body = ''): void {
    this.onAnswer({ status: this.status, headers: this.headers, body });
  }

  destroy(): void {
    this.destroyed = true;
  }
}

/** Hands a request to the production listener, as node:http would. */
export function knock(
  listener: IngestListener,
  request: SimRequest,
  onAnswer: (answer: SimAnswer) => void,
): void {
  const length = String(Buffer.byteLength(request.body));
  const incoming = new Incoming(request.target, { ...request.headers, 'Content-Length': length });
  const taken = listener(
    incoming as unknown as IncomingMessage,
    new Outgoing(onAnswer) as unknown as ServerResponse,
  );
  if (!taken) throw new Error(`the listener does not take ${request.target}`);
  // The listener reads the body a few promises later; data before that would be lost, as no stream buffers it here.
  setImmediate(() => {
    incoming.emit('data', Buffer.from(request.body));
    incoming.complete = true;
    incoming.emit('end');
  });
}
