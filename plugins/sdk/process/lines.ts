import type { Readable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';

export interface LineOptions {
  /** What ends a line. Default: a line feed. */
  readonly end?: RegExp;
  /** Longest line, so that a stream without line ends takes no memory. Default: no bound. */
  readonly maxChars?: number;
  /** Called with the start of a longer line; reading continues behind it. Default: it counts as a line. */
  readonly onTooLong?: (start: string) => void;
}

/** Calls `onLine` for each line of `stream`, without its end. A last line without an end counts when the stream ends. */
export function onEachLine(
  stream: Readable,
  onLine: (line: string) => void,
  { end = /\n/, maxChars = Infinity, onTooLong = onLine }: LineOptions = {},
): void {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  const take = (line: string): void => (line.length > maxChars ? onTooLong(line) : onLine(line));
  stream.on('data', (chunk: Buffer) => {
    const parts = (rest + decoder.write(chunk)).split(end);
    rest = parts.pop() ?? '';
    parts.forEach(take);
    if (rest.length <= maxChars) return;
    onTooLong(rest);
    rest = '';
  });
  stream.on('end', () => {
    if (rest !== '') take(rest);
    rest = '';
  });
}
