import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../../pkg/testkit/eventually.js';
import { settled, watchedPage } from './browser.js';
import { deadLetterFlow } from './flows/dead-letters.js';
import { detailsFlow } from './flows/details.js';
import { fairnessFlow } from './flows/fairness.js';
import { keyFlows } from './flows/keys.js';
import { OWN_PASSWORD, passwordFlow } from './flows/password.js';
import { refusedEventFlow } from './flows/refused-event.js';
import { replayFlow } from './flows/replay.js';
import { usersFlow } from './flows/users.js';
import {
  dialogOf,
  expectAccessible,
  expectFits,
  HOSTILE,
  openStage,
  postAll,
  progression,
  shown,
  signIn,
  type Stage,
} from './stage.js';

const LEADER = 'leader';
const WAIT_MS = 60_000;
const SCRIPT_BYTES_MAX = 250_000;

let stage: Stage;
const at = (): Stage => stage;

beforeAll(async () => {
  stage = await openStage();
  await postAll(
    stage.installation.client,
    [...HOSTILE, LEADER].map((name, index) => progression(name, 100 * (index + 1))),
  );
}, 300_000);

afterAll(async () => {
  await stage?.close();
}, 120_000);

test('a wrong password is told as one, and the right one opens the first page', async () => {
  const { page, installation } = stage;
  await page.goto(installation.adminUrl);
  await page.getByLabel('Password', { exact: true }).waitFor();
  await expectAccessible(page, 'sign-in');
  await signIn(page, 'not the password');
  await page.getByText('The name or the password is wrong.').waitFor();
  // The browser itself tells an answer of 401 in the console.
  expect(stage.faults().filter((fault) => !fault.includes('/auth/login'))).toEqual([]);
  await signIn(page, installation.password);
  await page.waitForURL(/\/g\/demo\/overview$/);
  await settled(page);
}, 180_000);

test('the first page, sign-in and overview with its charts, loads less than 250 kB of compressed script', async () => {
  const loaded = await stage.page.evaluate<readonly [name: string, bytes: number][]>(
    `performance.getEntriesByType('resource')
      .filter(({ name }) => name.endsWith('.js'))
      .map(({ name, encodedBodySize }) => [name, encodedBodySize])`,
  );
  expect(loaded.length).toBeGreaterThan(1);
  expect(loaded.reduce((sum, [, bytes]) => sum + bytes, 0)).toBeLessThan(SCRIPT_BYTES_MAX);
});

test('a page that is loaded while nobody can tell who is signed in says so, and goes on as who it was', async () => {
  const { page } = stage;
  const busy = {
    status: 503,
    contentType: 'application/problem+json',
    body: '{"title":"Too busy just now"}',
  };
  await page.route('**/admin/v1/auth/refresh', (route) => route.fulfill(busy));
  await page.reload();
  await page.getByRole('alert').filter({ hasText: 'Too busy just now' }).waitFor();
  await page.unroute('**/admin/v1/auth/refresh');
  await page.getByRole('navigation', { name: 'Pages' }).waitFor();
  await settled(page);
  expect(stage.faults().filter((fault) => !fault.includes('/auth/refresh'))).toEqual([]);
}, 180_000);

test('every page opens without an error or a report of its policy, fits a telephone of 375 px, and axe finds nothing serious in light or dark', async () => {
  const { page } = stage;
  const links = page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
  const places = await links.allInnerTexts();
  expect(places.length).toBeGreaterThanOrEqual(12);
  for (const place of places) {
    await stage.goTo(place);
    expect([place, stage.faults()]).toEqual([place, []]);
    await expectAccessible(page, place);
    await expectFits(page, place);
  }
}, 300_000);

test('rows 24, 71: names of players stay plain text on a board, in the debugger, and in an exported file', async () => {
  const { page } = stage;
  await stage.open('boards/xp?window=all-time');
  await page.locator('tr[data-subject]').first().waitFor();
  for (const name of HOSTILE) {
    const row = page.locator(`tr[data-subject=${JSON.stringify(name).replaceAll('\\n', '\\a ')}]`);
    await row.waitFor({ timeout: WAIT_MS });
    expect(await row.getByRole('link').textContent()).toBe(shown(name));
  }
  expect(await page.locator('img[src="x"]').count()).toBe(0);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'CSV' }).click(),
  ]);
  const csv = await readFile(await download.path(), 'utf8');
  expect(csv).toContain(`"'=HYPERLINK(""http://x"",""y"")"`);
  for (const name of HOSTILE) {
    await stage.visit(`debugger?player=${encodeURIComponent(name)}`);
    const row = page.getByRole('table', { name: 'Events' }).getByRole('row').nth(1);
    await row.waitFor({ timeout: WAIT_MS });
    expect(await row.getByRole('link').textContent()).toBe(shown(name));
  }
  expect(stage.faults()).toEqual([]);
}, 300_000);

test('a posted event moves the board that is open, without a reload', async () => {
  const { page, installation } = stage;
  await stage.visit('boards/xp?window=all-time');
  const first = page.locator('tr[data-subject]').first();
  await eventually('the leader leads', async () => (await first.getAttribute('data-subject')) === LEADER);
  await page.evaluate('window.isStillHere = true');
  await postAll(installation.client, [progression('newcomer', 9_000)]);
  await eventually(
    'the newcomer leads',
    async () => (await first.getAttribute('data-subject')) === 'newcomer',
  );
  expect(await page.evaluate('window.isStillHere')).toBe(true);
  expect(stage.faults()).toEqual([]);
}, 180_000);

refusedEventFlow(at);
deadLetterFlow(at);
replayFlow(at);
fairnessFlow(at);
detailsFlow(at);
keyFlows(at);
usersFlow(at);

test('an edited definition is planned, applied, and its new board is there', async () => {
  const { page } = stage;
  await stage.goTo('Definition');
  await page.getByRole('tab', { name: 'Edit' }).click();
  const yaml = page.getByRole('textbox', { name: 'YAML' });
  const source = await yaml.inputValue();
  await yaml.fill(source.replace(/^boards:\n/m, `boards:\n${NEW_BOARD}`));
  await page.getByRole('button', { name: 'Plan it' }).click();
  await page.getByText('It can be applied').waitFor();
  expect(await page.getByRole('list', { name: 'What changes' }).innerText()).toContain('xp-by-test');
  await page.getByRole('button', { name: 'Apply…' }).click();
  const dialog = await dialogOf(page, 'Apply as version 2?');
  await dialog.getByRole('button', { name: 'Apply', exact: true }).click();
  await page.waitForURL(/\/definition\/2/);
  await page.getByRole('tab', { name: 'Compare' }).click();
  await page.getByText(/added, 0 removed/).waitFor();
  expect(stage.faults()).toEqual([]);
}, 180_000);

const NEW_BOARD = `  xp-by-test:
    event: progression
    aggregate: sum
    value: deltaXp
    windows: [all-time]
`;

passwordFlow(at);

test('signing out everywhere ends this session and every other one', async () => {
  const { page, installation, browser } = stage;
  const other = await watchedPage(await browser.newContext(), installation.adminUrl);
  await other.page.goto(installation.adminUrl);
  await signIn(other.page, OWN_PASSWORD);
  await other.page.waitForURL(/overview/);
  await page.goto(`${installation.adminUrl}/account`);
  await settled(page);
  await page.getByRole('button', { name: 'Sign out everywhere' }).click();
  await page.getByText('You are signed out everywhere.').waitFor();
  await other.page.reload();
  await other.page.getByRole('button', { name: 'Sign in' }).waitFor();
}, 180_000);
