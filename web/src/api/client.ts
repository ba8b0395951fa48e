import createClient, { defaultPathSerializer, type FetchResponse, type Middleware } from 'openapi-fetch';
import { ApiError } from './problem.ts';
import type { paths } from './schema.ts';
import { createSession } from './session.ts';

export { OWN_PAGE } from './session.ts';

export const session = createSession();

const bearer: Middleware = {
  onRequest({ request }) {
    const state = session.state();
    if (state.kind === 'someone')
      request.headers.set('Authorization', `Bearer ${state.signedIn.accessToken}`);
  },
};

/** A request that meets an access token out of time is sent once more with a new one. */
const fetchSignedIn = async (request: Request): Promise<Response> => {
  const again = request.clone();
  const answer = await fetch(request);
  if (answer.status !== 401 || session.state().kind !== 'someone') return answer;
  const renewed = await session.renew();
  if (renewed === null) return answer;
  again.headers.set('Authorization', `Bearer ${renewed.accessToken}`);
  return fetch(again);
};

/** The admin API, typed by api/admin.yaml. `baseUrl` is the page's own origin. */
export const api = createClient<paths>({
  baseUrl: window.location.origin,
  fetch: fetchSignedIn,
  // As api/admin.yaml has players of such names: no address keeps a part that is `.` or `..`.
  pathSerializer: (path, names) =>
    defaultPathSerializer(path, names).replaceAll(/(?<=\/)\.{1,2}(?=\/|$)/g, ',$&'),
});
api.use(bearer);

/**
 * The data of an answer.
 *
 * @throws ApiError for a refusal, and for no answer at all
 */
export async function dataOf<T extends Record<string | number, unknown>, O, M extends `${string}/${string}`>(
  answer: Promise<FetchResponse<T, O, M>>,
): Promise<NonNullable<FetchResponse<T, O, M>['data']>> {
  const { data, error, response } = await answer.catch(() => {
    throw new ApiError(0, {});
  });
  if (!response.ok) throw new ApiError(response.status, error ?? {});
  return data as NonNullable<typeof data>;
}
