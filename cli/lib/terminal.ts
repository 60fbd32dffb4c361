/** Writes to the two streams: results to stdout, everything that happens on the way to stderr. */
export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function say(text: string): void {
  process.stderr.write(`${text}\n`);
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
    process.stderr.write(`\r\u001b[2K${text.slice(0, columns - 1)}`);
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
