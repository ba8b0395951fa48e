import { setMaxListeners } from 'node:events';
import { isServiceBusError, ServiceBusClient, type ServiceBusError } from '@azure/service-bus';
import { OutageError } from '../kernel/errors.js';
import { SESSION_COUNT } from './servicebus-message.js';

/** How to reach a namespace: exactly one of the two is set. */
export interface ServicebusAddress {
  readonly connectionString: string | null;
  /** A host name such as `studio.servicebus.windows.net`; who we are comes from DefaultAzureCredential. */
  readonly namespace: string | null;
}

const CLOSE_TIMEOUT_MS = 2_000;
/** Who may wait on one connection before Node.js calls it a leak: a batch of each session, and some questions. */
const WAITERS_MAX = 2 * SESSION_COUNT;

/**
 * A client with one AMQP connection, made when it is first used. It retries nothing itself: a send of unknown outcome is told
 * to the caller, and what reads begins anew with another client.
 *
 * @param timeoutMs of a send, of a request, and how long the service holds the wish for a session open
 */
export async function openClient(address: ServicebusAddress, timeoutMs: number): Promise<ServiceBusClient> {
  const options = { retryOptions: { maxRetries: 0, timeoutInMs: timeoutMs } };
  if (address.connectionString !== null) return new ServiceBusClient(address.connectionString, options);
  if (address.namespace === null) throw new TypeError('neither a connection string nor a namespace is set');
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new ServiceBusClient(address.namespace, new DefaultAzureCredential(), options);
}

/** Bounded, because the SDK waits for answers of a peer that may be silent, and after a cut for one that never comes. */
export async function closeClient(client: Pick<ServiceBusClient, 'close'>): Promise<void> {
  // Closing frees what is ours alone: an error of it loses nothing, and the service frees its part when the connection ends.
  await within(CLOSE_TIMEOUT_MS, 'closing', client.close()).catch(() => undefined);
}

/**
 * The SDK has waits without an end (a send whose connection is cut, a link that is closed while its connection breaks).
 *
 * @param ended gives up earlier, with its reason
 * @throws OutageError when `work` has not ended in time; it goes on unseen
 */
export async function within<T>(
  timeoutMs: number,
  what: string,
  work: Promise<T>,
  ended?: AbortSignal,
): Promise<T> {
  let stop = (): void => undefined;
  const givenUp = new Promise<never>((_, reject) => {
    const late = (): void =>
      reject(new OutageError('Service Bus', new Error(`${what} got no answer in time`)));
    const timer = setTimeout(late, timeoutMs);
    const end = (): void => reject(new OutageError('Service Bus', ended?.reason));
    if (ended?.aborted === true) end();
    ended?.addEventListener('abort', end, { once: true });
    stop = () => {
      clearTimeout(timer);
      ended?.removeEventListener('abort', end);
    };
  });
  try {
    return await Promise.race([work, givenUp]);
  } finally {
    stop();
  }
}

export const asOutage = (error: unknown): OutageError =>
  error instanceof OutageError ? error : new OutageError('Service Bus', error);

type Code = ServiceBusError['code'];

export const hasCode = (error: unknown, ...codes: readonly Code[]): boolean =>
  isServiceBusError(error) && codes.includes(error.code);

/** What we look at inside the SDK, which has no public word for it. */
interface ConnectionInside {
  readonly _connectionContext?: {
    readonly connection?: { once?(event: 'disconnected', listener: () => void): void };
  };
}

/**
 * Calls back when the connection breaks: the SDK lets a send in flight wait for its answer until the timeout. Should a later
 * version keep its connection elsewhere, the timeout tells.
 */
function onDisconnected(client: ServiceBusClient, listener: () => void): void {
  (client as unknown as ConnectionInside)._connectionContext?.connection?.once?.('disconnected', listener);
}

export interface Held {
  readonly client: ServiceBusClient;
  /** Aborts when its connection breaks or it is discarded: who waits for an answer on it gets none. */
  readonly broken: AbortSignal;
}

interface Opened extends Held {
  readonly discard: AbortController;
}

/** The client that publishing, ping and lag share. Whoever finds it silent or broken discards it, and the next use makes another. */
export class SharedClient {
  private opening: Promise<Opened> | null = null;

  constructor(
    private readonly address: ServicebusAddress,
    private readonly timeoutMs: number,
  ) {}

  /** Runs `work` with the client; when it fails without an answer of the service, the client is not used again. */
  async use<T>(work: (held: Held) => Promise<T>): Promise<T> {
    const opening = (this.opening ??= this.open());
    try {
      return await work(await opening);
    } catch (error) {
      if (!isAnswer(error)) this.discard(opening);
      throw error;
    }
  }

  async close(): Promise<void> {
    const { opening } = this;
    this.opening = null;
    if (opening !== null) await opening.then(({ client }) => closeClient(client));
  }

  private open(): Promise<Opened> {
    const opening = openClient(this.address, this.timeoutMs).then((client) => {
      const discard = new AbortController();
      setMaxListeners(WAITERS_MAX, discard.signal);
      onDisconnected(client, () => this.discard(opening));
      return { client, discard, broken: discard.signal };
    });
    return opening;
  }

  private discard(opening: Promise<Opened>): void {
    if (this.opening === opening) this.opening = null;
    const end = ({ client, discard }: Opened): void => {
      if (discard.signal.aborted) return;
      discard.abort(new Error('the connection broke'));
      void closeClient(client);
    };
    void opening.then(end, () => undefined); // an error of opening was told to who waited for it
  }
}

/** The service refused: the connection that it did so on is as good as another. */
const isAnswer = (error: unknown): boolean =>
  hasCode(error, 'ServiceBusy', 'QuotaExceeded', 'MessageSizeExceeded', 'MessagingEntityDisabled');
