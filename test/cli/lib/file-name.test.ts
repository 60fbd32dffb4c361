import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileNameOf } from '../../../cli/lib/file-name.ts';

test('a run id becomes a plain file name', () => {
  assert.equal(fileNameOf('adapt-reviews-1a2b.c'), 'adapt-reviews-1a2b.c');
  assert.equal(fileNameOf('team/a b:数'), 'team-a-b-');
});
