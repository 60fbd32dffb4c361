import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { sizeBytes } from '../../../cli/lib/size.ts';

suite('sizes on the command line', () => {
  test('decimal and binary units, and bytes', () => {
    for (const [text, bytes] of [
      ['5GB', 5e9],
      ['200MiB', 200 * 2 ** 20],
      ['1.5 kb', 1500],
      ['1000000', 1e6],
    ] as const) {
      assert.equal(sizeBytes(text), bytes, text);
    }
  });

  test('anything else is refused', () => {
    for (const text of ['', '0', '0GB', '-1', '5TB', 'GB', '5 G', '1e9', '0.1', '99999999999GiB']) {
      assert.throws(() => sizeBytes(text), /a size is wanted/, text);
    }
  });
});
