import { EscadaFailure, isEscadaFailure } from '../../plugins/sdk/contracts/failure.ts';

/** One thing that is wrong with a spec. */
export interface Issue {
  /** Where, as a user would write it: `rungs.peft.learningRates[0]`. */
  readonly path: string;
  readonly message: string;
}

/** A file of nothing but mistakes must not become a message of megabytes. */
const [MAX_KEPT, MAX_SHOWN, MAX_CHARS] = [200, 50, 500];

/** Collects issues so that a user hears of all of them at once. */
export class IssueList {
  readonly issues: Issue[] = [];
  readonly #messages = new Set<string>();
  #count = 0;

  add(path: string, message: string): void {
    this.#count += 1;
    if (this.full) return;
    this.issues.push({ path: shortened(path), message: shortened(message) });
    this.#messages.add(shortened(message));
  }

  /** More are not kept, and looking for them is not worth the time. */
  get full(): boolean {
    return this.issues.length >= MAX_KEPT;
  }

  /** Whether this was said already, of whichever field. */
  has(message: string): boolean {
    return this.#messages.has(shortened(message));
  }

  /**
   * Runs a check; its coded failure becomes an issue at the path and null is returned. A full list has no room for
   * another: the check is left out.
   */
  attempt<T>(path: string, check: () => T): T | null {
    if (this.full) return null;
    try {
      return check();
    } catch (error) {
      if (!isEscadaFailure(error)) throw error;
      this.add(path, error.message);
      return null;
    }
  }

  /** Throws `INVALID_SPEC` when anything was added. Issues are in the message, since UIs fold the details away. */
  throwIfAny(): void {
    if (this.issues.length === 0) return;
    const shown = this.issues.slice(0, MAX_SHOWN);
    const lines = shown.map(({ path, message }) => `${path}: ${message}`);
    if (this.#count > MAX_SHOWN) lines.push(`and ${this.#count - MAX_SHOWN} more`);
    throw new EscadaFailure({
      code: 'INVALID_SPEC',
      message: `The spec is not valid:\n- ${lines.join('\n- ')}`,
      fields: { issues: shown.map(({ path, message }) => ({ path, message })) },
    });
  }
}

function shortened(text: string): string {
  return text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}…` : text;
}
