import type { Span, Tracer } from '../runtime/port.js';
import type { Answer } from './answer.js';

/** The span of one request to `path`, under the client's own where it sent one. Tells nothing of who sent what. */
export const startRequestSpan = (tracer: Tracer, path: string, parent: string | null): Span =>
  tracer.start({
    name: `POST ${path}`,
    kind: 'server',
    parent,
    attributes: {
      'http.request.method': 'POST',
      'http.route': path,
      'url.path': path,
      'url.scheme': 'http',
    },
  });

/** A refusal is no failure of ours, and is not told as one; its code is told all the same. */
export function endRequestSpan(span: Span, { status, code }: Answer): void {
  const attributes = {
    'http.response.status_code': status,
    ...(code === null ? {} : { 'fairtally.problem': code }),
  };
  span.end(attributes, status >= 500 && code !== null ? code : undefined);
}
