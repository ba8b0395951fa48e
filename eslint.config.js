import { globalIgnores } from 'eslint/config';
import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';
import { walls } from './scripts/eslint-walls.mjs';

const TESTS = ['**/*.test.ts', 'pkg/testkit/**', 'pkg/*/contract.ts', 'pkg/*/fixtures.ts'];
const TOOLS = ['scripts/**', 'bench/**', 'sample_events/**', 'web/e2e/**'];

const environmentIsConfigs = {
  object: 'process',
  property: 'env',
  message: 'Only pkg/runtime/config.ts reads the environment.',
};
const timeAndChance = [
  { object: 'Date', property: 'now', message: 'Time is a parameter: pkg/kernel/clock.ts.' },
  { object: 'Math', property: 'random', message: 'Randomness is a parameter: pkg/kernel/random.ts.' },
  { object: 'performance', property: 'now', message: 'Time is a parameter: pkg/kernel/clock.ts.' },
];
const timers = ['setTimeout', 'setInterval'].map((name) => ({
  name,
  message: 'Time is a parameter: pkg/kernel/clock.ts.',
}));
const testGlobals = [
  'describe',
  'it',
  'test',
  'expect',
  'jest',
  'beforeEach',
  'afterEach',
  'beforeAll',
  'afterAll',
].map((name) => ({
  name,
  message: 'Tests import what they use from @jest/globals; other files have no business with it.',
}));

/** What the eyes of a reviewer should not have to look for. The rest is in STYLE.md. */
export default tseslint.config(
  globalIgnores(['dist/', 'data/', 'coverage/', 'node_modules/', 'tmp/', '**/*.gen.ts', 'web/dist/']),
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['**/*.ts', '**/*.tsx'],
    extends: [...tseslint.configs.strictTypeChecked],
    plugins: { fairtally: { rules: { walls } } },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      'fairtally/walls': 'error',
      eqeqeq: 'error',
      'max-lines': ['error', { max: 400, skipBlankLines: false, skipComments: false }],
      'max-lines-per-function': ['error', { max: 70 }],
      'no-console': 'error',
      'no-restricted-exports': [
        'error',
        { restrictDefaultExports: { direct: true, named: true, defaultFrom: true } },
      ],
      'no-restricted-properties': ['error', environmentIsConfigs, ...timeAndChance],
      'no-restricted-globals': ['error', ...timers, ...testGlobals],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      // A flag that a callback changes looks constant to the compiler.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // A port may be asynchronous where one of its drivers is not.
      '@typescript-eslint/require-await': 'off',
      // Ports are objects of functions that close over their state: taken apart they still work.
      '@typescript-eslint/unbound-method': 'off',
      // `T` in `query<Row>()` is how a caller says what the columns are.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  {
    // Where time and chance come from, and where they are the matter itself.
    files: [
      'pkg/kernel/{clock,random}.ts',
      'pkg/runtime/**',
      'cmd/**',
      '**/{postgres,redis,kafka,sqs,servicebus}*.ts',
      'pkg/postgres/**',
      'pkg/redis/**',
    ],
    rules: {
      'no-restricted-properties': ['error', environmentIsConfigs],
      'no-restricted-globals': ['error', ...testGlobals],
    },
  },
  { files: ['pkg/runtime/config.ts'], rules: { 'no-restricted-properties': 'off' } },
  { files: ['cmd/**/*.ts'], rules: { 'no-console': 'off' } },
  {
    // A page that shows things to a person: its clock and its timers are the browser's.
    files: ['web/**'],
    plugins: { 'react-hooks': reactHooks },
    rules: {
      ...reactHooks.configs.recommended.rules,
      'no-restricted-properties': 'off',
      'no-restricted-globals': ['error', ...testGlobals],
      'max-lines-per-function': ['error', { max: 120 }],
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { attributes: false } }],
    },
  },
  {
    files: [...TESTS, ...TOOLS],
    rules: {
      'max-lines-per-function': 'off',
      'no-console': 'off',
      'no-restricted-properties': 'off',
      'no-restricted-globals': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      // supertest, autocannon and JSON answers are not typed.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      // One test for every driver: some of them answer at once. And a character of a test is one of ASCII.
      '@typescript-eslint/await-thenable': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
      '@typescript-eslint/no-base-to-string': 'off',
    },
  },
);
