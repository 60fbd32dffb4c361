import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findWords } from '../../../tools/architecture/words-report.ts';
import { WORDS } from '../../../tools/architecture/words.mjs';
import { ROOT } from '../../whole/support/needs.ts';

test('what is allowed is still there, with a reason', async () => {
  const { hits } = await findWords(ROOT, { allowed: true });
  for (const { id, allow = {} } of WORDS) {
    for (const [start, reason] of Object.entries(allow)) {
      assert.ok(reason.length > 10, `"${id}" in ${start} has no reason`);
      const found = hits.get(id)?.some(({ file }) => file.startsWith(start));
      assert.ok(found, `"${id}" is not in ${start} any more: take it off the list`);
    }
  }
});
