import { RequestProblem } from '../../http/request-problem.js';

const TIMEOUT_MS = 5_000;
const ANSWER_MAX_BYTES = 256 * 1024;
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Whether tokens and keys may come from there: by TLS, or from this machine. */
export function isFitForIssuer(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname, username, password, hash, search } = new URL(url);
  if (username !== '' || password !== '' || hash !== '' || search !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname));
}

/**
 * Asks the issuer that the configuration names, and no other: no redirect is followed, no plain connection leaves this
 * machine, and an answer has an end in time and size.
 *
 * @param form sent by POST; absent: GET
 * @throws RequestProblem `issuer_unavailable`; `sign_in_failed` when it refuses a form
 */
export async function fetchIssuer(url: string, form?: URLSearchParams): Promise<Response> {
  if (!isFitForIssuer(url)) throw new RequestProblem('issuer_unavailable');
  const response = await fetch(url, {
    redirect: 'manual',
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: { accept: 'application/json' },
    ...(form === undefined ? {} : { method: 'POST', body: form }),
  }).catch(unavailable);
  if (form !== undefined && response.status >= 400 && response.status < 500)
    throw new RequestProblem('sign_in_failed');
  if (response.status !== 200) throw new RequestProblem('issuer_unavailable');
  const text = await readText(response).catch(unavailable);
  if (!isJson(text)) throw new RequestProblem('issuer_unavailable');
  return new Response(text, { status: 200 });
}

const unavailable = (): never => {
  throw new RequestProblem('issuer_unavailable');
};

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > ANSWER_MAX_BYTES) throw new RequestProblem('issuer_unavailable');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function isJson(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
}
