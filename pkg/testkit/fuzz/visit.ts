import { connect } from 'node:net';

/** One connection, and what is written to it. */
export interface Visit {
  /** Written one after the other, each when the one before has left. */
  readonly pieces: readonly Buffer[];
  /** Requests on it, if they were understood as they were meant. */
  readonly requests: number;
  /** After so many answers it is over; Infinity: where its requests end is in doubt. */
  readonly answersMax: number;
  /** Whether it may be over earlier: when nothing comes any more. */
  readonly mayBeShort: boolean;
  /** The connection is broken off when all is written, before any answer. */
  readonly isBrokenOff: boolean;
}

export interface VisitAnswer {
  readonly status: number;
  /** Of a problem. */
  readonly code: string | null;
  /** Whether it says when to come again. */
  readonly isToRetry: boolean;
}

/** A visit that may be short is over when nothing has come for so long; what comes later the server's own count knows of. */
const QUIET_MS = 25;
/** Whatever is sent, a connection that we have ended is answered or closed long before. */
const HANG_MS = 30_000;

const STATUS = /HTTP\/1\.1 (\d{3}) /g;
const CODE = /"code":"(\w+)"/;
const RETRY_AFTER = /\r\nRetry-After: \d+\r\n/i;

export function readAnswers(text: string): VisitAnswer[] {
  const starts = [...text.matchAll(STATUS)];
  return starts
    .map(({ index, 1: digits }, n) => {
      const status = Number(digits);
      const part = text.slice(index, starts[n + 1]?.index ?? text.length);
      return {
        status,
        code: status < 400 ? null : (CODE.exec(part)?.[1] ?? null),
        isToRetry: RETRY_AFTER.test(part),
      };
    })
    .filter(({ status }) => status >= 200);
}

/** @returns the answers, and whether the server let the connection hang after we had ended it */
export function pay(port: number, visit: Visit): Promise<{ answers: VisitAnswer[]; hung: boolean }> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let text = '';
    let quiet: NodeJS.Timeout | null = null;
    let hung = false;
    const deadline = setTimeout(() => {
      hung = true;
      socket.destroy();
    }, HANG_MS);
    const endWhenQuiet = (): void => {
      if (quiet !== null) clearTimeout(quiet);
      if (visit.mayBeShort) quiet = setTimeout(() => socket.end(), QUIET_MS);
    };
    const writeFrom = (place: number): void => {
      const piece = visit.pieces[place];
      if (piece === undefined) {
        if (visit.isBrokenOff) socket.resetAndDestroy();
        else endWhenQuiet();
        return;
      }
      socket.write(piece, () => setImmediate(() => writeFrom(place + 1)));
    };
    socket.on('connect', () => writeFrom(0));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (readAnswers(text).length >= visit.answersMax) socket.resetAndDestroy();
      else endWhenQuiet();
    });
    socket.on('error', () => undefined); // the server may well break it off; `close` follows
    socket.on('close', () => {
      clearTimeout(deadline);
      if (quiet !== null) clearTimeout(quiet);
      resolve({ answers: readAnswers(text), hung });
    });
  });
}
