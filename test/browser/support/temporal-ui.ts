/** What people do in the Temporal UI (2.54): start a run with a form, look at it, send it an update. */
import type { Locator, Page } from 'playwright-core';

/** The UI listens 1000 ports above its server. */
const UI_OFFSET = 1000;

/** What the form shows in every state, outside of the editor: a safe place to click. */
const BESIDE_EDITOR = 'Single JSON payload supported.';

/** Root of the UI of a server of ours. */
export function uiUrl(server: { readonly port: number }): string {
  return `http://127.0.0.1:${server.port + UI_OFFSET}/namespaces/default`;
}

/** Puts a text into a code editor. Not typed: the editor would add closing brackets of its own. */
export async function paste(page: Page, editor: Locator, text: string): Promise<void> {
  await editor.click();
  await page.keyboard.press('Control+A');
  await page.keyboard.insertText(text);
}

/** Opens the form that starts a run, with everything filled in but the input. */
export async function openStartForm(
  page: Page,
  base: string,
  fields: { readonly workflowId: string; readonly taskQueue: string; readonly workflowType: string },
): Promise<void> {
  await page.goto(`${base}/workflows/start-workflow?${new URLSearchParams(fields).toString()}`);
  await page.getByText('Task Queue is Active').waitFor();
}

/** Gives the form one JSON value and starts the run; waits for the UI to say that it was started. */
export async function startRun(page: Page, input: unknown): Promise<void> {
  await paste(page, page.locator('.cm-content[contenteditable=true]').first(), JSON.stringify(input));
  // Leaving the editor re-formats the text and moves the button: a click straight from the editor would be lost.
  await page.keyboard.press('Tab');
  await page.getByText(BESIDE_EDITOR).click();
  await page.getByText('"seed"').or(page.locator('.cm-line').nth(3)).first().waitFor();
  await press(page, 'Start Workflow');
  // Said twice: in the link to the run, and once more for who cannot see.
  await page.getByRole('link', { name: 'Workflow started successfully' }).waitFor();
}

/** Presses the button with this label; the last one, where a page repeats its title on a button. */
export async function press(page: Page | Locator, label: string): Promise<void> {
  await page.getByRole('button', { name: label, exact: true }).last().click();
}

/** Opens a run's page, or one of its tabs by its label. */
export async function openRun(page: Page, base: string, workflowId: string, tab?: string): Promise<void> {
  await page.goto(`${base}/workflows/${encodeURIComponent(workflowId)}`);
  if (tab !== undefined)
    await page
      .getByRole('tab', { name: tab })
      .or(page.getByText(tab, { exact: true }))
      .first()
      .click();
}

/** The dashboard as the UI renders it: the Markdown is in a frame of its own. */
export function dashboard(page: Page): Locator {
  return page.frameLocator('iframe[src*="/render"]').last().locator('body');
}

/** Sends an update by hand: More Actions, Send an Update, name, data, Submit. Waits until the dialog has closed. */
export async function sendUpdate(page: Page, name: string, data: unknown): Promise<void> {
  await press(page, 'More Actions');
  await page.getByRole('menuitem', { name: 'Send an Update' }).click();
  const dialog = page.locator('dialog[open]');
  await page.locator('[data-testid=update-select-button]:visible').click();
  await page.getByRole('option', { name }).first().click();
  await paste(page, dialog.locator('.cm-content[contenteditable=true]'), JSON.stringify(data));
  await page.keyboard.press('Tab');
  await press(dialog, 'Submit');
  await dialog.waitFor({ state: 'hidden' });
}
