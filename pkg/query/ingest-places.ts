import { RequestProblem } from '../http/request-problem.js';
import type { Handler, Routes } from './serve.js';

const takenInFront: Handler = () => {
  throw new RequestProblem('not_found');
};

/** The paths of events. The listener in front takes every POST; what is left is to answer preflights and other methods. */
export const ingestPlaces: Routes = (serve) => {
  for (const path of ['/v1/events', '/events', '/v1/events/batch']) serve({ path, POST: takenInFront });
};
