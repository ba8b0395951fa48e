import { expect, test } from '@jest/globals';
import { expectAccessible, postBody, type Stage } from '../stage.js';

const WAIT_MS = 60_000;

export function refusedEventFlow(at: () => Stage): void {
  test('a refused event is found in the debugger with why and what was sent, and counted by its build', async () => {
    const { page, installation } = at();
    const event = { id: 'wrong-1', type: 'progression', playerId: 'mistaken', ts: Date.now() };
    const payload = { deltaXp: 'many', activity: 'quest', sessionToken: 'hush' };
    const sent = { context: { build: '9.9.1-wrong' }, events: [{ ...event, payload }] };
    expect((await postBody(installation.client, '/v1/events/batch', sent)).status).toBe(202);
    await at().goTo('Event debugger');
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
    await expectAccessible(page, 'a refused event');
    await at().goTo('Overview');
    const counts = page.getByRole('table', { name: 'Refusals by reason and build' });
    const count = counts.getByRole('row').filter({ hasText: '9.9.1-wrong' });
    await count.waitFor({ timeout: WAIT_MS });
    expect(await count.innerText()).toMatch(/invalid_number[^]*1$/);
    expect(at().faults()).toEqual([]);
  }, 180_000);
}
