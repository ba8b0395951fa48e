import { expect } from '@jest/globals';
import { expectAnswer, operation } from '../testkit/api-document.js';
import { SERVER, type Answered, type Ask, type Asked } from '../testkit/read-app.js';

/** A request that each operation answers well, and how. */
export interface Call {
  readonly target: string;
  readonly status: number;
  /** Who may; nobody needs to sign when it is absent. */
  readonly needs?: 'read' | 'sessions';
  readonly body?: string;
}

export const CALLS: Readonly<Record<string, Call>> = {
  mintSession: { target: '/v1/sessions', status: 201, needs: 'sessions', body: '{"playerId":"p-1"}' },
  revokeSessions: { target: '/v1/sessions?playerId=gone', status: 204, needs: 'sessions' },
  revokeSession: { target: '/v1/sessions/AAECAwQFBgcICQoLDA0ODw', status: 204, needs: 'sessions' },
  getConfig: { target: '/v1/config', status: 200 },
  getLeaderboard: { target: '/v1/leaderboards/xp', status: 200 },
  getLeaderboardShort: { target: '/leaderboard?board=xp', status: 200 },
  getProgress: { target: '/v1/players/p-1/progress', status: 200, needs: 'read' },
  getRank: { target: '/v1/players/p-1/rank?board=best-gain', status: 200, needs: 'read' },
  listReceipts: { target: '/v1/players/p-1/receipts', status: 200, needs: 'read' },
  getReceipt: { target: '', status: 200, needs: 'read' },
  verifyReceipt: { target: '/v1/receipts/verify', status: 200, body: '{"jws":"a.b.c"}' },
  listRevokedReceipts: { target: '/v1/receipts/revoked', status: 200 },
  getJwks: { target: '/.well-known/jwks.json', status: 200 },
  getHealth: { target: '/healthz', status: 200 },
  getReadiness: { target: '/readyz', status: 200 },
  getApiDocument: { target: '/openapi.yaml', status: 200 },
  getDocs: { target: '/docs', status: 200 },
};
export const INGEST = ['postEvent', 'postEventShort', 'postEvents'];
export const FREE = ['getHealth', 'getReadiness'];
export const NAMES = Object.keys(CALLS);
export const SIGNED = NAMES.filter((name) => CALLS[name]?.needs !== undefined);
/** Routes that look at their query. */
export const STRICT = NAMES.filter(
  (name) => !['getHealth', 'getReadiness', 'getApiDocument', 'getDocs'].includes(name),
);

/** What jest types as a matcher, where a text is expected. */
export const textLike = (pattern: RegExp): string => expect.stringMatching(pattern) as unknown as string;

export const withParameter = (target: string, parameter: string): string =>
  `${target}${target.includes('?') ? '&' : '?'}${parameter}`;

/** The targets whose ids are known only when the seed is there. */
export async function targetsOf(ask: Ask): Promise<Readonly<Record<string, string>>> {
  const { body } = await ask('GET', '/v1/players/p-1/receipts', { as: SERVER });
  const [receipt] = body['items'] as { readonly receiptId: string }[];
  return { getReceipt: `/v1/receipts/${receipt?.receiptId ?? ''}` };
}

export interface Caller {
  callOf(name: string): Call;
  /** Makes the call of an operation, a little changed, and holds the answer to the document. */
  call(name: string, asked?: Asked, target?: string, ask?: Ask): Promise<Answered>;
  /** Every `<operation> <status>` that was answered. */
  readonly seen: Set<string>;
}

export function createCaller(usualAsk: () => Ask, targets: () => Readonly<Record<string, string>>): Caller {
  const seen = new Set<string>();
  const callOf = (name: string): Call => {
    const known = CALLS[name];
    if (known === undefined) throw new Error(`no call of ${name}`);
    return { ...known, target: targets()[name] ?? known.target };
  };
  return {
    seen,
    callOf,
    call: async (name, asked = {}, target, ask = usualAsk()) => {
      const { target: usual, body, needs } = callOf(name);
      const as = needs === undefined || 'as' in asked ? asked.as : SERVER;
      const answer = await ask(operation(name).method, target ?? usual, { body, ...asked, as });
      const isJson = answer.headers['content-type']?.includes('json') === true;
      expectAnswer(name, answer.status, isJson ? answer.body : answer.text);
      seen.add(`${name} ${String(answer.status)}`);
      if (answer.status >= 400 && name !== 'getReadiness') expectProblem(answer);
      if (answer.status === 429 || answer.status === 503)
        expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
      return answer;
    },
  };
}

function expectProblem({ status, headers, body }: Answered): void {
  expect(headers).toMatchObject({
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  expect(body).toMatchObject({ status, requestId: headers['x-request-id'] });
}
