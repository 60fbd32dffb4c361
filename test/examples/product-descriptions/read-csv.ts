/** A small strict RFC 4180 reader for tests. Throws Error with the line on broken quoting. */
export function readCsv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  let at = 0;
  while (at < text.length) {
    const { value, end } = text[at] === '"' ? quotedField(text, at) : plainField(text, at);
    row.push(value);
    if (text[end] === ',') {
      at = end + 1;
      continue;
    }
    if (text[end] !== '\n')
      throw new Error(`row ${rows.length + 1}: expected a comma or a line end at ${end}`);
    rows.push(row);
    row = [];
    at = end + 1;
  }
  return rows;
}

function plainField(text: string, at: number): { value: string; end: number } {
  let end = at;
  while (end < text.length && text[end] !== ',' && text[end] !== '\n') end += 1;
  const value = text.slice(at, end);
  if (/["\r]/.test(value)) throw new Error(`stray quote or carriage return at ${at}`);
  return { value, end };
}

function quotedField(text: string, at: number): { value: string; end: number } {
  let value = '';
  let end = at + 1;
  while (end < text.length) {
    if (text[end] !== '"') value += text[end];
    else if (text[end + 1] === '"') {
      value += '"';
      end += 1;
    } else return { value, end: end + 1 };
    end += 1;
  }
  throw new Error(`quoted field that starts at ${at} never ends`);
}
