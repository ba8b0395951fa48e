import type { Clock } from '../../kernel/clock.js';
import type { Sql } from '../../postgres/port.js';

const GAMES_MAX = 10_000;
const MAX_AGE_MS = 15_000;

/**
 * The day of each game below which events are refused for good: inbox days there may be gone. A floor only rises, and
 * days below it are dropped much later than it is remembered here.
 */
export class DedupeFloors {
  private readonly known = new Map<string, { readonly floor: string; readonly readAtMs: number }>();

  constructor(
    private readonly sql: Sql,
    private readonly clock: Clock,
  ) {}

  /** `YYYY-MM-DD`; null when the game is unknown. */
  async of(gameId: string): Promise<string | null> {
    const nowMs = this.clock.monotonicMs();
    const remembered = this.known.get(gameId);
    if (remembered !== undefined && nowMs - remembered.readAtMs < MAX_AGE_MS) return remembered.floor;
    const [row] = await this.sql.query<{ dedupe_floor: string }>(
      'SELECT dedupe_floor FROM games WHERE game_id = $1',
      [gameId],
    );
    if (row === undefined) return null;
    if (this.known.size >= GAMES_MAX) this.known.clear();
    this.known.set(gameId, { floor: row.dedupe_floor, readAtMs: nowMs });
    return row.dedupe_floor;
  }
}
