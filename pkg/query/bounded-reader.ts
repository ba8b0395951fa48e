import pLimit from 'p-limit';
import { OutageError } from '../kernel/errors.js';
import type { BoardReader } from '../leaderboard/port.js';

const READS_AT_ONCE = 3;
const READS_WAITING_MAX = 100;

/**
 * Reading a board from the truth scans its cycle, so only a few do so at once: a crowd of readers without a view must not
 * take the connections that ingest needs. Beyond the queue a read is told to come back.
 */
export function boundedReader(reader: BoardReader): BoardReader {
  const limit = pLimit(READS_AT_ONCE);
  return {
    cycle: (key) => reader.cycle(key),
    read: (key, board, rows, question) => {
      if (limit.pendingCount >= READS_WAITING_MAX) {
        return Promise.reject(new OutageError('The boards', new Error('too many reads wait for PostgreSQL')));
      }
      return limit(() => reader.read(key, board, rows, question));
    },
  };
}
