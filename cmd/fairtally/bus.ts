import type { Command } from 'commander';
import { DEFAULT_BACKOFF, DEFAULT_MAX_ATTEMPTS } from '../../pkg/bus/deliver.js';
import type { BusOperator } from '../../pkg/bus/operator.js';
import { countPublishers, noteDrained } from '../../pkg/bus/uses.postgres.js';
import { checkBus, collectFromBus, createBusTopology, drainBus, rewindBus } from '../../pkg/cli/bus.js';
import { instant, someOf } from '../../pkg/cli/program.js';
import { FairtallyError } from '../../pkg/kernel/errors.js';
import { ROLES, type RoleName } from '../../pkg/kernel/roles.js';
import { busUse, createBus, createOperator } from '../bus.js';
import { codeVersion } from '../../pkg/runtime/version.js';
import { createDeadLetters } from '../../pkg/worker/dead-letters/postgres.js';
import { interruption, type CommandLine } from '../command-line.js';
import { withDatabase } from '../database.js';

/** What an operator does with the bus that BUS names. */
export function describeBus(bus: Command, line: CommandLine): void {
  const { program, out } = line;
  bus
    .command('check')
    .description('compare topics, queues and subscriptions with what is needed; 1 when anything differs')
    .action(program.action(() => withOperator(line, (operator) => checkBus(operator, out))));
  bus
    .command('create')
    .description('make what is missing and set what differs; tells what only an operator may do')
    .action(program.action(() => withOperator(line, (operator) => createBusTopology(operator, out))));
  bus
    .command('rewind')
    .description('let stopped roles read again what was published since an instant')
    .requiredOption('--to <instant>', 'such as 2026-11-20T00:00:00Z', instant)
    .option('--roles <list>', `which of them: ${ROLES.join(',')} (default: all)`, someOf(...ROLES))
    .action(
      program.action(({ to, roles = [...ROLES] }: { to: number; roles?: RoleName[] }) =>
        withOperator(line, (operator) => rewindBus({ toMs: to, roles }, operator, out)),
      ),
    );
  bus
    .command('collect')
    .description('bring what the engine itself gave up (its own dead letter queues) into the dead letters')
    .option('--roles <list>', `which of them: ${ROLES.join(',')}`, someOf(...ROLES))
    .action(program.action(({ roles = [...ROLES] }: { roles?: RoleName[] }) => collect(line, roles)));
  bus
    .command('drain')
    .description('wait until nothing waits on this bus, so that another may be used')
    .action(program.action(() => drain(line)));
}

const withOperator = (line: CommandLine, work: (operator: BusOperator) => Promise<number>): Promise<number> =>
  withDatabase(line, async ({ db }) => {
    const { clock } = line;
    const operator = await createOperator({ settings: line.config().bus, db, clock, logger: line.logger() });
    try {
      return await work(operator);
    } finally {
      await operator.close();
    }
  });

const collect = (line: CommandLine, roles: readonly RoleName[]): Promise<number> =>
  withDatabase(line, async ({ db }) => {
    const { clock, out } = line;
    const operator = await createOperator({ settings: line.config().bus, db, clock, logger: line.logger() });
    try {
      return await collectFromBus(
        { sink: createDeadLetters({ db, codeVersion: codeVersion() }), roles },
        operator,
        out,
      );
    } finally {
      await operator.close();
    }
  });

const refusingSink = {
  put: () => Promise.reject(new FairtallyError('no_sink', 'a command reads no events')),
};

function drain(line: CommandLine): Promise<number> {
  const { clock, random, out } = line;
  const settings = line.config().bus;
  const use = busUse(settings);
  if (use === null) throw new FairtallyError('memory_bus', 'BUS=memory keeps nothing that could wait');
  return withDatabase(line, async ({ db, databaseUrl }) => {
    const bus = await createBus({
      settings,
      db,
      databaseUrl,
      policy: {
        maxAttempts: DEFAULT_MAX_ATTEMPTS,
        backoff: DEFAULT_BACKOFF,
        deadLetters: refusingSink,
        clock,
        random,
        logger: line.logger(),
      },
    });
    try {
      return await drainBus({
        bus,
        roles: ROLES,
        clock,
        signal: interruption(),
        out,
        publishers: () => countPublishers(db, use),
        noteDrained: () => noteDrained(db, use),
      });
    } finally {
      await bus.close();
    }
  });
}
