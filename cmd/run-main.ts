import { ConfigError } from '../pkg/runtime/config.js';

/** EX_CONFIG of sysexits.h: a wrong configuration, which starting again does not mend. */
export const EXIT_CONFIG = 78;

/** Runs a process; a wrong configuration is told in plain lines, without a stack. */
export async function runMain(main: () => Promise<void>): Promise<void> {
  try {
    await main();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`fairtally: ${error.message}\n`);
    process.exitCode = EXIT_CONFIG;
  }
}
