import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { suite, test } from 'node:test';
import { onEachLine, type LineOptions } from '../../../../plugins/sdk/process/lines.ts';

async function linesOf(chunks: readonly Buffer[], options: LineOptions = {}): Promise<string[]> {
  const lines: string[] = [];
  const stream = Readable.from(chunks, { objectMode: false });
  onEachLine(stream, (line) => lines.push(line), options);
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

  test('what ends a line can be chosen: progress bars end theirs with carriage returns', async () => {
    const chunks = [Buffer.from('10 %\r20 %\r'), Buffer.from('\nend')];
    const lines = await linesOf(chunks, { end: /[\r\n]+/ });
    assert.deepEqual(
      lines.filter((line) => line !== ''),
      ['10 %', '20 %', 'end'],
    );
  });

  test('a stream without line ends takes no more than its bound', async () => {
    const tooLong: string[] = [];
    const chunks = [
      Buffer.from('ab\n'),
      Buffer.from('x'.repeat(9)),
      Buffer.from('x'.repeat(9)),
      Buffer.from('\ncd'),
    ];
    const lines = await linesOf(chunks, { maxChars: 10, onTooLong: (start) => tooLong.push(start) });
    assert.deepEqual(lines, ['ab', '', 'cd']);
    assert.deepEqual(tooLong, ['x'.repeat(18)]);
  });
});
