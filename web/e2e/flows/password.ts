import { expect, test } from '@jest/globals';
import { settled } from '../browser.js';
import { expectAccessible, expectFits, type Stage } from '../stage.js';

/** Of the admin once this flow is over. */
export const OWN_PASSWORD = 'chosen by nobody but me';

export function passwordFlow(at: () => Stage): void {
  test('the first password is told as one on every page until it is changed, which takes knowing it', async () => {
    const { page, installation } = at();
    const reminder = page.getByText('Your password is still the first one.');
    await at().goTo('Overview');
    await reminder.waitFor();
    await page.getByRole('link', { name: 'Choose your own' }).click();
    await page.getByRole('heading', { level: 1, name: 'Account' }).waitFor();
    await settled(page);
    await expectAccessible(page, 'account');
    await expectFits(page, 'account');
    const change = async (old: string, next: string): Promise<void> => {
      await page.getByLabel('Old password').fill(old);
      await page.getByLabel('New password').fill(next);
      await page.getByRole('button', { name: 'Change the password' }).click();
    };
    await change('not the password', OWN_PASSWORD);
    await page.getByText('This is not your password.').waitFor();
    await change(installation.password, installation.password);
    await page.getByText('At least 12 characters, and not the old one.').waitFor();
    // The browser itself tells refusals in the console.
    expect(
      at()
        .faults()
        .filter((fault) => !fault.includes('/auth/password')),
    ).toEqual([]);
    await change(installation.password, OWN_PASSWORD);
    await page.getByText('Changed. Your other sessions have ended.').waitFor();
    expect(await page.getByLabel('Old password').inputValue()).toBe('');
    await page.getByRole('link', { name: 'Back to the game' }).click();
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await reminder.waitFor({ state: 'hidden' });
    expect(at().faults()).toEqual([]);
  }, 180_000);
}
