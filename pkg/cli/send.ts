import type { SignedClient } from '../client/signed-client.js';
import { FairtallyError } from '../kernel/errors.js';
import type { Clock } from '../kernel/clock.js';
import type { Output } from './output.js';

export interface SendCommand {
  readonly type: string;
  /** `key=value` words: the payload. */
  readonly fields: readonly string[];
  readonly playerId: string;
  readonly id: string;
  readonly idempotencyKey: string;
}

export interface SendDeps {
  readonly client: SignedClient;
  readonly clock: Clock;
  readonly out: Output;
}

const VISIBLE_WAIT_MS = 10_000;
const POLL_MS = 20;

/** `deltaXp=150` is a number, `hard=true` a boolean, `tags=["a"]` JSON, anything else text. */
export function payloadOf(fields: readonly string[]): Record<string, unknown> {
  const entries = fields.map((field): [string, unknown] => {
    const at = field.indexOf('=');
    if (at < 1) throw new FairtallyError('bad_field', `"${field}" is not key=value`);
    return [field.slice(0, at), valueOf(field.slice(at + 1))];
  });
  return Object.fromEntries(entries);
}

function valueOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text; // not JSON: plain text, as typed
  }
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** Sends one event, shows how it was signed, and waits until a board shows it. Returns the exit code. */
export async function send(command: SendCommand, { client, clock, out }: SendDeps): Promise<number> {
  const ts = clock.now() / 1000;
  const payload = payloadOf(command.fields);
  const body = JSON.stringify({
    id: command.id,
    type: command.type,
    playerId: command.playerId,
    ts,
    payload,
  });
  const options = { body, idempotencyKey: command.idempotencyKey };
  const view = client.prepare('POST', '/v1/events', options);

  out.line('Signed string (eight lines):');
  for (const text of view.canonical.split('\n')) out.line(`  ${text}`);
  out.line(`Signature:\n  ${view.headers['X-Signature'] ?? ''}`);
  out.line('The same with curl (valid for five minutes):');
  const headers = Object.entries(view.headers).map(
    ([name, value]) => `  -H ${quoted(`${name}: ${value}`)} \\`,
  );
  for (const text of [`curl -sS ${quoted(view.url)} \\`, ...headers, `  --data-binary ${quoted(body)}`])
    out.line(`  ${text}`);

  const before = await entryOf(client, command, payload);
  const beganAt = clock.monotonicMs();
  const answer = await client.send('POST', '/v1/events', options);
  out.line(
    `Answer after ${String(Math.round(clock.monotonicMs() - beganAt))} ms: ${String(answer.status)}\n  ${answer.text.trim()}`,
  );
  if (answer.status !== 202) return 1;
  if (before === null) {
    out.line(`No public board ranks ${command.type}.`);
    return 0;
  }
  return waitVisible({ before, command, payload, beganAt, client, clock, out });
}

interface BoardEntry {
  readonly board: string;
  readonly rank: number | null;
  readonly score: number | null;
  readonly reachedAt: string | null;
}

interface ConfigAnswer {
  readonly boards: readonly {
    board: string;
    eventType: string;
    partitionField: string | null;
    windows: readonly string[];
  }[];
}

async function entryOf(
  client: SignedClient,
  command: SendCommand,
  payload: Record<string, unknown>,
): Promise<BoardEntry | null> {
  const config = await client.send('GET', '/v1/config');
  if (config.status !== 200) return null;
  const board = (JSON.parse(config.text) as ConfigAnswer).boards.find(
    (candidate) => candidate.eventType === command.type,
  );
  if (board === undefined) return null;
  const query = new URLSearchParams({
    board: board.board,
    window: board.windows.includes('all-time') ? 'all-time' : (board.windows[0] ?? ''),
  });
  if (board.partitionField !== null) query.set('partition', String(payload[board.partitionField]));
  const answer = await client.send(
    'GET',
    `/v1/players/${encodeURIComponent(command.playerId)}/rank?${query.toString()}`,
  );
  const nothing = { board: board.board, rank: null, score: null, reachedAt: null };
  if (answer.status !== 200) return nothing;
  const entry = (JSON.parse(answer.text) as { entries: { rank: number; score: number; reachedAt: string }[] })
    .entries[0];
  return entry === undefined
    ? nothing
    : { board: board.board, rank: entry.rank, score: entry.score, reachedAt: entry.reachedAt };
}

async function waitVisible(wait: {
  before: BoardEntry;
  command: SendCommand;
  payload: Record<string, unknown>;
  beganAt: number;
  client: SignedClient;
  clock: Clock;
  out: Output;
}): Promise<number> {
  const { before, clock, out } = wait;
  while (clock.monotonicMs() - wait.beganAt < VISIBLE_WAIT_MS) {
    const now = await entryOf(wait.client, wait.command, wait.payload);
    if (now !== null && (now.score !== before.score || now.reachedAt !== before.reachedAt)) {
      out.line(
        `Visible on the board ${now.board} after ${String(Math.round(clock.monotonicMs() - wait.beganAt))} ms: rank ${String(now.rank)}, score ${String(now.score)}`,
      );
      return 0;
    }
    await clock.sleep(POLL_MS);
  }
  out.line(
    before.score === null
      ? `Not on the board ${before.board} after ${String(VISIBLE_WAIT_MS / 1000)} s: are the workers running? See /readyz.`
      : `The entry on the board ${before.board} did not change: what stood there (score ${String(before.score)}) is better, or the workers are behind.`,
  );
  return before.score === null ? 1 : 0;
}
