import { expect, test } from '@jest/globals';
import { visibleName } from '../../src/parts/visible.js';
import type { Schema } from '../admin-api.js';
import { dialogOf, expectAccessible, expectFits, HOSTILE, type Stage } from '../stage.js';

/** Pages of one thing, and the questions that are asked there. Needs a player with progress, receipts and findings. */
export function detailsFlow(at: () => Stage): void {
  const player = HOSTILE[0];

  test('row 71: the page of a player with a hostile name, its receipt and their dialogs are text, accessible, and fit a telephone', async () => {
    const { page, admin } = at();
    await at().visit(`players/${encodeURIComponent(player)}`);
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe(visibleName(player));
    await expectAccessible(page, 'a player');
    await expectFits(page, 'a player');
    const hide = page.getByRole('button', { name: 'Hide', exact: true });
    await hide.click();
    const dialog = await dialogOf(page, 'Take this player off every board?');
    expect(await dialog.textContent()).toContain(player);
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await dialog.waitFor({ state: 'hidden' });

    // Also where the address itself is asked for, by a link that somebody sent.
    await at().open('players/,..');
    for (const name of [HOSTILE[5], HOSTILE[1], HOSTILE[3], HOSTILE[4]]) {
      if (name !== HOSTILE[5]) await at().visit(`players/${encodeURIComponent(name)}`);
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe(visibleName(name));
      await page.getByRole('link', { name: 'Last events' }).click();
      await page.getByRole('heading', { level: 1, name: 'Event debugger' }).waitFor();
      // A field of one line shows no break.
      expect(await page.getByLabel('Player id').inputValue()).toBe(name.replace('\n', ''));
    }

    await at().goTo('Receipts');
    const firstOf = async (path: string) =>
      (await admin.get<Schema<'ReceiptPage'>>(path)).items[0]?.receiptId ?? '';
    const first = page
      .getByRole('region', { name: 'Newest' })
      .getByRole('row')
      .nth(1)
      .getByRole('link')
      .first();
    expect(await first.getAttribute('href')).toBe(`/g/demo/receipts/${await firstOf('/receipts')}`);
    await at().visit(`receipts/${await firstOf(`/players/${encodeURIComponent(player)}/receipts`)}`);
    await expectAccessible(page, 'a receipt');
    await expectFits(page, 'a receipt');
    await page.getByRole('button', { name: 'Revoke', exact: true }).click();
    await dialogOf(page, 'Revoke this receipt?');
    await page.keyboard.press('Escape');
    expect(at().faults()).toEqual([]);
  }, 180_000);
}
