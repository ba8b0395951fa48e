import { expect, test } from '@jest/globals';
import type { Schema } from '../admin-api.js';
import {
  dialogOf,
  eventuallyTold,
  expectAccessible,
  expectFocusSeen,
  postAll,
  progression,
  type Stage,
} from '../stage.js';

const gains = (name: string, ...amounts: readonly number[]) =>
  amounts.map((xp, number) => progression('recorded', xp, `${name}-${String(number)}`));

export function replayFlow(at: () => Stage): void {
  /** The recording that is open: asked about, kept, then deleted. What it counted stays. */
  const deleteIt = async (): Promise<void> => {
    const { page } = at();
    const remove = page.getByRole('button', { name: 'Delete…' });
    await remove.click();
    const dialog = await dialogOf(page, 'Delete this recording?');
    expect(await dialog.innerText()).toContain('lost.ndjson');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    await expectFocusSeen(page, 'Delete…');
    await page.keyboard.press('Enter');
    await dialog.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByRole('heading', { level: 1, name: 'Replay' }).waitFor();
    await page.getByText('No recording yet.').waitFor();
  };

  test('a recording is judged, replayed, counts what is new once, and is deleted; what was known moves nothing', async () => {
    const { page, admin, installation } = at();
    const [known, lost] = [gains('known', 10, 20, 30), gains('lost', 400, 500)];
    const file = [...known, ...lost].map((event) => `${JSON.stringify(event)}\n`).join('');
    await postAll(installation.client, known);
    const rankings = [...(await admin.boards()).keys()];
    const boards = () => admin.boards(rankings);
    const xpIn = (rows: Awaited<ReturnType<typeof boards>>) =>
      [...rows]
        .filter(([name]) => name.startsWith('xp?'))
        .map(([, entries]) => entries.find(({ subject }) => subject === 'recorded')?.score);
    // First one board, which is cheap to ask for; then all.
    const counts = async (what: string, xp: number): Promise<void> => {
      const one = async () => (await admin.get<Schema<'BoardPage'>>('/boards/xp?window=all-time')).items;
      await eventuallyTold(`${what} counts`, async () =>
        (await one()).some(({ subject, score }) => subject === 'recorded' && score === xp),
      );
      await eventuallyTold(`${what} counts on every board`, async () =>
        xpIn(await boards()).every((score) => score === xp),
      );
    };
    await counts('what was posted', 60);
    const others = (rows: Awaited<ReturnType<typeof boards>>) =>
      [...rows].map(([name, entries]) => [
        name,
        entries.filter(({ subject }) => subject !== 'recorded').map(({ subject, score }) => [subject, score]),
      ]);
    const before = await boards();

    await at().goTo('Replay');
    const [chooser] = await Promise.all([
      page.waitForEvent('filechooser'),
      page.getByRole('button', { name: 'File' }).click(),
    ]);
    await chooser.setFiles({
      name: 'lost.ndjson',
      mimeType: 'application/x-ndjson',
      buffer: Buffer.from(`${file}this is no event\n`),
    });
    await page.getByRole('button', { name: 'Upload' }).click();
    await page.getByRole('button', { name: 'What would come of it?' }).click();
    await page.getByText('2 of 5 events would be counted.').waitFor();
    await expectAccessible(page, 'a recording');
    expect(await boards()).toEqual(before);

    await page.getByRole('button', { name: 'Start…' }).click();
    const dialog = await dialogOf(page, 'Start the replay');
    await dialog.getByLabel('Reason').fill('an outage lost them');
    await dialog.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByText('done', { exact: true }).waitFor();
    await page.getByText('6 of 6 lines').waitFor();
    await counts('what is new', 960);
    expect(others(await boards())).toEqual(others(before));

    await page.getByRole('button', { name: 'What would come of it?' }).click();
    await page.getByText('0 of 5 events would be counted.').waitFor();
    await deleteIt();
    await at().visit('boards/xp?window=all-time');
    await page.locator('tr[data-subject="recorded"]').filter({ hasText: '960' }).waitFor();
    expect(at().faults()).toEqual([]);
  }, 180_000);
}
