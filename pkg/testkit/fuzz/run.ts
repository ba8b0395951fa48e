import type { Gauge, Logger, Metrics } from '../../runtime/port.js';
import { systemClock } from '../../kernel/clock.js';
import { eventually } from '../eventually.js';
import { startIngestServer, type IngestServer } from '../ingest-server.js';
import { quietLogger, quietMetrics } from '../quiet.js';
import { Chance } from '../sim/chance.js';
import { bytesOf, rightDraft, secretOf, signDraft, type Signer } from './draft.js';
import { CONTENT_MUTATIONS, COSTLY_MUTATIONS } from './mutate-content.js';
import { FRAMINGS, SIGNED_MUTATIONS } from './mutate-wire.js';
import { isShed, isTooMuchShed, SHED_STATUSES } from './shed.js';
import { pay, type Visit } from './visit.js';
import { Witness } from './witness.js';

export interface FuzzOptions {
  readonly seed: number;
  /** Requests that met the server, at least: what stands behind the end of its connection is not counted. */
  readonly requests: number;
  /** Ends the run earlier. */
  readonly maxMs?: number;
  /** Look at this visit of the seed alone. */
  readonly only?: number;
  readonly onProgress?: (line: string) => void;
}

export interface FuzzResult {
  readonly requests: number;
  readonly visits: number;
  readonly ms: number;
  /** What clients were answered: a status, and the code of the problem where it has one. */
  readonly answers: ReadonlyMap<string, number>;
  /** Of them, how many were shed: the machine was slow. */
  readonly shed: number;
  /** Events on the bus. */
  readonly published: number;
  /** What must not be, each with the visit that shows it. None: all is well. */
  readonly faults: readonly string[];
}

const VISITS_AT_ONCE = 24;
const FAULTS_MAX = 20;
const TELL_EVERY = 20_000;
/** Every so many visits nothing is mutated: such requests are 202, or the others prove nothing. */
const CONTROL_EVERY = 50;

/**
 * Mutated requests against the real listener over real sockets. Looks for: an answer of 5xx that sheds nothing, an error in the log, an exception
 * that nobody caught, a connection that hangs, a request that never ends, an event taken without a right signature, a good
 * request that is not taken, and a prototype that was changed.
 */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const faults: string[] = [];
  const witness = new Witness();
  const inFlight = { value: 0, set: (value: number): void => void (inFlight.value = value) };
  const server = await startServer(witness, inFlight, faults);
  const escaped = (error: unknown): void => void faults.push(`nobody caught ${String(error)}`);
  process.on('unhandledRejection', escaped).on('uncaughtException', escaped);
  const answers = new Map<string, number>();
  const startedMs = systemClock.monotonicMs();
  let requests = 0;
  let visits = 0;
  try {
    const signers = signersOf(server, witness);
    const isOver = (): boolean =>
      requests >= options.requests ||
      faults.length >= FAULTS_MAX ||
      systemClock.monotonicMs() - startedMs > (options.maxMs ?? Infinity);
    const next = async (): Promise<void> => {
      while (!isOver()) {
        const number = (visits += 1) - 1;
        const visit = visitOf(options.seed, number, signers);
        const met = await look(server, visit, number, answers, faults);
        const before = Math.floor(requests / TELL_EVERY);
        requests += met;
        if (Math.floor(requests / TELL_EVERY) > before) options.onProgress?.(`${String(requests)} requests`);
        server.published.length = 0;
      }
    };
    if (options.only === undefined) await Promise.all(Array.from({ length: VISITS_AT_ONCE }, next));
    else await look(server, visitOf(options.seed, options.only, signers), options.only, answers, faults);
    await eventually('every request has ended', () => inFlight.value === 0).catch(() =>
      faults.push(`${String(inFlight.value)} requests never end`),
    );
    if ((await server.post({ body: '{' })).status !== 400) faults.push('the server answers no more');
    for (const [status, count] of witness.statuses)
      if (status >= 500 && !SHED_STATUSES.has(status))
        faults.push(`the server wrote ${String(status)}, ${String(count)} times`);
    if (isTooMuchShed(shedBy(witness), requests))
      faults.push(
        `${String(shedBy(witness))} of ${String(requests)} requests were shed: the machine is too slow for this`,
      );
    if (Object.keys(Object.prototype).length > 0) faults.push('a prototype was changed');
  } finally {
    process.off('unhandledRejection', escaped).off('uncaughtException', escaped);
    await server.close();
  }
  const ms = systemClock.monotonicMs() - startedMs;
  return {
    requests,
    visits,
    ms,
    answers,
    shed: shedBy(witness),
    published: witness.published,
    faults: [...faults, ...witness.faults],
  };
}

const shedBy = ({ statuses }: Witness): number =>
  [...SHED_STATUSES].reduce((sum, status) => sum + (statuses.get(status) ?? 0), 0);

