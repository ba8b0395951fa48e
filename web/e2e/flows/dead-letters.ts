import { expect, test } from '@jest/globals';
import { eventually } from '../../../pkg/testkit/eventually.js';
import type { Schema } from '../admin-api.js';
import {
  dialogOf,
  eventuallyTold,
  expectAccessible,
  HOSTILE,
  post,
  progression,
  type Stage,
} from '../stage.js';

const PLAYER = HOSTILE[1];
const XP = 777;

/** A rule in the database that one player breaks: every try fails, so their event becomes a letter of the leaderboard alone. */
const BREAK = `ALTER TABLE board_scores ADD CONSTRAINT wrong_rule CHECK (subject <> '${PLAYER}') NOT VALID`;
const MEND = 'ALTER TABLE board_scores DROP CONSTRAINT wrong_rule';

export function deadLetterFlow(at: () => Stage): void {
  test('a dead letter is counted, sent again with a reason once its cause is mended, and moves the board', async () => {
    const { page, admin, installation } = at();
    const database = installation.database();
    const scoreOf = async (): Promise<number | undefined> =>
      (await admin.get<Schema<'BoardPage'>>('/boards/xp?window=all-time')).items.find(
        ({ subject }) => subject === PLAYER,
      )?.score;
    const before = (await scoreOf()) ?? 0;
    await database.query(BREAK);
    expect(await post(installation.client, progression(PLAYER, XP))).toBe(202);
    const open = async () =>
      (await admin.get<Schema<'LetterTally'>>('/dead-letters/tally')).items.filter(
        ({ state }) => state === 'open',
      );
    await eventuallyTold('there is a letter', async () => (await open()).length > 0);
    expect(await open()).toEqual([expect.objectContaining({ role: 'leaderboard', letters: 1 })]);
    await database.query(MEND);

    await at().goTo('Overview');
    await page.getByRole('table', { name: 'Roles' }).getByRole('link', { name: '1', exact: true }).click();
    await page.waitForURL(/dead-letters\?role=leaderboard$/);
    const row = page.getByRole('table', { name: 'Dead letters' }).getByRole('row').nth(1);
    expect(await row.innerText()).toContain(PLAYER);
    await row.getByRole('link').first().click();
    const sendAgain = page.getByRole('button', { name: 'Send again…' });
    await sendAgain.waitFor();
    await expectAccessible(page, 'a dead letter');

    await page.getByRole('button', { name: 'Drop…' }).click();
    const drop = await dialogOf(page, 'Drop');
    await page.keyboard.press('Escape');
    await drop.waitFor({ state: 'hidden' });
    await eventually('the focus is back', () =>
      page.evaluate<boolean>(`document.activeElement.textContent === 'Drop…'`),
    );

    await sendAgain.click();
    const dialog = await dialogOf(page, 'Send again');
    await dialog.getByLabel('Reason').fill('the rule was wrong');
    await dialog.getByRole('button', { name: 'Count them first' }).click();
    await dialog.getByText('1 open letter would be sent.').waitFor();
    expect(await scoreOf()).toBe(before);
    await dialog.getByRole('button', { name: 'Send them' }).click();
    await dialog.getByText('0 on their way, 1 took effect, 0 had before, 0 are letters again.').waitFor();
    await expectAccessible(page, 'what came of it', '[role="dialog"]');
    await dialog.getByRole('button', { name: 'Close', exact: true }).click();
    await page.getByText('applied', { exact: true }).waitFor();
    await page.getByText('the rule was wrong').waitFor();

    expect(await scoreOf()).toBe(before + XP);
    await at().visit('boards/xp?window=all-time');
    const score = (before + XP).toLocaleString('en');
    await page
      .locator(`tr[data-subject=${JSON.stringify(PLAYER)}]`)
      .filter({ hasText: score })
      .waitFor();
    expect(at().faults()).toEqual([]);
  }, 180_000);
}
