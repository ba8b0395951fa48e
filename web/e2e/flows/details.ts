import { expect, test } from '@jest/globals';
import type { Schema } from '../admin-api.js';
import { dialogOf, expectAccessible, expectFits, HOSTILE, type Stage } from '../stage.js';

/** Pages of one thing, and the questions that are asked there. Needs a player with progress, receipts and findings. */
export function detailsFlow(at: () => Stage): void {
  const player = HOSTILE[0];

  test('row 71: the page of a player with a hostile name, its receipt and their dialogs are text, accessible, and fit a telephone', async () => {
    const { page, admin } = at();
    const path = `players/${encodeURIComponent(player)}`;
    await at().open(path);
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe(player);
    await expectAccessible(page, 'a player');
    await expectFits(page, 'a player');
    const hide = page.getByRole('button', { name: 'Hide', exact: true });
    await hide.click();
    const dialog = await dialogOf(page, 'Take this player off every board?');
    expect(await dialog.textContent()).toContain(player);
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'hidden' });

    for (const name of [HOSTILE[1], HOSTILE[4]]) {
      await at().open(`players/${encodeURIComponent(name)}`);
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe(name);
      await page.getByRole('link', { name: 'Last events' }).click();
      await page.getByRole('heading', { level: 1, name: 'Event debugger' }).waitFor();
      expect(await page.getByLabel('Player id').inputValue()).toBe(name);
    }

    const [receipt] = (await admin.get<Schema<'ReceiptPage'>>(`/${path}/receipts`)).items;
    await at().open(`receipts/${receipt?.receiptId ?? ''}`);
    await expectAccessible(page, 'a receipt');
    await expectFits(page, 'a receipt');
    await page.getByRole('button', { name: 'Revoke', exact: true }).click();
    await dialogOf(page, 'Revoke this receipt?');
    await page.keyboard.press('Escape');

    await at().open('users');
    await page.getByRole('button', { name: 'Add a user' }).click();
    await dialogOf(page, 'Add a user');
    await page.keyboard.press('Escape');
    expect(at().faults()).toEqual([]);
  }, 180_000);
}