function startServer(witness: Witness, inFlight: Gauge, faults: string[]): Promise<IngestServer> {
  const logger: Logger = {
    ...quietLogger,
    error: (fields, text) => {
      const { err } = fields as { err?: Error };
      faults.push(`logged "${text}": ${err?.stack ?? ''}`);
    },
  };
  const metrics: Metrics = {
    ...quietMetrics,
    gauge: (name, help) => (name === IN_FLIGHT ? inFlight : quietMetrics.gauge(name, help)),
  };
  // Budgets are spent at once here, and would hide what lies behind them.
  const limits = { addressRate: null, keyRate: null, playerRate: null, maxWork: Infinity };
  return startIngestServer({
    deps: { logger, metrics },
    limits,
    publish: (messages) => Promise.resolve(witness.publish(messages)),
  }).then((server) => {
    witness.watch(server.server);
    return server;
  });
}

function signersOf(server: IngestServer, witness: Witness): Signer[] {
  const keys = ['demo', 'demo-2', 'client', 'replayer', 'debug', 'other'];
  const sessions = ['p-1', 'spieler-ü', 'x'.repeat(128)].map((playerId) => {
    const { keyId, secret } = server.session(playerId);
    witness.addSession(keyId, secret, playerId);
    return { keyId, secret, playerId };
  });
  return [...keys.map((keyId) => ({ keyId, secret: secretOf(keyId) })), ...sessions];
}

/** The gauge of requests in hand. */
const IN_FLIGHT = 'fairtally_ingest_in_flight_requests';

const isControl = (number: number): boolean => number % CONTROL_EVERY === 0;

/** Its seed and number make a visit, to the byte. */
function visitOf(seed: number, number: number, signers: readonly Signer[]): Visit {
  const chance = new Chance(seed + number * 2 ** 32);
  const requests = chance.pick([1, 1, 2, 4, 8]);
  let isFramed = false;
  const bytes = Array.from({ length: requests }, (_, n) => {
    const signer = chance.pick(signers);
    const draft = rightDraft(chance, `f${String(number)}-${String(n)}`, signer);
    if (isControl(number)) {
      signDraft(draft, signer);
      return bytesOf(draft);
    }
    const kind = chance.unit();
    if (kind < 0.7)
      for (let k = chance.pick([1, 1, 2, 3]); k > 0; k -= 1) chance.pick(CONTENT_MUTATIONS)(draft, chance);
    if (chance.is(0.004)) chance.pick(COSTLY_MUTATIONS)(draft, chance);
    signDraft(draft, signer);
    if (kind > 0.6)
      for (let k = chance.pick([1, 1, 2]); k > 0; k -= 1) chance.pick(SIGNED_MUTATIONS)(draft, chance);
    if (!chance.is(0.12)) return bytesOf(draft);
    isFramed = true;
    return chance.pick(FRAMINGS)(draft, bytesOf(draft), chance);
  });
  const whole = Buffer.concat(bytes);
  const isBrokenOff = !isControl(number) && chance.is(0.03);
  return {
    pieces: cut(whole, chance),
    requests,
    answersMax: isFramed ? Infinity : requests,
    mayBeShort: !isControl(number),
    isBrokenOff,
  };
}

/** Mostly in one piece; else in a few, wherever they part. */
function cut(bytes: Buffer, chance: Chance): Buffer[] {
  if (chance.is(0.8)) return [bytes];
  const places = Array.from({ length: 1 + chance.below(4) }, () => chance.below(bytes.length + 1));
  const ends = [...places.sort((a, b) => a - b), bytes.length];
  return ends.map((end, n) => bytes.subarray(ends[n - 1] ?? 0, end)).filter((piece) => piece.length > 0);
}

/** @returns how many of its requests met the server */
async function look(
  server: IngestServer,
  visit: Visit,
  number: number,
  answers: Map<string, number>,
  faults: string[],
): Promise<number> {
  const { answers: got, hung } = await pay(server.port, visit);
  const said = (what: string): void =>
    void faults.push(
      `visit ${String(number)}: ${what}\n${Buffer.concat(visit.pieces).toString('latin1').slice(0, 2_000)}`,
    );
  if (hung) said('the connection hangs');
  for (const answer of got) {
    const { status, code } = answer;
    const name = code === null ? String(status) : `${String(status)} ${code}`;
    answers.set(name, (answers.get(name) ?? 0) + 1);
    if (status >= 500 && !isShed(answer)) said(`answered ${name}`);
    if (isControl(number) && status !== 202 && !isShed(answer)) said(`a good request was answered ${name}`);
  }
  if (got.length === 0) answers.set('no answer', (answers.get('no answer') ?? 0) + 1);
  // What is shed ends its connection, and with it what stands behind.
  if (isControl(number) && got.length !== visit.requests && !got.some(isShed))
    said('a good request was not answered');
  return Math.max(got.length, 1);
}
