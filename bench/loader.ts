import { serveQuestions } from './children.js';
import { load, type LoadResult } from './load.js';
import { percentile } from './figure.js';
import { batchText, eventText, signedRequest, type BenchKey } from './requests.js';

/** The process that sends. Requests are signed before the clock starts. */
export type LoaderQuestion =
  | {
      readonly kind: 'prepare';
      readonly requests: number;
      /** 1: single events. */
      readonly eventsPerRequest: number;
      readonly key: BenchKey;
    }
  | {
      readonly kind: 'send';
      readonly port: number;
      readonly connections: number;
      readonly maxSeconds: number;
      readonly perSecond?: number;
    };

export interface Prepared {
  readonly requests: number;
  readonly bodyBytes: number;
}

export interface Sent extends Omit<LoadResult, 'latenciesMs'> {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

let prepared: Buffer[] = [];

function prepare({ requests, eventsPerRequest, key }: LoaderQuestion & { kind: 'prepare' }): Prepared {
  const path = eventsPerRequest === 1 ? '/v1/events' : '/v1/events/batch';
  let bodyBytes = 0;
  prepared = Array.from({ length: requests }, () => {
    const body = eventsPerRequest === 1 ? eventText(Date.now()) : batchText(eventsPerRequest, Date.now());
    bodyBytes += body.length;
    return signedRequest(path, body, key);
  });
  return { requests, bodyBytes: bodyBytes / requests };
}

async function send(options: LoaderQuestion & { kind: 'send' }): Promise<Sent> {
  const requests = prepared;
  prepared = [];
  const { latenciesMs, ...rest } = await load({ ...options, requests });
  return { ...rest, p50Ms: percentile(latenciesMs, 0.5), p99Ms: percentile(latenciesMs, 0.99) };
}

serveQuestions((question: LoaderQuestion) =>
  question.kind === 'prepare' ? prepare(question) : send(question),
);
