import type { AdmittedEvent, EventContext, JsonObject } from '../../contract/event.js';

/** A row of the archive. `identity` with dashes or without, `contentHash` in hex, `dedupeDay` as `YYYY-MM-DD`. */
export interface ArchivedRow {
  readonly gameId: string;
  readonly playerId: string;
  readonly id: string;
  readonly type: string;
  readonly tsMs: number;
  readonly payload: JsonObject;
  readonly identity: string;
  readonly dedupeDay: string;
  readonly contentHash: string;
  readonly receivedAtMs: number;
  readonly src: 'server' | 'client';
  readonly keyId: string;
  readonly definitionVersion: number;
  readonly schemaVersion: number | null;
  readonly context: (EventContext & { readonly mapped?: false }) | null;
}

/** The event as it was admitted: what foldArchive took apart is put together again. */
export function admittedEventOf(row: ArchivedRow): AdmittedEvent {
  const { mapped, ...context } = row.context ?? {};
  return {
    v: 1,
    gameId: row.gameId,
    playerId: row.playerId,
    id: row.id,
    type: row.type,
    tsMs: row.tsMs,
    payload: row.payload,
    identity: row.identity.replaceAll('-', ''),
    dedupeDay: row.dedupeDay,
    contentHash: row.contentHash,
    receivedAtMs: row.receivedAtMs,
    src: row.src,
    keyId: row.keyId,
    definitionVersion: row.definitionVersion,
    mapped: mapped !== false,
    ...(row.schemaVersion === null ? null : { schemaVersion: row.schemaVersion }),
    ...(Object.keys(context).length === 0 ? null : { context }),
  };
}
