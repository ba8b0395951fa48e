/** URL of the redis-server that the integration tests' global setup started; databases 0..15 are shared, so prefix your keys by game. */
export function testRedisUrl(): string {
  const url = process.env['TEST_REDIS_URL'];
  if (url === undefined)
    throw new Error('no test Redis: a test that uses one is named *.redis.test.ts or *.e2e.test.ts');
  return url;
}
