import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ServicebusOperatorOptions } from '../../bus/servicebus-operator.js';

type Policy = NonNullable<ServicebusOperatorOptions['policy']>;

const SETTING = /<([A-Z][A-Za-z]+)>([^<]*)<\/\1>/g;
const DESCRIPTION = /<(Topic|Subscription)Description[^>]*>([\s\S]*)<\/\1Description>/;

/** What the service fills in when it was not asked. */
const DEFAULTS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Topic: {
    MaxSizeInMegabytes: '1024',
    RequiresDuplicateDetection: 'false',
    DuplicateDetectionHistoryTimeWindow: 'PT10M',
    EnableBatchedOperations: 'true',
    SupportOrdering: 'false',
    EnablePartitioning: 'false',
    EnableExpress: 'false',
    Status: 'Active',
    DefaultMessageTimeToLive: 'P10675199DT2H48M5.4775807S',
  },
  Subscription: {
    LockDuration: 'PT1M',
    RequiresSession: 'false',
    DefaultMessageTimeToLive: 'P10675199DT2H48M5.4775807S',
    DeadLetteringOnMessageExpiration: 'false',
    DeadLetteringOnFilterEvaluationExceptions: 'true',
    MaxDeliveryCount: '10',
    EnableBatchedOperations: 'true',
    Status: 'Active',
    AutoDeleteOnIdle: 'P10675199DT2H48M5.4775807S',
    EntityAvailabilityStatus: 'Available',
  },
};

interface Entry {
  readonly kind: 'Topic' | 'Subscription';
  readonly settings: Readonly<Record<string, string>>;
}

/** A double of Service Bus' management API (ATOM over HTTP): topics and subscriptions are kept as they were put. */
export class ManagementDouble {
  readonly entries = new Map<string, Entry>();
  /** What the caller may do. */
  allows: 'all' | 'looking' | 'nothing' = 'all';
  private readonly server: Server;

  private constructor() {
    this.server = createServer((request, response) => void this.answer(request, response));
  }

  static async start(): Promise<ManagementDouble> {
    const double = new ManagementDouble();
    await new Promise<void>((resolve) => double.server.listen(0, '127.0.0.1', resolve));
    return double;
  }

  /** Sends the requests of an administration client here, over plain HTTP. */
  get policy(): Policy {
    const { port } = this.server.address() as AddressInfo;
    return {
      name: 'to the double',
      sendRequest: (request, next) => {
        const { pathname, search } = new URL(request.url);
        request.url = `http://127.0.0.1:${String(port)}${pathname}${search}`;
        request.allowInsecureConnection = true;
        return next(request);
      },
    };
  }

  set(path: string, settings: Readonly<Record<string, string>>): void {
    const entry = this.entries.get(path);
    if (entry === undefined) throw new Error(`there is no ${path}`);
    this.entries.set(path, { ...entry, settings: { ...entry.settings, ...settings } });
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.server.close(resolve));
    this.server.closeAllConnections();
    await closed;
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '/', 'http://double').pathname.slice(1);
    const isLooking = request.method === 'GET';
    if (this.allows === 'nothing' || (this.allows === 'looking' && !isLooking))
      return void response.writeHead(401).end('<Error><Code>401</Code><Detail>no right</Detail></Error>');
    if (!isLooking) this.put(path, await bodyOf(request));
    const entry = this.entries.get(path);
    response.writeHead(200, { 'content-type': 'application/atom+xml' });
    // The service answers a look at what is not there with a feed of nothing.
    response.end(entry === undefined ? '<feed><title>nothing</title></feed>' : atom(path, entry));
  }

  private put(path: string, body: string): void {
    const [, kind = '', inner = ''] = DESCRIPTION.exec(body) ?? [];
    if (kind !== 'Topic' && kind !== 'Subscription') throw new Error(`not a description: ${body}`);
    const given = Object.fromEntries(
      [...inner.matchAll(SETTING)].map(([, name = '', value = '']) => [name, value]),
    );
    this.entries.set(path, { kind, settings: { ...DEFAULTS[kind], ...given } });
  }
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

function atom(path: string, { kind, settings }: Entry): string {
  const inner = Object.entries(settings).map(([name, value]) => `<${name}>${value}</${name}>`);
  return `<entry><id>https://double/${path}</id><content type="application/xml"><${kind}Description>${inner.join('')}</${kind}Description></content></entry>`;
}
