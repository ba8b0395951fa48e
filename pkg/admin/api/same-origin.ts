import type { IncomingMessage } from 'node:http';
import { RequestProblem } from '../../http/request-problem.js';

/** The header that a page of another origin cannot send without asking first, and we answer no such question. */
export const REQUEST_HEADER = 'x-fairtally-request';

/**
 * Refuses a change that another page would have a browser make (CSRF): the header of ours must stand; a browser must say
 * that the request comes from our own page (Fetch Metadata: Sec-Fetch-Site); an old one, which does not, must name our origin;
 * and what names neither may not carry cookies, so that it is a program and no browser.
 *
 * @param origin our own, as people reach it; null: any whose host is the one that was asked
 * @throws RequestProblem `not_same_origin`
 */
export function refuseOtherOrigins(request: IncomingMessage, ourOrigin: string | null): void {
  const { headers } = request;
  const site = headers['sec-fetch-site'];
  const { origin } = headers;
  const isOurs =
    site !== undefined
      ? site === 'same-origin'
      : origin !== undefined
        ? isOurOrigin(origin, headers.host, ourOrigin)
        : headers.cookie === undefined;
  if (headers[REQUEST_HEADER] !== '1' || !isOurs) throw new RequestProblem('not_same_origin');
}

function isOurOrigin(origin: string, host: string | undefined, ourOrigin: string | null): boolean {
  if (ourOrigin !== null) return origin === ourOrigin;
  return URL.canParse(origin) && host !== undefined && new URL(origin).host === host.toLowerCase();
}
