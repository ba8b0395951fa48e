import { randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import type { Browser, Locator, Page } from 'playwright-core';
import type { SignedClient } from '../../pkg/client/signed-client.js';
import { eventually } from '../../pkg/testkit/eventually.js';
import { openAdminApi, type AdminApi } from './admin-api.js';
import { launch, settled, violations, watchedPage, wearScheme, type Watched } from './browser.js';
import { startInstallation, type Installation } from './installation.js';

/** Names that other places would run, follow, turn around or break a line by. */
export const HOSTILE = [
  '<img src=x onerror=alert(1)>',
  '=HYPERLINK("http://x","y")',
  '\u202egnp\u034f.exe',
  'two\nlines',
  'a/b?c#d&e+100%41',
  '..',
] as const;

/** A name as pages show it: what shows nothing or turns text around is spelt out. */
export const shown = (name: string): string =>
  name.replaceAll('\u202e', '\\u{202e}').replaceAll('\u034f', '\\u{34f}').replaceAll('\n', '\\u{a}');

/** One installation and one signed-in page, which all flows of a run share: to start them costs more than any flow. */
export interface Stage {
  readonly installation: Installation;
  readonly browser: Browser;
  readonly page: Page;
  /** Beside the page: what a program is told. */
  readonly admin: AdminApi;
  /** What went wrong on the page since the last look. */
  faults(): string[];
  /** To a page of the game by its address, such as `keys`, which is loaded anew. */
  open(path: string): Promise<void>;
  /** To the same without loading anything that is there, as by a link: a fraction of the cost. */
  visit(path: string): Promise<void>;
  /** By the menu, as a person goes: the page is not loaded anew. */
  goTo(place: string): Promise<void>;
  close(): Promise<void>;
}

export async function openStage(): Promise<Stage> {
  const installation = await startInstallation();
  const { adminUrl, password } = installation;
  const browser = await launch();
  const context = await browser.newContext({ viewport: WIDE, reducedMotion: 'reduce' });
  const watched: Watched = await watchedPage(context, adminUrl);
  const { page } = watched;
  page.setDefaultTimeout(PATIENCE_MS);
  return {
    installation,
    browser,
    page,
    admin: await openAdminApi(adminUrl, 'admin', password),
    faults: () => watched.faults.splice(0),
    async open(path) {
      await page.goto(`${adminUrl}/g/demo/${path}`);
      await settled(page);
    },
    async visit(path) {
      await page.evaluate(`history.pushState(null, '', ${JSON.stringify(`/g/demo/${path}`)})`);
      await settled(page);
    },
    async goTo(place) {
      await page
        .getByRole('navigation', { name: 'Pages' })
        .getByRole('link', { name: place, exact: true })
        .click();
      await page.getByRole('heading', { level: 1, name: place }).waitFor();
      await settled(page);
    },
    async close() {
      await browser.close();
      await installation.stop();
    },
  };
}

export async function signIn(on: Page, password: string, username = 'admin'): Promise<void> {
  await on.getByLabel('Name').fill(username);
  await on.getByLabel('Password', { exact: true }).fill(password);
  await on.getByRole('button', { name: 'Sign in' }).click();
}

const LOOK_MS = 400;

/** As `eventually`, but looks a few times a second alone: the admin API limits how much one may ask. */
export const eventuallyTold = (what: string, holds: () => Promise<boolean>): Promise<void> =>
  eventually(what, async () => {
    if (await holds()) return true;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    return false;
  });

/**
 * Axe finds nothing serious on the page, or in a part of it (a CSS selector), in light or dark. The page goes on in the other of both:
 * every change of all colours costs as much as a look.
 */
export async function expectAccessible(page: Page, what: string, within?: string): Promise<void> {
  const [first, second] = (await page.evaluate<boolean>(IS_DARK)) ? DARK_FIRST : LIGHT_FIRST;
  const found = (await violations(page, { within })).map((one) => `${what}, ${first}: ${one}`);
  await wearScheme(page, second);
  // The same elements in other colours.
  const others = await violations(page, { within, rules: ['color-contrast'] });
  expect([...found, ...others.map((one) => `${what}, ${second}: ${one}`)]).toEqual([]);
}

const IS_DARK = `document.documentElement.dataset.mantineColorScheme === 'dark'`;
const LIGHT_FIRST = ['light', 'dark'] as const;
const DARK_FIRST = ['dark', 'light'] as const;

/** What has the focus, by the name that it is read out with, and that it shows it. Fails where nothing has it. */
export async function expectFocusSeen(page: Page, name: string): Promise<void> {
  const seen = await page.evaluate<readonly [name: string, isSeen: boolean]>(FOCUS);
  expect(seen).toEqual([name, true]);
}

const FOCUS = `(() => {
  const { activeElement: one } = document;
  const { outlineStyle, outlineWidth } = getComputedStyle(one);
  const name = one.getAttribute('aria-label') ?? one.innerText.replaceAll(/\\s+/g, ' ').trim();
  return [name, one.matches(':focus-visible') && outlineStyle !== 'none' && outlineWidth !== '0px'];
})()`;

/** A bound for what hangs, on a machine that is busy with other tests. */
const PATIENCE_MS = 60_000;
const WIDE = { width: 1440, height: 900 };
const NARROW = { width: 375, height: 800 };
const FIT_MS = 30_000;

/** Nothing of the page stands beyond the edge of a telephone. */
export async function expectFits(page: Page, what: string): Promise<void> {
  const beyond = () =>
    page.evaluate<number>('document.documentElement.scrollWidth - document.documentElement.clientWidth');
  await page.setViewportSize(NARROW);
  // Pictures and tables take their new size a moment after the window has it.
  await eventually('it fits', async () => (await beyond()) <= 0, FIT_MS).catch(() => undefined);
  expect([what, await beyond()]).toEqual([what, 0]);
  await page.setViewportSize(WIDE);
}

/** A dialog by its title, open and looked at by axe. */
export async function dialogOf(page: Page, title: string): Promise<Locator> {
  const dialog = page.getByRole('dialog', { name: title });
  await dialog.waitFor();
  await expectAccessible(page, title, '[role="dialog"]');
  return dialog;
}

/** An event that gains XP, as a game sends it now. */
export const progression = (playerId: string, deltaXp: number, id: string = randomUUID()) => ({
  id,
  type: 'progression',
  playerId,
  ts: Date.now(),
  payload: { deltaXp, activity: 'quest' },
});

/** Posts something as JSON. */
export const postBody = (client: SignedClient, path: string, body: object) =>
  client.send('POST', path, { body: JSON.stringify(body), contentType: 'application/json' });

/** Posts one event; answers the status. */
export const post = async (client: SignedClient, event: object): Promise<number> =>
  (await postBody(client, '/v1/events', event)).status;

/** Posts events in their order, all of which must be taken. */
export async function postAll(client: SignedClient, events: readonly object[]): Promise<void> {
  const answer = await postBody(client, '/v1/events/batch', events);
  expect(answer.status).toBe(202);
  expect(JSON.parse(answer.text)).toMatchObject({ accepted: events.length });
}
