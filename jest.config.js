const shared = {
  testEnvironment: '<rootDir>/scripts/jest-environment.mjs',
  roots: [
    '<rootDir>/pkg',
    '<rootDir>/cmd',
    '<rootDir>/sample_events',
    '<rootDir>/web/src',
    '<rootDir>/web/e2e',
  ],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
};
const simulates = '\\.sim\\.test\\.ts$';
const needsServers = '\\.(pg|redis|e2e)\\.test\\.ts$';

/** The suffix of a test file tells what it needs: `.test.ts` nothing, `.sim` before it time, `.pg`, `.redis` and `.e2e` real servers. */
export default {
  // A bound for what hangs, never a verdict on what is slow.
  testTimeout: 120_000,
  // What modules of earlier files leave behind makes every collection of garbage longer: a worker that is full begins anew.
  workerIdleMemoryLimit: '400MB',
  testSequencer: './scripts/jest-sequencer.mjs',
  projects: [
    {
      ...shared,
      displayName: 'unit',
      testMatch: ['**/*.test.ts'],
      testPathIgnorePatterns: [needsServers, simulates],
    },
    { ...shared, displayName: 'simulation', testRegex: simulates },
    {
      ...shared,
      displayName: 'integration',
      testRegex: needsServers,
      globalSetup: '<rootDir>/scripts/jest-global-setup.mjs',
      globalTeardown: '<rootDir>/scripts/jest-global-teardown.mjs',
    },
  ],
};
