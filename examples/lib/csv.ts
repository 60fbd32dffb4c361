/** Writes rows as RFC 4180 CSV with LF line ends; a field is quoted only where it must be. */
export function toCsv(header: readonly string[], rows: readonly (readonly string[])[]): string {
  return [header, ...rows].map((row) => row.map(csvField).join(',')).join('\n') + '\n';
}

function csvField(value: string): string {
  // Outer blanks are quoted too, because some readers trim unquoted fields.
  const mustQuote = /[",\r\n]/.test(value) || value.trim() !== value;
  return mustQuote ? `"${value.replaceAll('"', '""')}"` : value;
}
