import { expect, test } from '@jest/globals';
import { eventually } from '../../../pkg/testkit/eventually.js';
import { dialogOf, expectAccessible, postAll, progression, type Stage } from '../stage.js';

const KNOWN = [10, 20, 30].map((xp, number) => progression('recorded', xp, `recorded-${String(number)}`));
const NEW = [400, 500].map((xp, number) => progression('recorded', xp, `lost-${String(number)}`));
const FILE = [...[...KNOWN, ...NEW].map((event) => JSON.stringify(event)), 'this is no event', ''].join('\n');

export function replayFlow(at: () => Stage): void {
  test('a recording is judged, replayed and counts what is new once; what was known moves nothing', async () => {
    const { page, admin, installation } = at();
    const boards = () => admin.boards();
    const xpIn = (rows: Awaited<ReturnType<typeof boards>>) =>
      [...rows]
        .filter(([name]) => name.startsWith('xp?'))
        .map(([, entries]) => entries.find(({ subject }) => subject === 'recorded')?.score);
    await postAll(installation.client, KNOWN);
    await eventually('what was posted counts', async () =>
      xpIn(await boards()).every((score) => score === 60),
    );
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
      buffer: Buffer.from(FILE),
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
    await eventually('what is new counts', async () => xpIn(await boards()).every((score) => score === 960));
    expect(others(await boards())).toEqual(others(before));

    await page.getByRole('button', { name: 'What would come of it?' }).click();
    await page.getByText('0 of 5 events would be counted.').waitFor();
    await at().open('boards/xp?window=all-time');
    expect(await page.locator('tr[data-subject="recorded"]').innerText()).toContain('960');
    expect(at().faults()).toEqual([]);
  }, 180_000);
}
