/** Where a sealed secret is kept. It is authenticated with the secret, so that one copied into another row does not open. */
export interface SealedPlace {
  readonly table: string;
  readonly gameId: string;
  /** The key id within the table: key id, session master id, kid. */
  readonly keyId: string;
}

/** Secrets at rest, as the stores that keep them need it (the sealer of seal.ts is one). */
export interface Sealer {
  seal(plain: Buffer, place: SealedPlace): string;
  /** @throws FairtallyError `secret_unreadable`: not an envelope, an unknown master key, another place, or changed bytes */
  open(sealed: string, place: SealedPlace): Buffer;
  /** Whether `open` would not throw: it was sealed with one of the master keys at hand, for this place. */
  canOpen(sealed: string, place: SealedPlace): boolean;
}
