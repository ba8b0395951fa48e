import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { launch, settled, wearScheme } from './browser.js';
import { startInstallation } from './installation.js';

/** What `make screenshots` does: the sample season on every page, light and dark, to docs/screenshots/. */
const FOLDER = fileURLToPath(new URL('../../docs/screenshots/', import.meta.url));
const SEASON = fileURLToPath(new URL('../../sample_events/season.ndjson', import.meta.url));
const RECORDED_LINES = 500;
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

/** A recording that is uploaded and judged, and not started. */
async function openRecording(page: Page, address: string): Promise<void> {
  await page.goto(address);
  const [chooser] = await Promise.all([
    page.waitForEvent('filechooser'),
    page.getByRole('button', { name: 'File' }).click(),
  ]);
  const lines = readFileSync(SEASON, 'utf8').split('\n').slice(0, RECORDED_LINES);
  // The season was fed as it is: these are others, which came just now.
  const events = lines.map((line, number) => ({
    ...(JSON.parse(line) as object),
    id: `recorded-${String(number)}`,
    ts: Date.now() - number * 1_000,
  }));
  const buffer = Buffer.from(events.map((event) => `${JSON.stringify(event)}\n`).join(''));
  await chooser.setFiles({ name: 'lost-in-an-outage.ndjson', mimeType: 'application/x-ndjson', buffer });
  await page.getByRole('button', { name: 'Upload' }).click();
  await page.getByRole('button', { name: 'What would come of it?' }).click();
  await page.getByText('events would be counted.').waitFor();
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
    await openRecording(page, `${installation.adminUrl}/g/demo/replay`);
    await shoot(page, 'recording');
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
