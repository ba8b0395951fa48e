import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { launch, settled, wearScheme } from './browser.js';
import { startInstallation } from './installation.js';

/** What `make screenshots` does: the sample season on every page, light and dark, to docs/screenshots/. */
const FOLDER = fileURLToPath(new URL('../../docs/screenshots/', import.meta.url));
const SCHEMES = ['light', 'dark'] as const;
const BYTES_MAX = 150_000;
/** Charts and streams show what they have a moment after the page is there. */
const CALM_MS = 1_500;

async function shoot(page: Page, name: string): Promise<void> {
  for (const scheme of SCHEMES) {
    await wearScheme(page, scheme);
    const path = join(FOLDER, `${name}-${scheme}.png`);
    await page.waitForTimeout(CALM_MS);
    await page.screenshot({ path, animations: 'disabled' });
    const { size } = statSync(path);
    console.log(`docs/screenshots/${name}-${scheme}.png ${String(Math.ceil(size / 1000))} kB`);
    if (size > BYTES_MAX)
      throw new Error(`${path} has ${String(size)} bytes, more than ${String(BYTES_MAX)}`);
  }
}

const nameOf = (place: string): string => place.toLowerCase().replaceAll(/[^a-z]+/g, '-');

async function main(): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  console.log('Starting everything and feeding the sample season ...');
  const installation = await startInstallation({ SAMPLE_EVENTS: 'on' });
  const browser = await launch();
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
    await page.goto(installation.adminUrl);
    await page.getByLabel('Password', { exact: true }).waitFor();
    await shoot(page, 'sign-in');
    await page.getByLabel('Name').fill('admin');
    await page.getByLabel('Password', { exact: true }).fill(installation.password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.waitForURL(/overview$/);
    const links = page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
    for (const place of await links.allInnerTexts()) {
      await links.filter({ hasText: place }).click();
      await page.getByRole('heading', { level: 1, name: place }).waitFor();
      await settled(page);
      await shoot(page, nameOf(place));
    }
    await page.goto(`${installation.adminUrl}/g/demo/players`);
    await page.getByRole('table', { name: 'Players' }).getByRole('link').first().click();
    await page.getByRole('heading', { level: 2, name: 'On the boards' }).waitFor();
    await settled(page);
    await shoot(page, 'player');
    await page.goto(`${installation.adminUrl}/account`);
    await settled(page);
    await shoot(page, 'account');
  } finally {
    await browser.close();
    await installation.stop();
  }
}

await main();
