import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { eventually } from '../../pkg/testkit/eventually.js';

const PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
];

/** @throws Error that says how to get one, where no browser is found */
export function chromiumPath(): string {
  const named = process.env['CHROMIUM_PATH'] ?? '';
  const found = named === '' ? PLACES.find((path) => existsSync(path)) : named;
  if (found !== undefined && existsSync(found)) return found;
  const looked = named === '' ? `none of ${PLACES.join(', ')}` : `CHROMIUM_PATH names ${named}, which is not`;
  throw new Error(
    `The tests of the dashboard drive Chromium, and there is ${looked}. ` +
      'Install it (Debian: apt-get install chromium), or name it in CHROMIUM_PATH.',
  );
}

/** The installed Chromium, without a window. Root has no sandbox to start it in. */
export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: chromiumPath(),
    args: [
      ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
      '--disable-dev-shm-usage',
      '--disable-gpu',
      '--disable-extensions',
    ],
  });

/** Reports of the Content-Security-Policy, put where errors of the page are seen. */
const TELL_REPORTS = `document.addEventListener('securitypolicyviolation', (report) =>
  console.error('CSP: ' + report.violatedDirective + ' refused ' + report.blockedURI + ' ' + report.sample));`;

export interface Watched {
  readonly page: Page;
  /** What a page must never have: errors in its console, exceptions, reports of its policy, dialogs, requests elsewhere. */
  readonly faults: string[];
}

/** A page of which nothing bad goes unseen. */
export async function watchedPage(context: BrowserContext, origin: string): Promise<Watched> {
  const page = await context.newPage();
  const faults: string[] = [];
  await page.addInitScript({ content: TELL_REPORTS });
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(`${message.text()} (${message.location().url})`);
  });
  page.on('pageerror', (error) => faults.push(error.stack ?? error.message));
  page.on('dialog', (dialog) => {
    faults.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.origin !== origin && !['data:', 'blob:'].includes(url.protocol))
      faults.push(`a request elsewhere: ${request.url()}`);
  });
  return { page, faults };
}

/** The page has its heading, and nothing on it is still being loaded. */
export async function settled(page: Page): Promise<void> {
  await page.locator('#page-title').waitFor();
  const loading = page.locator('[aria-busy="true"], [aria-label="Loading"]');
  await eventually('everything on the page is loaded', async () => (await loading.count()) === 0);
}

/** The colours that the viewer's system asks for; waits until the page has them. */
export async function wearScheme(page: Page, colorScheme: 'light' | 'dark'): Promise<void> {
  await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
  await page.locator(`html[data-mantine-color-scheme="${colorScheme}"]`).waitFor();
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Finding {
  readonly id: string;
  readonly impact: string;
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
}

export interface Looked {
  /** All of WCAG 2.2 AA where none is named. */
  readonly rules?: readonly string[] | undefined;
  /** A CSS selector; the whole page where there is none. */
  readonly within?: string | undefined;
}

/** What axe-core finds serious or critical on the page as it is. */
export async function violations(page: Page, { rules, within }: Looked = {}): Promise<string[]> {
  if (!(await page.evaluate<boolean>(`'axe' in window`))) await page.evaluate(AXE);
  const only =
    rules === undefined
      ? { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }
      : { type: 'rule', values: rules };
  const where = within === undefined ? 'document' : JSON.stringify(within);
  const found = await page.evaluate<readonly Finding[]>(
    `axe.run(${where}, { runOnly: ${JSON.stringify(only)}, resultTypes: ['violations'] }).then((all) =>
      all.violations.map(({ id, impact, nodes }) => ({ id, impact,
        nodes: nodes.map(({ html, failureSummary }) => ({ html, failureSummary })) })))`,
  );
  return found
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ id, impact, nodes }) =>
      nodes.map(
        ({ html, failureSummary }) => `${impact} ${id}: ${html.slice(0, 300)} ${failureSummary ?? ''}`,
      ),
    );
}
