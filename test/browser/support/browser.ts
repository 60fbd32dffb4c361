/** A headless Chromium for tests, and where its pictures go. */
import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser, type Page } from 'playwright-core';
import { findBrowser } from '../../../tools/test/browser.mjs';

/** Screenshots to look at; git ignores them. */
export const PICTURES = fileURLToPath(new URL('../../../test-output/', import.meta.url));

/** No sandbox: containers run as root. The rest keeps the browser from calling home. */
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Longest wait for anything on a page. */
export const PATIENCE_MS = 20_000;

/** Why the tests of a browser cannot run; false when they can. */
export async function reasonToSkipBrowser(): Promise<string | false> {
  return (await findBrowser()) === null ? 'no Chromium: install it or set CHROMIUM_PATH' : false;
}

/** Starts Chromium. Close it. */
export async function openBrowser(): Promise<Browser> {
  await mkdir(PICTURES, { recursive: true });
  const executablePath = await findBrowser();
  if (executablePath === null) throw new Error('no Chromium');
  return await chromium.launch({ executablePath, args: FLAGS });
}

/** A window of this size and colour scheme. */
export async function openPage(
  browser: Browser,
  view: { readonly width: number; readonly height: number; readonly scheme?: 'light' | 'dark' },
): Promise<Page> {
  const { width, height, scheme = 'light' } = view;
  const page = await browser.newPage({ viewport: { width, height }, colorScheme: scheme });
  page.setDefaultTimeout(PATIENCE_MS);
  return page;
}

/** Takes a picture for people to look at. */
export async function picture(page: Page, name: string, fullPage = false): Promise<void> {
  await page.screenshot({ path: `${PICTURES}${name}.png`, fullPage });
}
