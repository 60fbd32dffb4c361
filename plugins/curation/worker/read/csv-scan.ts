/**
 * A byte-wise reader of delimited text that knows line numbers. The table engine does the reading; this one reads the
 * header, and says where and what is wrong after the engine has refused a file.
 */
import { createReadStream } from 'node:fs';
import { isUtf8 } from 'node:buffer';

export interface CsvDialect {
  readonly delimiter: string;
  /** Empty: quotes are plain characters. */
  readonly quote: '"' | '';
}

export interface CsvRecord {
  /** Line, from 1, on which the record starts. */
  readonly line: number;
  /** 0: a blank line, which is no record. */
  readonly fields: number;
  /** How the record ended; empty at the end of the file. */
  readonly newline: '\n' | '\r\n' | '\r' | '';
  /** What is wrong with it, and on which line. */
  readonly fault?: { readonly line: number; readonly why: string };
  /** Raw bytes, when they were asked for. */
  readonly bytes: Buffer;
}

/** Longest record that is looked at in full. */
export const MAX_RECORD_BYTES = 16 * 1024 * 1024;

const [LF, CR, QUOTE] = [10, 13, 34];

/** Walks through the records and blank lines of a file. Ends after the first one with a fault. */
export async function* scanCsv(path: string, dialect: CsvDialect): AsyncGenerator<CsvRecord> {
  const scanner = new Scanner(dialect);
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 18 })) {
    for (const record of scanner.push(chunk as Buffer)) {
      yield record;
      if (record.fault !== undefined) return;
    }
  }
  const last = scanner.end();
  if (last !== null) yield last;
}

type State = 'field-start' | 'plain' | 'quoted' | 'quote-in-quoted';

class Scanner {
  readonly #delimiter: number;
  readonly #quoted: boolean;
  #state: State = 'field-start';
  #line = 1;
  #recordLine = 1;
  #quoteLine = 0;
  #fields = 1;
  #parts: Buffer[] = [];
  #sizeBytes = 0;
  #afterCr = false;

  constructor(dialect: CsvDialect) {
    this.#delimiter = dialect.delimiter.charCodeAt(0);
    this.#quoted = dialect.quote === '"';
  }

  *push(chunk: Buffer): Generator<CsvRecord> {
    let start = 0;
    for (let at = 0; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (this.#afterCr) {
        this.#afterCr = false;
        // The line feed of a CR LF belongs to the record that CR has ended.
        const whole = byte === LF;
        yield* this.#finish(whole ? '\r\n' : '\r');
        start = whole ? at + 1 : at;
        if (whole) continue;
      }
      const fault = this.#step(byte);
      if (fault === null && !this.#ended(byte)) continue;
      this.#keep(chunk.subarray(start, at));
      start = at + 1;
      if (fault !== null) yield this.#record('', fault);
      else if (byte === CR) this.#afterCr = true;
      else yield* this.#finish('\n');
    }
    if (start < chunk.length && !this.#afterCr) this.#keep(chunk.subarray(start));
    // What is kept no longer grows, but a quote that is never closed would be looked for through the whole file.
    if (this.#sizeBytes > MAX_RECORD_BYTES) yield this.#record('', this.#endless());
  }

  end(): CsvRecord | null {
    if (this.#state === 'quoted') {
      return this.#record('', { line: this.#quoteLine, why: 'a quote is opened here and never closed' });
    }
    return this.#isBlank() ? null : this.#record(this.#afterCr ? '\r' : '');
  }

  #step(byte: number): { line: number; why: string } | null {
    const breaks = byte === LF || byte === CR;
    if (this.#state === 'quoted') {
      if (byte === QUOTE) this.#state = 'quote-in-quoted';
      else if (byte === LF) this.#line += 1;
    } else if (byte === this.#delimiter) {
      this.#fields += 1;
      this.#state = 'field-start';
    } else if (this.#state === 'quote-in-quoted' && byte === QUOTE) {
      this.#state = 'quoted';
    } else if (this.#state === 'quote-in-quoted' && !breaks) {
      return {
        line: this.#line,
        why: 'there is text after a closing quote; a quote inside a field is written ""',
      };
    } else if (this.#state === 'field-start' && byte === QUOTE && this.#quoted) {
      this.#state = 'quoted';
      this.#quoteLine = this.#line;
    } else if (!breaks && this.#state !== 'plain') {
      this.#state = 'plain';
    }
    return null;
  }

  #ended(byte: number): boolean {
    return (byte === LF || byte === CR) && this.#state !== 'quoted';
  }

  #keep(bytes: Buffer): void {
    this.#sizeBytes += bytes.length;
    if (this.#sizeBytes <= MAX_RECORD_BYTES) this.#parts.push(Buffer.from(bytes));
  }

  #isBlank(): boolean {
    return this.#fields === 1 && this.#sizeBytes === 0;
  }

  *#finish(newline: CsvRecord['newline']): Generator<CsvRecord> {
    yield this.#record(newline);
    this.#line += 1;
    this.#recordLine = this.#line;
    this.#fields = 1;
    this.#parts = [];
    this.#sizeBytes = 0;
    this.#state = 'field-start';
  }

  #record(newline: CsvRecord['newline'], fault?: CsvRecord['fault']): CsvRecord {
    const bytes = Buffer.concat(this.#parts);
    const found = fault ?? this.#contentFault(bytes);
    const record = { line: this.#recordLine, fields: this.#isBlank() ? 0 : this.#fields, newline, bytes };
    return found === undefined ? record : { ...record, fault: found };
  }

  #endless(): CsvRecord['fault'] {
    if (this.#state !== 'quoted') return { line: this.#recordLine, why: 'the record is longer than 16 MiB' };
    return { line: this.#quoteLine, why: 'a quote is opened here and not closed within 16 MiB' };
  }

  #contentFault(bytes: Buffer): CsvRecord['fault'] {
    const line = this.#recordLine;
    if (this.#sizeBytes > MAX_RECORD_BYTES) return { line, why: 'the record is longer than 16 MiB' };
    return isUtf8(bytes) ? undefined : { line, why: 'the text is not UTF-8' };
  }
}

/** The texts of a record's fields. */
export function splitRecord(record: CsvRecord, dialect: CsvDialect): string[] {
  const text = record.bytes.toString('utf8');
  const fields: string[] = [];
  let field = '';
  let inside = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at] ?? '';
    if (inside && character === '"' && text[at + 1] === '"') {
      field += '"';
      at += 1;
    } else if (character === '"' && dialect.quote === '"' && (inside || field === '')) inside = !inside;
    else if (!inside && character === dialect.delimiter) {
      fields.push(field);
      field = '';
    } else field += character;
  }
  return [...fields, field];
}
