import type { Request, Response } from 'express';
import type { operations } from '../../contract/admin-api.gen.js';
import type { Sql } from '../../postgres/port.js';
import type { Change, GameRole, Person } from '../port.js';

/** Every operation of api/admin.yaml. */
export type OperationId = keyof operations;

type Part<T, Key extends string> = T extends { [K in Key]?: infer Value } ? NonNullable<Value> : never;
type ParametersOf<Id extends OperationId> = operations[Id]['parameters'];

export type PathOf<Id extends OperationId> = [Part<ParametersOf<Id>, 'path'>] extends [never]
  ? object
  : Part<ParametersOf<Id>, 'path'>;
export type QueryOf<Id extends OperationId> = [Part<ParametersOf<Id>, 'query'>] extends [never]
  ? object
  : Part<ParametersOf<Id>, 'query'>;
export type BodyOf<Id extends OperationId> = operations[Id] extends {
  requestBody: { content: { 'application/json': infer Body } };
}
  ? Body
  : null;

type Good = 200 | 201 | 202 | 204;
type Responses<Id extends OperationId> = operations[Id]['responses'];
/** Which good answers there are, each with its status. */
export type AnswerOf<Id extends OperationId> =
  | {
      [Status in Good & keyof Responses<Id>]: Responses<Id>[Status] extends {
        content: { 'application/json': infer Json };
      }
        ? { readonly status: Status; readonly body: Json; readonly headers?: AnswerHeaders }
        : { readonly status: Status; readonly body?: never; readonly headers?: AnswerHeaders };
    }[Good & keyof Responses<Id>]
  | Sent;

export type Headers = Readonly<Record<string, string>>;
/** A header may stand more than once: `Set-Cookie` does. */
export type AnswerHeaders = Readonly<Record<string, string | readonly string[]>>;

/** An answer that is no JSON: the handler writes it, and what it rejects with before the first byte is a problem. */
export interface Sent {
  readonly send: (response: Response) => Promise<void>;
}

/** What a request asks, checked against the document. */
export interface Call<Id extends OperationId> {
  readonly path: PathOf<Id>;
  /** Defaults of the document stand where nothing was sent. */
  readonly query: QueryOf<Id>;
  readonly body: BodyOf<Id>;
  readonly requestId: string;
  /** Of the client, as TRUST_PROXY lets it be known. */
  readonly address: string;
  /** For headers, and for the bytes of a body that is no JSON. */
  readonly request: Request;
}

/** Somebody's request. */
export interface SignedInCall<Id extends OperationId> extends Call<Id> {
  readonly person: Person;
}

/** Somebody's request about a game in which they have the role that the operation asks. */
export interface GameCall<Id extends OperationId> extends SignedInCall<Id> {
  readonly gameId: string;
  readonly role: GameRole;
  /** A read-only transaction that sees the rows of this game and of no other. */
  read<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** A transaction that changes something in this game, and says in the audit log what. */
  change<T>(work: (change: Change) => Promise<T>): Promise<T>;
}

export type Handler<Id extends OperationId, C> = (call: C) => Promise<AnswerOf<Id>>;

type PathsOfGames = { [Id in OperationId]: PathOf<Id> extends { gameId: string } ? Id : never }[OperationId];
/** Operations about a game. */
export type GameOperationId = PathsOfGames;

/**
 * Handlers by operation. Those about a game get a GameCall; of the others those with the role `signed-in` a SignedInCall and
 * those with `anyone` a Call. Rooms write a part (`satisfies Partial<GameRoutes>`), and `createAdminApp` refuses a whole that
 * lacks an operation of the document or has one that the document does not know.
 */
export type GameRoutes = { readonly [Id in GameOperationId]: Handler<Id, GameCall<Id>> };
export type SignedInRoutes = {
  readonly [Id in Exclude<OperationId, GameOperationId>]: Handler<Id, SignedInCall<Id>>;
};
export type AnyoneRoutes = { readonly [Id in Exclude<OperationId, GameOperationId>]: Handler<Id, Call<Id>> };

export interface AdminRoutes {
  readonly game: Partial<GameRoutes>;
  readonly signedIn: Partial<SignedInRoutes>;
  readonly anyone: Partial<AnyoneRoutes>;
}
