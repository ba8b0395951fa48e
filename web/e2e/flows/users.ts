import { expect, test } from '@jest/globals';
import { settled, watchedPage } from '../browser.js';
import { dialogOf, expectAccessible, expectFocusSeen, signIn, type Stage } from '../stage.js';

const NAME = 'newcomer';
const PASSWORD = 'a password of their own';

export function usersFlow(at: () => Stage): void {
  test('a user is added, has to choose a password before anything else, and sees nothing any more once removed', async () => {
    const { page, browser, installation } = at();
    await at().goTo('Users');
    await page.getByRole('button', { name: 'Add a user' }).click();
    const adding = await dialogOf(page, 'Add a user');
    await adding.getByLabel('Name').fill(NAME);
    await adding.getByRole('button', { name: 'Add', exact: true }).click();
    const first = (await page.getByTestId('secret').innerText()).trim();
    await page.getByRole('button', { name: 'I have kept it' }).click();

    const context = await browser.newContext({ reducedMotion: 'reduce' });
    const theirs = await watchedPage(context, installation.adminUrl);
    await theirs.page.goto(installation.adminUrl);
    await signIn(theirs.page, first, NAME);
    await theirs.page.getByRole('heading', { level: 1, name: 'Choose your password' }).waitFor();
    await expectAccessible(theirs.page, 'a first password');
    await theirs.page.getByLabel('Old password').fill(first);
    await theirs.page.getByLabel('New password').fill(PASSWORD);
    await theirs.page.getByRole('button', { name: 'Change the password' }).click();
    await theirs.page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor();
    await settled(theirs.page);

    const row = page.getByRole('row').filter({ hasText: NAME });
    await row.getByRole('button', { name: 'Remove' }).click();
    const removing = await dialogOf(page, `Remove ${NAME} from this game?`);
    await page.keyboard.press('Escape');
    await removing.waitFor({ state: 'hidden' });
    await expectFocusSeen(page, 'Remove');
    await page.keyboard.press('Enter');
    await removing.getByRole('button', { name: 'Remove', exact: true }).click();
    await row.waitFor({ state: 'detached' });
    expect(await page.evaluate(`document.activeElement.id`)).toBe('page-title');
    await theirs.page.reload();
    await theirs.page
      .getByText('You have no role in any game yet.')
      .or(theirs.page.getByText('in which you have a role'))
      .waitFor();
    expect([at().faults(), theirs.faults]).toEqual([[], []]);
    await context.close();
  }, 180_000);
}
