import { printable } from './printable.ts';

/** Writes a result to stdout. Like all that is written here, it may hold text of data or models: see `printable`. */
export function print(text: string): void {
  process.stdout.write(`${printable(text)}\n`);
}

/** Writes what happens on the way to stderr. */
export function say(text: string): void {
  process.stderr.write(`${printable(text)}\n`);
}

/** A status line that is redrawn in place on a terminal; elsewhere only real lines are written. */
export class StatusLine {
  #shown = false;

  line(text: string): void {
    this.clear();
    say(text);
  }

  update(text: string): void {
    if (!process.stderr.isTTY) return;
    const columns = process.stderr.columns || 100;
    const line = printable(text)
      .replaceAll(/\s/g, ' ')
      .slice(0, columns - 1);
    process.stderr.write(`\r\u001b[2K${line}`);
    this.#shown = true;
  }

  clear(): void {
    if (this.#shown) process.stderr.write('\r\u001b[2K');
    this.#shown = false;
  }
}

/** A plain-text table with aligned columns. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
