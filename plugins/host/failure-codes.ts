import {
  builtInEntry,
  isPluginCode,
  type ErrorEntry,
  type FailureCode,
} from '../../schemas/errors/error-codes.ts';
import { EscadaFailure } from '../sdk/contracts/failure.ts';
import type { PluginV1 } from '../sdk/contracts/plugin.ts';

/** A failure with the entry of its code. */
export interface KnownFailure {
  readonly failure: EscadaFailure;
  readonly entry: ErrorEntry;
}

/** The built-in failure codes and those that plugins declare. */
export class FailureCodes {
  readonly #entries = new Map<string, ErrorEntry>();

  /** Adds a plugin's table. Throws `PLUGIN_INVALID` for a code or an entry that cannot be used. */
  add({ name, failureCodes = {} }: Pick<PluginV1, 'name' | 'failureCodes'>, label: string): void {
    for (const [code, entry] of Object.entries(failureCodes)) {
      const full = `${name}/${code}`;
      const problem = isPluginCode(full)
        ? lackOf(entry)
        : 'a code is written in capitals, digits and underscores';
      if (problem !== null) {
        throw new EscadaFailure({
          code: 'PLUGIN_INVALID',
          message: `Plugin ${label}, failureCodes.${code}: ${problem}.`,
          fields: { plugin: name, failureCode: code },
        });
      }
      this.#entries.set(full, entry);
    }
  }

  /** Codes of one plugin, with its name in front. */
  namesOf(plugin: string): string[] {
    return [...this.#entries.keys()].filter((code) => code.startsWith(`${plugin}/`)).sort();
  }

  entry(code: FailureCode): ErrorEntry | undefined {
    return builtInEntry(code) ?? this.#entries.get(code);
  }

  /** A failure with its entry; one whose code nobody declares becomes an `INTERNAL` one that names plugin and code. */
  known(failure: EscadaFailure): KnownFailure {
    const entry = this.entry(failure.code);
    if (entry !== undefined) return { failure, entry };
    const plugin = failure.code.split('/')[0] ?? '';
    const internal = new EscadaFailure({
      code: 'INTERNAL',
      message: `Plugin ${plugin} failed with the code "${failure.code}", which its failureCodes do not declare: ${failure.message}`,
      fields: { ...failure.fields, undeclared: failure.code },
      cause: failure,
    });
    return { failure: internal, entry: { ...INTERNAL, retryable: false } };
  }
}

const INTERNAL = builtInEntry('INTERNAL') as ErrorEntry;

function lackOf(entry: ErrorEntry): string | null {
  const { meaning, help, retryable } = entry as { readonly [K in keyof ErrorEntry]?: unknown };
  if (typeof meaning !== 'string' || meaning === '') return '`meaning` must be a sentence';
  if (typeof help !== 'string' || help === '') return '`help` must say what the user can do';
  return typeof retryable === 'boolean' ? null : '`retryable` must be true or false';
}
