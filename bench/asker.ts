import { Agent, request, type IncomingHttpHeaders } from 'node:http';

/** For a whole answer, unless the caller is more patient; of a stream, for its next bytes. */
const DEADLINE_MS = 5_000;
const SILENCE_MAX_MS = 30_000;

/** Asks one origin over connections that are kept. What stands still fails: a bench must come to its end. */
export class Asker {
  readonly #agent: Agent;
  readonly #url: string;

  constructor(url: string, connections: number) {
    this.#url = url;
    this.#agent = new Agent({ keepAlive: true, maxSockets: connections });
  }

  /** The whole answer. @throws Error when its status is not the wanted one, and when there is none within `deadlineMs` */
  ask(
    path: string,
    headers: Headers,
    { method = 'GET', body, status = 200, deadlineMs = DEADLINE_MS }: Ask = {},
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request(this.#url + path, { method, headers, agent: this.#agent }, (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => void chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          if (response.statusCode === status) resolve({ text, headers: response.headers });
          else
            reject(new Error(`${path} was answered ${String(response.statusCode)}: ${text.slice(0, 500)}`));
        });
      });
      const timer = setTimeout(() => {
        reject(new Error(`${path} was not answered within ${String(deadlineMs)} ms`));
        outgoing.destroy();
      }, deadlineMs);
      outgoing.on('close', () => clearTimeout(timer));
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  /**
   * Reads an answer to its end as `onChunk` hears it; a chunk is taken when what it returns is resolved. Resolves with the
   * milliseconds to the first byte of the body and the bytes in all; `false` from `onChunk` leaves the rest unread.
   */
  stream(
    path: string,
    headers: Headers,
    onChunk: (bytes: number) => Promise<boolean> | boolean,
  ): Promise<Streamed> {
    return new Promise((resolve, reject) => {
      const beganMs = performance.now();
      const outgoing = request(this.#url + path, { headers, agent: false }, (response) => {
        if (response.statusCode !== 200)
          reject(new Error(`${path} was answered ${String(response.statusCode)}`));
        const read = async (): Promise<void> => {
          let [bytes, firstByteMs] = [0, NaN];
          for await (const chunk of response as AsyncIterable<Buffer>) {
            if (bytes === 0) firstByteMs = performance.now() - beganMs;
            bytes += chunk.length;
            if (!(await onChunk(bytes))) break;
          }
          resolve({ firstByteMs, bytes, seconds: (performance.now() - beganMs) / 1000 });
        };
        read().catch(reject);
      });
      outgoing.setTimeout(SILENCE_MAX_MS, () => {
        reject(new Error(`${path} sent nothing for ${String(SILENCE_MAX_MS)} ms`));
        outgoing.destroy();
      });
      outgoing.on('error', reject);
      outgoing.end();
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

type Headers = Readonly<Record<string, string>>;

export interface Ask {
  readonly method?: string;
  readonly body?: string;
  readonly status?: number;
  readonly deadlineMs?: number;
}

export interface Answer {
  readonly text: string;
  readonly headers: IncomingHttpHeaders;
}

export interface Streamed {
  readonly firstByteMs: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** Runs `work` for 0, 1, 2 ... `count` - 1, so many at once; the milliseconds of each. */
export async function timed(
  count: number,
  atOnce: number,
  work: (n: number) => Promise<unknown>,
): Promise<number[]> {
  const tookMs: number[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) {
      const n = next++;
      const beganMs = performance.now();
      await work(n);
      tookMs.push(performance.now() - beganMs);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return tookMs;
}
