import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import type { SignedClient } from '../../pkg/client/signed-client.js';
import { eventually } from '../../pkg/testkit/eventually.js';
import { launch, settled, violations, watchedPage, wearScheme, type Watched } from './browser.js';
import { startInstallation, type Installation } from './installation.js';

/** Names that other places would run, follow, turn around or break a line by. */
const HOSTILE = ['<img src=x onerror=alert(1)>', '=HYPERLINK("http://x","y")', '\u202egnp.exe', 'two\nlines'];
const LEADER = 'leader';
const WAIT_MS = 60_000;
const FIT_MS = 5_000;

let installation: Installation;
let browser: Browser;
let watched: Watched;
let page: Page;

const gain = (client: SignedClient, playerId: string, deltaXp: number) =>
  client.send('POST', '/v1/events', {
    body: JSON.stringify({
      type: 'progression',
      playerId,
      ts: Date.now(),
      payload: { deltaXp, activity: 'quest' },
    }),
    contentType: 'application/json',
  });

async function signIn(on: Page, password: string): Promise<void> {
  await on.getByLabel('Name').fill('admin');
  await on.getByLabel('Password', { exact: true }).fill(password);
  await on.getByRole('button', { name: 'Sign in' }).click();
}

/** What went wrong since the last look. */
const faults = (): string[] => watched.faults.splice(0);

/** By the menu, as a person goes: the page is not loaded anew. */
async function goTo(place: string): Promise<void> {
  await page
    .getByRole('navigation', { name: 'Pages' })
    .getByRole('link', { name: place, exact: true })
    .click();
  await page.getByRole('heading', { level: 1, name: place }).waitFor();
  await settled(page);
}

beforeAll(async () => {
  installation = await startInstallation();
  for (const [index, name] of [...HOSTILE, LEADER].entries())
    expect((await gain(installation.client, name, 100 * (index + 1))).status).toBe(202);
  browser = await launch();
  const context = await browser.newContext({
    viewport: { width: 1440, height: 900 },
    reducedMotion: 'reduce',
  });
  watched = await watchedPage(context, installation.adminUrl);
  ({ page } = watched);
}, 300_000);

afterAll(async () => {
  await browser?.close();
  await installation?.stop();
}, 120_000);

test('a wrong password is told as one, and the right one opens the first page', async () => {
  await page.goto(installation.adminUrl);
  await signIn(page, 'not the password');
  await page.getByText('The name or the password is wrong.').waitFor();
  // The browser itself tells an answer of 401 in the console.
  expect(watched.faults.splice(0).filter((fault) => !fault.includes('/auth/login'))).toEqual([]);
  await signIn(page, installation.password);
  await page.waitForURL(/\/g\/demo\/overview$/);
  await settled(page);
});

test('every page opens without an error or a report of its policy, and axe finds nothing serious in light or dark', async () => {
  const links = page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
  const places = await links.allInnerTexts();
  expect(places.length).toBeGreaterThanOrEqual(12);
  const found: string[] = [];
  for (const place of places) {
    await goTo(place);
    expect([place, faults()]).toEqual([place, []]);
    await wearScheme(page, 'light');
    found.push(...(await violations(page)).map((one) => `${place}, light: ${one}`));
    await wearScheme(page, 'dark');
    // The same elements in other colours.
    found.push(...(await violations(page, ['color-contrast'])).map((one) => `${place}, dark: ${one}`));
    await wearScheme(page, 'light');
  }
  expect(found).toEqual([]);
}, 300_000);

test('every page fits a telephone of 375 px', async () => {
  const tooWide: string[] = [];
  const beyond = () =>
    page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth');
  const places = await page.getByRole('navigation', { name: 'Pages' }).getByRole('link').allInnerTexts();
  for (const place of places) {
    await goTo(place);
    await page.setViewportSize({ width: 375, height: 800 });
    // Pictures and tables take their new size a moment after the window has it.
    await eventually('it fits', async () => (await beyond()) <= 0, FIT_MS).catch(async () =>
      tooWide.push(`${place}: ${String(await beyond())} px`),
    );
    await page.setViewportSize({ width: 1440, height: 900 });
  }
  expect(tooWide).toEqual([]);
}, 300_000);

test('row 71: names of players stay plain text on a board, in the debugger, and in an exported file', async () => {
  await goTo('Leaderboards');
  await page.goto(`${installation.adminUrl}/g/demo/boards/xp?window=all-time`);
  await page.locator('tr[data-subject]').first().waitFor();
  for (const name of HOSTILE) {
    const row = page.locator(`tr[data-subject=${JSON.stringify(name).replaceAll('\\n', '\\a ')}]`);
    await row.waitFor({ timeout: WAIT_MS });
    expect(await row.getByRole('link').textContent()).toBe(name);
  }
  expect(await page.locator('img[src="x"]').count()).toBe(0);
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'CSV' }).click(),
  ]);
  const csv = await readFile(await download.path(), 'utf8');
  expect(csv).toContain(`"'=HYPERLINK(""http://x"",""y"")"`);
  for (const name of HOSTILE) {
    await page.goto(`${installation.adminUrl}/g/demo/debugger?player=${encodeURIComponent(name)}`);
    const row = page.getByRole('table', { name: 'Events' }).getByRole('row').nth(1);
    await row.waitFor({ timeout: WAIT_MS });
    expect(await row.getByRole('link').textContent()).toBe(name);
  }
  expect(faults()).toEqual([]);
}, 300_000);

