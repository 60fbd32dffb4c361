import type { PullEvent } from '../../runtime/hub/client.ts';
import { inMegabytes } from '../../runtime/hub/failures.ts';
import { StatusLine } from './terminal.ts';

const REDRAW_EVERY_MS = 200;
/** Where nothing can be redrawn, a new line shows the progress from time to time. */
const LINE_EVERY_MS = 30_000;

/** Tells a pull on standard error: lines for what happened, and how far it is. */
export class PullLog {
  readonly #what: string;
  readonly #status = new StatusLine();
  readonly #everyMs = process.stderr.isTTY ? REDRAW_EVERY_MS : LINE_EVERY_MS;
  #writtenMs = Date.now();
  /** When the first bytes came; the speed is counted from there. */
  #sinceMs: number | null = null;

  constructor(what: string) {
    this.#what = what;
  }

  line(text: string): void {
    this.#status.line(`${this.#what}: ${text}`);
  }

  add(event: PullEvent): void {
    switch (event.kind) {
      case 'note':
        return this.line(event.text);
      case 'wait':
        return this.line(`${event.reason}; next try in ${event.seconds} s`);
      case 'file':
        return this.line(`${event.name} (${inMegabytes(event.sizeBytes)}), digest checked`);
      case 'plan':
        return this.line(planText(event));
      case 'progress':
        return this.#progress(event);
    }
  }

  close(): void {
    this.#status.clear();
  }

  #progress({ doneBytes, totalBytes, receivedBytes }: PullEvent & { kind: 'progress' }): void {
    const nowMs = Date.now();
    this.#sinceMs ??= nowMs;
    if (nowMs - this.#writtenMs < this.#everyMs || totalBytes === 0) return;
    this.#writtenMs = nowMs;
    const perSecond = (receivedBytes / Math.max(1, nowMs - this.#sinceMs)) * 1000;
    const left = perSecond > 0 ? `, ${Math.ceil((totalBytes - doneBytes) / perSecond)} s left` : '';
    const share = Math.floor((doneBytes / totalBytes) * 100);
    const text = `${inMegabytes(doneBytes)} of ${inMegabytes(totalBytes)} (${share} %), ${inMegabytes(Math.round(perSecond))}/s${left}`;
    if (process.stderr.isTTY) this.#status.update(`${this.#what}: ${text}`);
    else this.line(text);
  }
}

function planText({ commit, files, totalBytes, leftBytes, folder }: PullEvent & { kind: 'plan' }): string {
  const kept = leftBytes < totalBytes ? `, ${inMegabytes(leftBytes)} of them still to come` : '';
  return `commit ${commit}, ${files} files, ${inMegabytes(totalBytes)}${kept}, to ${folder}`;
}
