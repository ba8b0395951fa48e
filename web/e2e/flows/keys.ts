import { expect, test } from '@jest/globals';
import { eventually } from '../../../pkg/testkit/eventually.js';
import type { Schema } from '../admin-api.js';
import {
  dialogOf,
  eventuallyTold,
  expectAccessible,
  expectFocusSeen,
  post,
  progression,
  type Stage,
} from '../stage.js';

const OLD = 'of-the-last-build';
const ENDS_IN_MS = 3_000;

/** What `<input type="datetime-local">` takes: the clock of the page's zone. */
const localTime = (atMs: number): string => {
  const at = new Date(atMs - new Date(atMs).getTimezoneOffset() * 60_000);
  return at.toISOString().slice(0, 'YYYY-MM-DDTHH:MM:SS'.length);
};

export function keyFlows(at: () => Stage): void {
  /** Makes a key on the page, and answers what signs with it. */
  const makeKey = async (name: string) => {
    const { page, installation } = at();
    await page.getByRole('button', { name: 'New key' }).click();
    const dialog = await dialogOf(page, 'New key');
    await dialog.getByLabel('Name').fill(name);
    await dialog.getByRole('button', { name: 'Make the key' }).click();
    return installation.clientOf(name, await keepSecret());
  };
  const keepSecret = async (): Promise<string> => {
    const { page } = at();
    const secret = (await page.getByTestId('secret').innerText()).trim();
    await expectAccessible(page, 'a secret', '[role="dialog"]');
    await page.getByRole('button', { name: 'I have kept it' }).click();
    return secret;
  };
  const act = async (key: string, item: string): Promise<void> => {
    const { page } = at();
    await page.getByRole('button', { name: `What to do with ${key}` }).click();
    await page.getByRole('menuitem', { name: item }).click();
  };
  const rowOf = (key: string) =>
    at()
      .page.getByRole('row')
      .filter({ has: at().page.getByText(key, { exact: true }) });

  test('a key is made, signs, and is refused once it is revoked', async () => {
    const { page } = at();
    await at().goTo('Keys');
    const client = await makeKey('browser-made');
    await eventuallyTold(
      'the new key is good',
      async () => (await post(client, progression('by-key', 1))) === 202,
    );
    await act('browser-made', 'Revoke');
    const dialog = await dialogOf(page, 'Revoke browser-made?');
    await dialog.getByLabel('Reason').fill('made by a test');
    await dialog.getByRole('button', { name: 'Revoke at once' }).click();
    await rowOf('browser-made').getByText('revoked').waitFor();
    await eventuallyTold(
      'the key is refused',
      async () => (await post(client, progression('by-key', 1))) === 401,
    );
    expect(at().faults()).toEqual([]);
  }, 180_000);

  test('a rotated key goes on beside the new one, and dies at its date and not before', async () => {
    const { page, admin, installation } = at();
    const stateOf = async (key: string) =>
      (await admin.get<Schema<'KeyList'>>('/keys')).items.find(({ keyId }) => keyId === key);
    await at().goTo('Keys');
    const old = await makeKey(OLD);
    await eventuallyTold(
      'the old key is good',
      async () => (await post(old, progression('by-key', 1))) === 202,
    );

    await act(OLD, 'Rotate');
    const dialog = await dialogOf(page, `Rotate ${OLD}`);
    await page.keyboard.press('Escape');
    await expectFocusSeen(page, `What to do with ${OLD}`);
    await act(OLD, 'Rotate');
    await dialog.getByRole('combobox', { name: 'The old key goes on for' }).click();
    await page.getByRole('option', { name: 'an hour' }).click();
    await dialog.getByRole('button', { name: 'Rotate' }).click();
    const reveal = page.getByRole('dialog', { name: /^Secret of/ });
    const fresh = (await reveal.locator('b').innerText()).trim();
    const next = installation.clientOf(fresh, await keepSecret());
    await rowOf(OLD).getByText('retiring').waitFor();
    await eventuallyTold(
      'the new key is good',
      async () => (await post(next, progression('by-key', 1))) === 202,
    );
    expect(await post(old, progression('by-key', 1))).toBe(202);

    await act(OLD, 'End at a date');
    const ending = await dialogOf(page, `End ${OLD} at a date`);
    const endsAtMs = Math.ceil(Date.now() / 1_000) * 1_000 + ENDS_IN_MS;
    await ending.getByLabel('It is refused from').fill(localTime(endsAtMs));
    await ending.getByRole('button', { name: 'End it then' }).click();
    await ending.waitFor({ state: 'hidden' });
    const { notAfter } = (await stateOf(OLD)) ?? {};
    const diesAtMs = Date.parse(notAfter ?? '');
    expect(diesAtMs).toBeLessThanOrEqual(Math.max(endsAtMs, Date.now()));
    const told = rowOf(OLD).locator(`time[datetime="${new Date(diesAtMs).toISOString()}"]`);
    await eventually('the page shows its date', async () => (await told.count()) === 1);

    await eventuallyTold(
      'the old key is refused',
      async () => (await post(old, progression('by-key', 1))) === 401,
    );
    // Told by the same clock: whenever the refusal came, the date had passed.
    expect(Date.now()).toBeGreaterThanOrEqual(diesAtMs);
    expect(await post(next, progression('by-key', 1))).toBe(202);
    // As somebody who comes back to the page: it would see so by itself, too, some seconds later.
    await page.evaluate(`document.dispatchEvent(new Event('visibilitychange'))`);
    await rowOf(OLD).getByText('retired').waitFor();
    expect(at().faults()).toEqual([]);
  }, 180_000);
}
