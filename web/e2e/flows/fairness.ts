import { expect, test } from '@jest/globals';
import type { Page } from 'playwright-core';
import { eventually } from '../../../pkg/testkit/eventually.js';
import type { Schema } from '../admin-api.js';
import {
  dialogOf,
  eventuallyTold,
  expectAccessible,
  expectFocusSeen,
  HOSTILE,
  postAll,
  progression,
  type Stage,
} from '../stage.js';

const CHEAT = HOSTILE[0];
const SUSPECT = 'a-good-day';
const SAMPLES = 24;
const TOO_MUCH = 900_000;

/** A player of steady gains, and one gain that does not fit. */
const strangeGains = (player: string) => [
  ...Array.from({ length: SAMPLES }, (_, number) => progression(player, 100 + (number % 7) * 5)),
  progression(player, TOO_MUCH),
];
const TOTAL = strangeGains('').reduce((sum, { payload }) => sum + payload.deltaXp, 0);
const kill = (playerId: string, durationMs: number) => ({
  ...progression(playerId, 0),
  type: 'boss_kill',
  payload: { bossId: 'hydra', durationMs },
});

export function fairnessFlow(at: () => Stage): void {
  const cases = async (state: string): Promise<string[]> =>
    (await at().admin.get<Schema<'CasePage'>>(`/cases?state=${state}`)).items
      .map(({ playerId }) => playerId)
      .sort();
  const settledCase = (state: string) =>
    at()
      .page.getByRole('status')
      .filter({ hasText: `xp-gain, ${state}` })
      .waitFor({ state: 'attached' });

  test('who is judged a cheat leaves every board at once, and a reversal restores every board exactly', async () => {
    const { page, admin, installation } = at();
    const { items } = await admin.get<Schema<'BoardPage'>>('/boards/xp?window=all-time');
    const had = new Map(items.map(({ subject, score }) => [subject, score]));
    await postAll(installation.client, [...strangeGains(CHEAT), kill(CHEAT, 61_000), kill(SUSPECT, 72_000)]);
    await postAll(installation.client, strangeGains(SUSPECT));
    await eventuallyTold(
      'both have a case',
      async () => (await cases('open')).join() === [CHEAT, SUSPECT].sort().join(),
    );
    const holding = async () =>
      [...(await admin.boards())].filter(([, rows]) => rows.some(({ subject }) => subject === CHEAT));
    await eventuallyTold('the cheat stands on seven boards', async () => (await holding()).length === 7);
    const isWhole = (rows: readonly Schema<'BoardEntry'>[]) =>
      [CHEAT, SUSPECT].every((player) =>
        rows.some(({ subject, score }) => subject === player && score === TOTAL + (had.get(player) ?? 0)),
      );
    await eventuallyTold('everything of both counts', async () =>
      [...(await admin.boards())].every(([name, rows]) => !name.startsWith('xp?') || isWhole(rows)),
    );
    const before = await admin.boards();
    const boards = () => admin.boards(before.keys());
    const publicBoard = async () =>
      (
        await fetch(`${installation.gatewayUrl}/v1/leaderboards/xp?game=demo&window=all-time&limit=100`)
      ).json();
    const publicBefore = await publicBoard();
    const seenOn = async (): Promise<string[]> => {
      await at().open('boards/xp?window=all-time');
      await page.locator('tr[data-subject]').first().waitFor();
      return page.locator('tr[data-subject]').allInnerTexts();
    };
    const seenBefore = await seenOn();

    await at().goTo('Fairness');
    await page.getByRole('list', { name: 'Cases' }).getByText(CHEAT).click();
    await settledCase('open');
    await expectAccessible(page, 'a case');
    expect(await page.getByRole('heading', { level: 2 }).first().innerText()).toBe(CHEAT);
    await page.getByRole('button', { name: 'Cheat' }).click();
    await expectAccessible(page, 'a verdict', 'section[aria-label="Confirm: cheat"]');
    await page.getByRole('button', { name: 'Confirm: cheat' }).click();
    await settledCase('cheat');
    await eventuallyTold('the cheat is on no board', async () => (await holding()).length === 0);
    const without = [...before].map(([name, rows]) => [
      name,
      rows.map(({ subject }) => subject).filter((subject) => subject !== CHEAT),
    ]);
    expect([...(await boards())].map(([name, rows]) => [name, rows.map(({ subject }) => subject)])).toEqual(
      without,
    );
    await eventually(
      'and on no public one',
      async () => !JSON.stringify(await publicBoard()).includes('onerror'),
    );
    expect((await seenOn()).some((row) => row.includes(CHEAT))).toBe(false);

    await at().visit('fairness?state=cheat');
    await page.getByRole('list', { name: 'Cases' }).getByText(CHEAT).click();
    await page.getByRole('button', { name: 'Take the verdict back' }).click();
    const dialog = await dialogOf(page, 'Take this verdict back?');
    await dialog.getByLabel('Reason').fill('it was a gift of ours');
    await dialog.getByRole('button', { name: 'Take it back' }).click();
    await settledCase('open');
    await eventuallyTold('the cheat is on seven boards again', async () => (await holding()).length === 7);
    expect(await boards()).toEqual(before);
    await eventually('and on the public one', async () =>
      JSON.stringify(await publicBoard()).includes('onerror'),
    );
    expect(await publicBoard()).toEqual(publicBefore);
    expect(await seenOn()).toEqual(seenBefore);
    expect(at().faults()).toEqual([]);
  }, 180_000);

  test('a case is opened and judged by keys alone, and the focus is seen wherever it goes', async () => {
    const { page } = at();
    const here = page.getByRole('list', { name: 'Cases' }).locator('[aria-current="true"]');
    const press = async (...keys: readonly string[]): Promise<void> => {
      for (const key of keys) await page.keyboard.press(key);
    };
    await at().goTo('Overview');
    // From the heading back through the menu, the last of it first.
    const links = [
      'Choose your own',
      'Audit log',
      'Users',
      'Keys',
      'Definition',
      'Replay',
      'Dead letters',
      'Event debugger',
      'Fairness',
    ];
    for (const link of links) {
      await press('Shift+Tab');
      await expectFocusSeen(page, link);
    }
    await press('Enter');
    // Where there is room for it, the first case is there without being asked for.
    await here.waitFor();
    const first = await here.textContent();
    await press('j');
    await eventually('the next case is open', async () => (await here.textContent()) !== first);
    await settledCase('open');
    const judged = await here.textContent();
    await press('c');
    await expectFocusSeen(page, 'Confirm: clean');
    await press('Escape');
    await expectFocusSeen(page, 'Verdict');
    await press('Tab', 'Tab');
    await expectFocusSeen(page, 'Clean c');
    await press('Enter');
    await expectFocusSeen(page, 'Confirm: clean');
    await press('Enter');
    await settledCase('clean');
    expect(await cases('clean')).toEqual([judged]);
    await eventually('the focus is where the verdict was', () => hasFocus(page, '[aria-label="Verdict"]'));
    await press('Tab');
    await expectFocusSeen(page, 'Take the verdict back');
    await press('Enter');
    const dialog = page.getByRole('dialog', { name: 'Take this verdict back?' });
    await dialog.waitFor();
    for (let stop = 0; stop < STOPS; stop += 1) {
      await press('Tab');
      expect(await hasFocus(page, '[role="dialog"] *')).toBe(true);
    }
    await press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    await expectFocusSeen(page, 'Take the verdict back');
    expect(at().faults()).toEqual([]);
  }, 180_000);
}

/** More than a dialog has, so that the focus would have left it. */
const STOPS = 6;

const hasFocus = (page: Page, selector: string): Promise<boolean> =>
  page.evaluate<boolean>(`document.activeElement.matches(${JSON.stringify(selector)})`);
