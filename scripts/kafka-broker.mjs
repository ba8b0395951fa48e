// A broker of Apache Kafka, from KAFKA_HOME or from jars that Maven fetches. Forked, it is a broker for the process that
// forked it, and ends with it: one message says where it is, or why there is none; any message to it has it killed and
// started again, which it answers. KAFKA_BROKERS names one that is there.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const VERSION = process.env.KAFKA_VERSION ?? '3.9.1';
const CACHE = fileURLToPath(new URL(`../node_modules/.cache/kafka/${VERSION}`, import.meta.url));
const READY_WITHIN_MS = 60_000;
const CLUSTER_ID = 'MkU3OEVBNTcwNTJENDM2Qg';

const isThere = (program, flag) => spawnSync(program, [flag]).status === 0;

/** Folder of Kafka's jars, or the reason why there is none. `mayFetch`: Maven is asked for what is not here yet. */
export function findJars({ mayFetch }) {
  if (!isThere('java', '-version')) return { reason: 'there is no Java (17 or newer) to run it with' };
  if (process.env.KAFKA_HOME) return { jars: join(process.env.KAFKA_HOME, 'libs') };
  const jars = join(CACHE, 'libs');
  if (existsSync(jars) && readdirSync(jars).some((name) => name.startsWith('kafka_'))) return { jars };
  if (!mayFetch) return { reason: 'it was not fetched yet (`make test-kafka` does)' };
  if (!isThere('mvn', '-version'))
    return { reason: 'there is neither KAFKA_HOME nor Maven to fetch it with' };
  mkdirSync(CACHE, { recursive: true });
  writeFileSync(
    join(CACHE, 'pom.xml'),
    `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>local</groupId><artifactId>kafka-jars</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${VERSION}</version></dependency>
  </dependencies>
</project>
`,
  );
  const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', '-DoutputDirectory=libs'];
  const fetched = spawnSync('mvn', ['-q', '-B', ...goal], { cwd: CACHE, encoding: 'utf8' });
  if (fetched.status === 0) return { jars };
  rmSync(jars, { recursive: true, force: true });
  return { reason: `Maven could not fetch it: ${fetched.stdout.split('\n')[0]}` };
}

const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

const answers = (port) =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.once('error', () => resolve(false)).once('connect', () => socket.destroy());
  });

/** One broker that is its own controller; groups begin after a moment and not after three seconds. */
const properties = (folder, port, controllerPort) => `
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controllerPort}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}
log.dirs=${join(folder, 'log')}
auto.create.topics.enable=false
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=200
group.min.session.timeout.ms=1000
log.retention.check.interval.ms=500
`;

/** @returns its address, what stops it and leaves nothing behind, and what kills it and starts it again on its files */
export async function startBroker(jars) {
  const folder = mkdtempSync(join(tmpdir(), 'fairtally-kafka-'));
  const [port, controllerPort] = [await freePort(), await freePort()];
  const config = join(folder, 'server.properties');
  writeFileSync(config, properties(folder, port, controllerPort));
  const java = (main, ...args) => ['-Xmx512m', '-cp', join(jars, '*'), main, ...args];
  const formatted = spawnSync(
    'java',
    java('kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', config),
    {
      encoding: 'utf8',
    },
  );
  if (formatted.status !== 0) throw new Error(`the storage cannot be prepared: ${formatted.stderr}`);
  let broker;
  let said = '';
  let ended;
  const launch = async () => {
    broker = spawn('java', java('kafka.Kafka', config), { stdio: ['ignore', 'ignore', 'pipe'] });
    broker.stderr.on('data', (text) => (said = (said + text).slice(-2_000)));
    ended = new Promise((resolve) => broker.once('close', resolve));
    const giveUpAtMs = Date.now() + READY_WITHIN_MS;
    while (!(await answers(port))) {
      if (broker.exitCode !== null || Date.now() > giveUpAtMs) {
        await stop();
        throw new Error(`the broker did not start: ${said}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  };
  const kill = () => {
    broker.kill('SIGKILL');
    return ended;
  };
  const stop = async () => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  };
  await launch();
  return { brokers: `127.0.0.1:${port}`, stop, crash: () => kill().then(launch) };
}

async function serve() {
  if (process.env.KAFKA_BROKERS) {
    process.once('disconnect', () => process.exit());
    process.send({ brokers: process.env.KAFKA_BROKERS, name: 'the brokers that KAFKA_BROKERS names' });
    return;
  }
  const { jars, reason } = findJars({ mayFetch: false });
  if (reason !== undefined) {
    process.send({ reason });
    return;
  }
  const starting = startBroker(jars);
  process.once('disconnect', () => void starting.then(({ stop }) => stop()).then(() => process.exit()));
  const { brokers, crash } = await starting;
  process.on('message', () => void crash().then(() => process.send({ crashed: true })));
  process.send({
    brokers,
    name: `Apache Kafka ${process.env.KAFKA_HOME ?? VERSION}, one broker`,
    isOurs: true,
  });
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) await serve();
