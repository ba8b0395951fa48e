/** A place where statements run: the pool, or one transaction. */
export interface Sql {
  /**
   * Runs one statement, prepared on first use. bigint columns come as number (throws beyond 2^53), date as `YYYY-MM-DD`,
   * timestamptz as Date, bytea as Buffer, uuid as text with dashes.
   *
   * @throws OutageError for all that neither values nor a conflict with another transaction cause
   */
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

export interface TransactionOptions {
  readonly isolation?: 'read committed' | 'repeatable read';
  readonly readOnly?: boolean;
}

export interface Database extends Sql {
  /**
   * BEGIN, work, COMMIT; ROLLBACK when work rejects. Does not retry: the caller knows whether it may.
   * A connection lost during COMMIT rejects with OutageError and the outcome is unknown.
   */
  transaction<T>(work: (sql: Sql) => Promise<T>, options?: TransactionOptions): Promise<T>;
  close(): Promise<void>;
}

/** The life of the database, as long as this process runs; null while it is not known. Another life ends the process. */
export type KnownLife = () => string | null;

/** Where a life of the database has come to. */
export interface Beat {
  readonly life: string;
  readonly beats: number;
}

/** What outlives the database when it is set back: there the furthest that was seen of each life is noted. */
export interface LifeNotes {
  /** 0: nothing is noted of it. Rejects while it cannot be asked. */
  furthest(life: string): Promise<number>;
  note(beat: Beat): Promise<void>;
}
