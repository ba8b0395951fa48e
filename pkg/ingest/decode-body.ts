import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';

const inflate = promisify(gunzip);

export type Decoded =
  | { readonly ok: true; readonly bytes: Buffer }
  | { readonly ok: false; readonly code: 'bad_encoding' | 'body_too_large' };

/** Undoes gzip, never to more than `maxDecodedBytes`: a bomb costs as much as a body of that size. */
export async function decodeBody(bytes: Buffer, maxDecodedBytes: number): Promise<Decoded> {
  if (bytes.length === 0) return { ok: true, bytes };
  try {
    return { ok: true, bytes: await inflate(bytes, { maxOutputLength: maxDecodedBytes }) };
  } catch (error) {
    const isTooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    return { ok: false, code: isTooLarge ? 'body_too_large' : 'bad_encoding' };
  }
}

export type MediaType = 'json' | 'ndjson';

const MEDIA_TYPE =
  /^(application\/(?:json|x-ndjson))[ \t]*(?:;[ \t]*charset[ \t]*=[ \t]*(?:utf-8|"utf-8")[ \t]*)?$/i;

/** The two types that are taken, in UTF-8 alone; null for any other, and for none. */
export function readMediaType(header: string | undefined): MediaType | null {
  if (header === 'application/json') return 'json';
  const match = header === undefined ? null : MEDIA_TYPE.exec(header.trim());
  if (match === null) return null;
  return match[1]?.toLowerCase() === 'application/json' ? 'json' : 'ndjson';
}
