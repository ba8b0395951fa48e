// The tests of the Kafka driver on Apache Kafka itself: the brokers that KAFKA_BROKERS names (tests fill them with topics),
// else a broker started here, from KAFKA_HOME or from jars that Maven fetches. Where none of that is to be had it says so.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { findJars, startBroker, VERSION } from './kafka-broker.mjs';

const TESTS = ['pkg/bus/kafka', 'pkg/testkit/season-kafka'];
const root = fileURLToPath(new URL('..', import.meta.url));

function runTests(brokers) {
  const run = spawn(process.execPath, ['scripts/run-tests.mjs', ...TESTS], {
    cwd: root,
    env: { ...process.env, KAFKA_TEST_BROKERS: brokers, WHOLE_SEASON: 'on' },
    stdio: 'inherit',
  });
  return new Promise((resolve) => run.once('close', (code) => resolve(code ?? 1)));
}

if (process.env.KAFKA_BROKERS) {
  process.exitCode = await runTests(process.env.KAFKA_BROKERS);
} else {
  const { jars, reason } = findJars({ mayFetch: true });
  if (reason !== undefined) {
    console.log(`Apache Kafka is not tested: ${reason}.`);
  } else {
    const broker = await startBroker(jars);
    console.log(`Apache Kafka ${process.env.KAFKA_HOME ?? VERSION} on ${broker.brokers}`);
    const stopped = (code) => broker.stop().then(() => process.exit(code));
    process.once('SIGINT', () => void stopped(130)).once('SIGTERM', () => void stopped(143));
    try {
      process.exitCode = await runTests(broker.brokers);
    } finally {
      await broker.stop();
    }
  }
}
