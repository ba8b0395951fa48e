import type { RefusalSink } from '../refusals/port.js';
import type { Logger, Metrics } from '../runtime/port.js';

const nothing = (): void => undefined;

/** For tests that do not look at logs or metrics. */
export const quietLogger: Logger = { debug: nothing, info: nothing, warn: nothing, error: nothing };
export const quietMetrics: Metrics = {
  counter: () => ({ inc: nothing }),
  gauge: () => ({ set: nothing }),
  histogram: () => ({ observe: nothing }),
};

/** For tests that do not look at what is told of refusals. */
export const quietRefusals: RefusalSink = { tell: nothing };
