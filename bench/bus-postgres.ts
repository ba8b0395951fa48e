import { createPostgresBus } from '../pkg/bus/postgres.js';
import type { BusMessage } from '../pkg/bus/port.js';
import { LANE_COUNT, laneOf } from '../pkg/kernel/lanes.js';
import { createDatabase } from '../pkg/postgres/database.js';
import type { Database } from '../pkg/postgres/port.js';
import { driverWay, policy, type Place, type Way } from './bus-way.js';

const POOL = 2;
const READ = 500;

const open = ({ address }: Place): Database => createDatabase({ url: address, poolSize: POOL });

export const driver: Way = {
  publisher: async (place, calls) => {
    const db = open(place);
    return closingBoth(await busOn(db).publisher(place, calls), db);
  },
  consume: async (place, role, onBatch) => {
    const db = open(place);
    return closingBoth(await busOn(db).consume(place, role, onBatch), db);
  },
};

const busOn = (db: Database): Way =>
  driverWay((place) => createPostgresBus({ ...policy, db, url: place.address }));

const closingBoth = <T extends { close(): Promise<void> }>(one: T, db: Database): T => ({
  ...one,
  close: () => one.close().then(() => db.close()),
});

const INSERT = `
  INSERT INTO bus_events (lane, position, game_id, player_id, message_id, headers, body)
  SELECT lane, position, game_id, player_id, message_id, headers::jsonb, body
    FROM unnest($1::smallint[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
      AS g (lane, position, game_id, player_id, message_id, headers, body)`;

/** As many of every lane: of events spread evenly the driver's batches are the same. */
const SELECT = `
  SELECT e.lane, e.position, e.game_id, e.player_id, e.message_id, e.headers, e.body
    FROM unnest($1::smallint[], $2::bigint[]) AS c (lane, position)
   CROSS JOIN LATERAL (
     SELECT * FROM bus_events e WHERE e.lane = c.lane AND e.position > c.position ORDER BY e.position LIMIT $3
   ) e`;

const MOVE = `
  INSERT INTO bus_cursors (role, lane, position) SELECT $1, * FROM unnest($2::smallint[], $3::bigint[])
      ON CONFLICT (role, lane) DO UPDATE SET position = excluded.position`;

/** One statement for the rows of a call, one that reads a batch and one that moves the cursors; places are given, nothing is locked. */
export const bare: Way = {
  publisher: async (place, calls) => {
    const db = open(place);
    const next = await heads(db);
    const rows = calls.map((call) => columns(call, next));
    return {
      send: async (call) => {
        await db.query(INSERT, rows[call] ?? []);
      },
      close: async () => {
        // The driver's readers look there for the end of a lane.
        await db.query(
          `UPDATE bus_lanes l SET next_position = coalesce((SELECT max(position) FROM bus_events e WHERE e.lane = l.lane), 0) + 1`,
        );
        await db.close();
      },
    };
  },
  consume: async (place, role, onBatch) => {
    const db = open(place);
    let isClosed = false;
    const read = async (): Promise<void> => {
      const cursors = new Map(Array.from({ length: LANE_COUNT }, (_, lane) => [lane, 0]));
      while (!isClosed) {
        const given = [[...cursors.keys()], [...cursors.values()], Math.ceil(READ / LANE_COUNT)];
        const rows = await db.query<{ lane: number; position: number }>(SELECT, given);
        if (rows.length === 0) return;
        onBatch(rows.length);
        for (const { lane, position } of rows) cursors.set(lane, position);
        await db.query(MOVE, [role, [...cursors.keys()], [...cursors.values()]]);
      }
    };
    const ended = read();
    return {
      close: async () => {
        isClosed = true;
        await ended;
        await db.close();
      },
    };
  },
};

async function heads(db: Database): Promise<Map<number, number>> {
  const rows = await db.query<{ lane: number; next: number }>(
    'SELECT lane, next_position AS next FROM bus_lanes',
  );
  return new Map(rows.map(({ lane, next }) => [lane, next]));
}

function columns(call: readonly BusMessage[], next: Map<number, number>): unknown[] {
  const lanes = call.map(({ gameId, playerId }) => laneOf(gameId, playerId));
  const positions = lanes.map((lane) => {
    const position = next.get(lane) ?? 1;
    next.set(lane, position + 1);
    return position;
  });
  return [
    lanes,
    positions,
    call.map(({ gameId }) => gameId),
    call.map(({ playerId }) => playerId),
    call.map(({ messageId }) => messageId),
    call.map(({ headers }) => JSON.stringify(headers)),
    call.map(({ body }) => body),
  ];
}
