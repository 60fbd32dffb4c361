import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { suite, test } from 'node:test';
import { onEachLine } from '../../../../plugins/nf4-lora/worker/lines.ts';

async function linesOf(chunks: readonly Buffer[]): Promise<string[]> {
  const lines: string[] = [];
  const stream = Readable.from(chunks, { objectMode: false });
  onEachLine(stream, (line) => lines.push(line));
  await new Promise((resolve) => stream.on('end', resolve));
  return lines;
}

suite('onEachLine', () => {
  test('joins what chunks cut, also inside a character', async () => {
    const bytes = Buffer.from('ä\nbc\n');
    const chunks = [...bytes].map((byte) => Buffer.from([byte]));
    assert.deepEqual(await linesOf(chunks), ['ä', 'bc']);
  });

  test('a last line without an end counts', async () => {
    assert.deepEqual(await linesOf([Buffer.from('a\nb')]), ['a', 'b']);
  });
});
