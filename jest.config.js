/** Unit tests end in `.test.ts` and need nothing; `.pg`, `.redis` and `.e2e` before it name the real server a file talks to. */
export default {
  testEnvironment: 'node',
  roots: ['<rootDir>/pkg', '<rootDir>/cmd', '<rootDir>/sample_events'],
  testMatch: ['**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } }] },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  testTimeout: 30_000,
};