test('a posted event moves the board that is open, without a reload', async () => {
  await page.goto(`${installation.adminUrl}/g/demo/boards/xp?window=all-time`);
  const first = page.locator('tr[data-subject]').first();
  await eventually('the leader leads', async () => (await first.getAttribute('data-subject')) === LEADER);
  await page.evaluate('window.isStillHere = true');
  await gain(installation.client, 'newcomer', 9_000);
  await eventually(
    'the newcomer leads',
    async () => (await first.getAttribute('data-subject')) === 'newcomer',
  );
  expect(await page.evaluate('window.isStillHere')).toBe(true);
  expect(faults()).toEqual([]);
}, 180_000);

test('a refused event is found in the debugger with why and what was sent, and counted by its build', async () => {
  const event = { id: 'wrong-1', type: 'progression', playerId: 'mistaken', ts: Date.now() };
  const payload = { deltaXp: 'many', activity: 'quest', sessionToken: 'hush' };
  const body = JSON.stringify({ context: { build: '9.9.1-wrong' }, events: [{ ...event, payload }] });
  const sent = await installation.client.send('POST', '/v1/events/batch', {
    body,
    contentType: 'application/json',
  });
  expect(sent.status).toBe(202);
  await goTo('Event debugger');
  await page.getByRole('radiogroup', { name: 'Whose events' }).getByText('Player', { exact: true }).click();
  await page.getByLabel('Player id').fill('mistaken');
  await page.getByRole('button', { name: 'Show its events' }).click();
  const row = page.getByRole('table', { name: 'Events' }).getByRole('row').nth(1);
  await row.getByText('invalid_number').waitFor({ timeout: WAIT_MS });
  expect(await row.innerText()).toMatch(/refused[^]*at \/payload\/deltaXp/i);
  await page.getByRole('button', { name: 'Show event wrong-1' }).click();
  await page.getByText('Not a number that can be kept exactly: ').waitFor();
  const shown = page.getByRole('region', { name: 'What was sent' });
  expect(JSON.parse(await shown.innerText())).toEqual({
    ...event,
    payload: { ...payload, sessionToken: '***' },
  });
  await goTo('Overview');
  const counts = page.getByRole('table', { name: 'Refusals by reason and build' });
  const count = counts.getByRole('row').filter({ hasText: '9.9.1-wrong' });
  await count.waitFor({ timeout: WAIT_MS });
  expect(await count.innerText()).toMatch(/invalid_number[^]*1$/);
  expect(faults()).toEqual([]);
}, 180_000);

test('a key is made, signs, and is refused once it is revoked', async () => {
  await goTo('Keys');
  await page.getByRole('button', { name: 'New key' }).click();
  await page.getByLabel('Name').fill('browser-made');
  await page.getByRole('button', { name: 'Make the key' }).click();
  const secret = (await page.getByTestId('secret').innerText()).trim();
  await page.getByRole('button', { name: 'I have kept it' }).click();
  const client = installation.clientOf('browser-made', secret);
  await eventually('the new key is good', async () => (await gain(client, 'by-key', 1)).status === 202);
  await page.getByRole('button', { name: 'What to do with browser-made' }).click();
  await page.getByRole('menuitem', { name: 'Revoke' }).click();
  await page.getByLabel('Reason').fill('made by a test');
  await page.getByRole('button', { name: 'Revoke at once' }).click();
  await page.getByRole('row').filter({ hasText: 'browser-made' }).getByText('revoked').waitFor();
  await eventually('the key is refused', async () => (await gain(client, 'by-key', 1)).status === 401);
  expect(faults()).toEqual([]);
}, 180_000);

test('an edited definition is planned, applied, and its new board is there', async () => {
  await goTo('Definition');
  await page.getByRole('tab', { name: 'Edit' }).click();
  const yaml = page.getByRole('textbox', { name: 'YAML' });
  const source = await yaml.inputValue();
  await yaml.fill(source.replace(/^boards:\n/m, `boards:\n${NEW_BOARD}`));
  await page.getByRole('button', { name: 'Plan it' }).click();
  await page.getByText('It can be applied').waitFor();
  expect(await page.getByRole('list', { name: 'What changes' }).innerText()).toContain('xp-by-test');
  await page.getByRole('button', { name: 'Apply…' }).click();
  await page.getByRole('button', { name: 'Apply', exact: true }).click();
  await page.waitForURL(/\/definition\/2/);
  await page.getByRole('tab', { name: 'Compare' }).click();
  await page.getByText(/added, 0 removed/).waitFor();
  expect(faults()).toEqual([]);
}, 180_000);

const NEW_BOARD = `  xp-by-test:
    event: progression
    aggregate: sum
    value: deltaXp
    windows: [all-time]
`;

test('signing out everywhere ends this session and every other one', async () => {
  const other = await watchedPage(await browser.newContext(), installation.adminUrl);
  await other.page.goto(installation.adminUrl);
  await signIn(other.page, installation.password);
  await other.page.waitForURL(/overview/);
  await page.goto(`${installation.adminUrl}/account`);
  await settled(page);
  expect(await violations(page)).toEqual([]);
  await page.getByRole('button', { name: 'Sign out everywhere' }).click();
  await page.getByText('You are signed out everywhere.').waitFor();
  await other.page.reload();
  await other.page.getByRole('button', { name: 'Sign in' }).waitFor();
}, 180_000);
