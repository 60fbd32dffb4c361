import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';

/** What a number on the command line must be. */
export interface NumberRule {
  readonly min: number;
  readonly max: number;
  readonly integer?: boolean;
  /** What is wanted, with an example: "a number from 0 to 1, such as 0.8". */
  readonly wanted: string;
}

/**
 * A parser for the value of one option. Plain decimal notation only: `80%`, `0,8` and `10m` mean different things to
 * different people. Throws `INVALID_SPEC` that quotes what was written.
 */
export function numberOption(option: string, { min, max, integer = false, wanted }: NumberRule) {
  return (text: string): number => {
    const value = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(text.trim()) ? Number(text) : Number.NaN;
    if (value >= min && value <= max && (!integer || Number.isInteger(value))) return value;
    const message = `${option}: "${text}" is not ${wanted}.`;
    throw new EscadaFailure({ code: 'INVALID_SPEC', message, fields: { option, written: text } });
  };
}
