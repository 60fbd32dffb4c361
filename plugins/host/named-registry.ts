import type { ErrorCode } from '../../schemas/errors/error-codes.ts';
import { nearest } from '../../schemas/common/nearest.ts';
import { EscadaFailure } from '../sdk/contracts/failure.ts';

/** Components of one kind by their names, each with the plugin that brought it. */
export class NamedRegistry<T> {
  readonly kind: string;
  readonly #entries = new Map<string, { readonly value: T; readonly owner: string }>();

  /** `kind` is what messages call a component. */
  constructor(kind: string) {
    this.kind = kind;
  }

  /** Throws `PLUGIN_DUPLICATE` with both owners when the name is taken. */
  add(name: string, value: T, owner: string): void {
    const before = this.#entries.get(name);
    if (before !== undefined) {
      throw new EscadaFailure({
        code: 'PLUGIN_DUPLICATE',
        message: `Plugin ${owner} brings the ${this.kind} "${name}", which plugin ${before.owner} has brought already. Remove one of the two plugins, or rename what one of them brings.`,
        fields: { name, owner, before: before.owner },
      });
    }
    this.#entries.set(name, { value, owner });
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Throws `code` with the known names and the nearest one. */
  get(name: string, code: ErrorCode = 'INVALID_SPEC'): T {
    const entry = this.#entries.get(name);
    if (entry !== undefined) return entry.value;
    const guess = nearest(name, this.names());
    throw new EscadaFailure({
      code,
      message: `There is no ${this.kind} "${name}".${guess === null ? '' : ` Did you mean "${guess}"?`} Known: ${this.names().join(', ')}.`,
      fields: { name, known: this.names() },
    });
  }

  names(): string[] {
    return [...this.#entries.keys()].sort();
  }

  /** The plugin that brought a name; undefined for a name that nobody brought. */
  ownerOf(name: string): string | undefined {
    return this.#entries.get(name)?.owner;
  }

  /** Names of what one plugin brought. */
  namesOf(owner: string): string[] {
    return this.names().filter((name) => this.#entries.get(name)?.owner === owner);
  }

  values(): T[] {
    return this.names().map((name) => this.get(name));
  }
}
