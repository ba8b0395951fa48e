import type { SignedClient, SignedRequestView } from '../client/signed-client.js';
import type { paths } from '../contract/api.gen.js';
import type { Clock } from '../kernel/clock.js';
import type { Output } from './output.js';
import { wrongCommand } from './program.js';

export interface SendCommand {
  readonly type: string;
  /** `key=value` words: the payload. */
  readonly fields: readonly string[];
  readonly playerId: string;
  readonly id: string;
  readonly idempotencyKey: string;
}

export interface SendDeps {
  readonly client: Pick<SignedClient, 'prepare' | 'send'>;
  readonly clock: Clock;
  readonly out: Output;
}

type ConfigAnswer = paths['/v1/config']['get']['responses'][200]['content']['application/json'];
type RankAnswer =
  paths['/v1/players/{playerId}/rank']['get']['responses'][200]['content']['application/json'];

const VISIBLE_WAIT_MS = 10_000;
const POLL_MS = 20;

/**
 * `deltaXp=150` is a number, `hard=true` a boolean, `tags=["a"]` JSON, anything else text.
 *
 * @throws FairtallyError, as of a wrong command, for a word without a name, a name given twice, a number that would change on its way
 */
export function payloadOf(fields: readonly string[]): Record<string, unknown> {
  const payload = new Map<string, unknown>();
  for (const field of fields) {
    const at = field.indexOf('=');
    if (at < 1) throw wrongCommand(`"${field}" is not key=value`);
    const name = field.slice(0, at);
    if (payload.has(name)) throw wrongCommand(`"${name}" is given twice`);
    payload.set(name, valueOf(name, field.slice(at + 1)));
  }
  return Object.fromEntries(payload);
}

function valueOf(name: string, text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return text; // not JSON: plain text, as typed
  }
  const isExact =
    typeof value !== 'number' ||
    (Number.isInteger(value) ? Number.isSafeInteger(value) : Number.isFinite(value));
  if (!isExact) throw wrongCommand(`${name}: the number is beyond 2^53 and would change`);
  return value;
}

/** Sends one event, shows how it was signed, and waits until a board shows it. Returns the exit code. */
export async function send(command: SendCommand, deps: SendDeps): Promise<number> {
  const { client, clock, out } = deps;
  const payload = payloadOf(command.fields);
  // Asked first: a clock that is wrong is corrected by the answer, so what is printed is what is sent.
  const config = await configOf(client);
  const place = config === null ? null : boardPlaceOf(config, command, payload);
  const before = place === null ? null : await entryAt(client, place);

  const { id, type, playerId, idempotencyKey } = command;
  const body = JSON.stringify({ id, type, playerId, ts: clock.now() / 1000, payload });
  const options = { body, idempotencyKey };
  printSigned(out, client.prepare('POST', '/v1/events', options));

  const sentAt = clock.monotonicMs();
  const answer = await client.send('POST', '/v1/events', options);
  const tookMs = Math.round(clock.monotonicMs() - sentAt);
  out.line(`Answer after ${String(tookMs)} ms: ${String(answer.status)}\n  ${answer.text.trim()}`);
  if (answer.status === 401)
    out.line(
      'Another secret, or a key that has ended? `fairtally keys list` knows; --key and --secret name another.',
    );
  if (answer.status !== 202) return 1;
  const known = config?.eventTypes.map((eventType) => eventType.type) ?? [];
  if (config !== null && !known.includes(type)) {
    out.line(
      `The game does not know the type ${type}: the event is kept in the archive, unmapped, and counts nowhere. ` +
        `It knows ${known.join(', ')}.`,
    );
    return 0;
  }
  if (place === null) {
    out.line(`No board ranks ${type} with these fields.`);
    return 0;
  }
  return waitVisible({ place, before, sentAt, ...deps });
}

function printSigned(out: Output, view: SignedRequestView): void {
  out.line('Signed string (eight lines):');
  for (const text of view.canonical.split('\n')) out.line(`  ${text}`);
  out.line(`Signature:\n  ${view.headers['X-Signature'] ?? ''}`);
  out.line('The same with curl (valid for five minutes):');
  for (const text of curlOf(view).split('\n')) out.line(`  ${text}`);
}

/** The request as a command for a POSIX shell. */
export function curlOf({ url, headers, body }: SignedRequestView): string {
  const options = Object.entries(headers).map(([name, value]) => `  -H ${quoted(`${name}: ${value}`)}`);
  return [`curl -sS ${quoted(url)}`, ...options, `  --data-binary ${quoted(body)}`].join(' \\\n');
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** A board that the event should show on, and the request that reads the player's entry there. */
interface BoardPlace {
  readonly board: string;
  readonly target: string;
}

/** null when it is refused: what is wrong, a key say, the event's own answer tells. */
async function configOf(client: Pick<SignedClient, 'send'>): Promise<ConfigAnswer | null> {
  const answer = await client.send('GET', '/v1/config');
  return answer.status === 200 ? (JSON.parse(answer.text) as ConfigAnswer) : null;
}

function boardPlaceOf(
  { boards }: ConfigAnswer,
  { type, playerId }: SendCommand,
  payload: Readonly<Record<string, unknown>>,
): BoardPlace | null {
  const partitionOf = (field: string | null): unknown => (field === null ? '' : payload[field]);
  const found = boards.find(
    (board) => board.eventType === type && partitionOf(board.partitionField) !== undefined,
  );
  if (found === undefined) return null;
  const { board, windows, partitionField } = found;
  const window = windows.includes('all-time') ? 'all-time' : (windows[0] ?? '');
  const query = new URLSearchParams({ board, window });
  if (partitionField !== null) query.set('partition', String(partitionOf(partitionField)));
  return { board, target: `/v1/players/${encodeURIComponent(playerId)}/rank?${query.toString()}` };
}

type Entry = RankAnswer['entries'][number];

async function entryAt(client: Pick<SignedClient, 'send'>, place: BoardPlace): Promise<Entry | null> {
  const answer = await client.send('GET', place.target);
  if (answer.status !== 200) return null;
  return (JSON.parse(answer.text) as RankAnswer).entries[0] ?? null;
}

async function waitVisible(
  wait: SendDeps & { readonly place: BoardPlace; readonly before: Entry | null; readonly sentAt: number },
): Promise<number> {
  const { place, before, client, clock, out } = wait;
  const waitedMs = (): number => Math.round(clock.monotonicMs() - wait.sentAt);
  while (waitedMs() < VISIBLE_WAIT_MS) {
    const now = await entryAt(client, place);
    if (now !== null && (now.score !== before?.score || now.reachedAt !== before.reachedAt)) {
      const { rank, score } = now;
      out.line(
        `Visible on the board ${place.board} after ${String(waitedMs())} ms: rank ${String(rank)}, score ${String(score)}`,
      );
      return 0;
    }
    await clock.sleep(POLL_MS);
  }
  if (before !== null) {
    out.line(
      `The entry on the board ${place.board} did not change: what stood there (score ${String(before.score)}) is as ` +
        `good or better, or the workers are behind.`,
    );
    return 0;
  }
  const seconds = String(VISIBLE_WAIT_MS / 1000);
  out.line(
    `Not on the board ${place.board} after ${seconds} s: are the workers running? Or they are behind: see /readyz.`,
  );
  return 1;
}
