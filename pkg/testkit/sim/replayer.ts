import { readLine, type RecordedLine } from '../../replay/recording.js';
import { EMPTY_TALLY } from '../../replay/checkpoint.js';
import { replay, type ReplayOptions, type ReplayProgress } from '../../replay/replay.js';
import { OutageError } from '../../kernel/errors.js';
import { sign } from '../../signing/sign.js';
import { GAMES, secretOf } from './game.js';
import type { History, Intent } from './history.js';
import { SimNode } from './node.js';
import { intentOf, tell, type Send } from './players.js';
import type { World } from './world.js';

const LINES_MAX = 60;
/** Small, so that a run has several rounds, each with its mark. */
const RATE = 8;
const READ_AT_ONCE = 4;
const TARGET = '/v1/events/batch';

/** The replay tool, killed and started again: its recording and its checkpoint stand on its disk. */
export class Replayer {
  readonly node: SimNode;
  isDone = false;
  /** What was recorded; null: a line that nobody can read. */
  readonly recorded: readonly (Intent | null)[];
  /** The checkpoint. */
  kept: ReplayProgress = { line: 0, tally: EMPTY_TALLY };

  constructor(
    private readonly world: World,
    private readonly history: History,
    private readonly send: Send,
    private readonly double: (options: ReplayOptions, save: (line: number) => void) => ReplayOptions = (
      options,
    ) => options,
  ) {
    this.node = new SimNode(world, 'replay');
    const { chance } = world;
    const lines = world.swarm.hasReplay ? 10 + chance.below(LINES_MAX) : 0;
    this.recorded = Array.from({ length: lines }, (_, n) =>
      chance.is(0.03) ? null : intentOf(world, GAMES[0], `recorded-${String(n)}`),
    );
    this.isDone = lines === 0;
  }

  /** Runs until everything is answered for good. */
  async run(): Promise<void> {
    if (this.isDone) return;
    this.node.start();
    const { clock, random } = this.node;
    await clock.sleep(this.world.chance.between(0, 10_000));
    for (;;) {
      const options: ReplayOptions = {
        recording: this.lines(),
        client: { send: (_method, _target, { body = '' } = {}) => this.post(body) },
        ...{ clock, random, concurrency: 2, rate: RATE },
        ...{ fromLine: this.kept.line, tally: this.kept.tally },
        onProgress: (progress) => {
          this.kept = progress;
        },
      };
      const save = (line: number): void => {
        this.kept = { ...this.kept, line };
      };
      const ended = await replay(this.double(options, save)).then(
        () => true,
        (error: unknown) => {
          if (error instanceof OutageError) return false;
          throw error;
        },
      );
      if (!ended) continue;
      this.isDone = true;
      return;
    }
  }

  private async *lines(): AsyncGenerator<RecordedLine> {
    for (const [n, intent] of this.recorded.entries()) {
      if (n % READ_AT_ONCE === 0) await this.wait('replay read');
      const text = intent === null ? '{"playerId":' : JSON.stringify(wireOf(intent));
      const line = readLine(Buffer.from(text), n + 1, 0);
      if (line !== null) yield line;
    }
  }

  private wait(point: string): Promise<undefined> {
    return this.node.ask<undefined>(point, ({ resolve }) => {
      this.world.after(this.world.swarm.latencyMs, `${this.node.name} ${point}`, () => resolve(undefined));
    });
  }

  /** @throws OutageError when no answer came, as the signed client does */
  private async post(
    body: string,
  ): Promise<{ status: number; headers: Record<string, string>; text: string }> {
    const intents = body.split('\n').map((line) => this.intentNamed((JSON.parse(line) as { id: string }).id));
    for (const intent of intents) this.history.fateOf(intent).sent += 1;
    const keyId = `${GAMES[0]}-1`;
    const timestamp = String(Math.floor(this.node.clock.now() / 1000));
    const { signature } = sign({
      ...{ method: 'POST', target: TARGET, keyId, timestamp, body, secret: secretOf(keyId) },
    });
    const headers = {
      ...{ 'Content-Type': 'application/x-ndjson', 'X-Key-Id': keyId },
      ...{ 'X-Timestamp': timestamp, 'X-Signature': signature },
    };
    const answer = await this.node.ask<Awaited<ReturnType<Send>>>('replay submit', ({ resolve }) => {
      void this.send({ target: TARGET, headers, body }).then(resolve);
    });
    if (answer === null) throw new OutageError('the gateway');
    if (answer.status === 202) {
      const { results } = JSON.parse(answer.body) as { results: { status: string; retryable?: boolean }[] };
      intents.forEach((intent, i) => tell(this.history.fateOf(intent), results[i]));
    }
    await this.wait('replay checkpoint'); // answered, and not yet written down
    return { status: answer.status, headers: {}, text: answer.body };
  }

  private intentNamed(id: string): Intent {
    const intent = this.recorded[Number(id.slice('recorded-'.length))];
    if (intent === undefined || intent === null) throw new Error(`nobody recorded ${id}`);
    return intent;
  }
}

const wireOf = ({ playerId, id, type, tsMs, payload }: Intent): object => ({
  id,
  type,
  playerId,
  ts: tsMs,
  payload,
});
