import type { BenchKey } from './requests.js';

/** Known to the bench's own servers alone. */
export const BENCH_KEY: BenchKey = { keyId: 'bench', secret: 'bench-secret-0123456789abcdef0123456789' };
