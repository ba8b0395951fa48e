import { FairtallyError } from '../../pkg/kernel/errors.js';
import type { components } from '../../pkg/contract/admin-api.gen.js';

/** A schema of api/admin.yaml by its name. */
export type Schema<Name extends keyof components['schemas']> = components['schemas'][Name];

/** The admin API as a program asks it: what the pages show is held against its answers. */
export interface AdminApi {
  get<T>(path: string): Promise<T>;
  /**
   * Every ranked row of every part of every board, by the name of that ranking.
   *
   * @param rankings those of an answer before, that the same cycles are looked at; unset: the current ones
   */
  boards(rankings?: Iterable<string>): Promise<ReadonlyMap<string, readonly Schema<'BoardEntry'>[]>>;
}

const ROWS = 100;

/** Signs in as a user of the game `demo`; `path` stands below that game. */
export async function openAdminApi(url: string, username: string, password: string): Promise<AdminApi> {
  const login = await fetch(`${url}/admin/v1/auth/login`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Fairtally-Request': '1' },
    body: JSON.stringify({ username, password }),
  });
  const { accessToken } = await answerOf<Schema<'SignedIn'>>(login);
  const get = async <T>(path: string): Promise<T> =>
    answerOf<T>(
      await fetch(`${url}/admin/v1/games/demo${path}`, {
        headers: { Authorization: `Bearer ${accessToken}` },
      }),
    );
  const rows = async (ranking: string): Promise<readonly Schema<'BoardEntry'>[]> => {
    const { items, nextCursor } = await get<Schema<'BoardPage'>>(`/boards/${ranking}&limit=${String(ROWS)}`);
    if (nextCursor !== null)
      throw new FairtallyError('too_many', `${ranking} has more than ${String(ROWS)} rows`);
    return items;
  };
  const current = async (): Promise<string[]> => {
    const all: string[] = [];
    for (const { board, windows, partition } of (await get<Schema<'BoardList'>>('/boards')).items)
      for (const { window, cycle } of windows) {
        const of = `window=${window}&cycle=${cycle}`;
        if (partition === null) all.push(`${board}?${of}`);
        else
          for (const part of (await get<Schema<'PartitionPage'>>(`/boards/${board}/partitions?${of}`)).items)
            all.push(`${board}?${of}&partition=${encodeURIComponent(part)}`);
      }
    return all;
  };
  return {
    get,
    async boards(rankings) {
      const all = new Map<string, readonly Schema<'BoardEntry'>[]>();
      for (const ranking of rankings ?? (await current())) all.set(ranking, await rows(ranking));
      return all;
    },
  };
}

async function answerOf<T>(answer: Response): Promise<T> {
  const text = await answer.text();
  if (!answer.ok) throw new FairtallyError('refused', `${answer.url}: ${String(answer.status)} ${text}`);
  return JSON.parse(text) as T;
}
