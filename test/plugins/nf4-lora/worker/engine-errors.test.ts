import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ENGINE_FAILURES } from '../../../../plugins/nf4-lora/worker/engine-errors.ts';

test("the engine's replies about a full or closed disk are as final as the worker's own", () => {
  const reply = (code: string, message: string) =>
    ENGINE_FAILURES.reply({ code, message }, { method: 'train' });
  for (const [message, code] of [
    ['/a/b.partial: No space left on device (os error 28)', 'DISK_FULL'],
    ['/a/b.partial: Read-only file system (os error 30)', 'OUTPUT_NOT_WRITABLE'],
    ['/a/b: Is a directory (os error 21)', 'PATH_NOT_USABLE'],
    ['/a/b: Input/output error (os error 5)', 'ENGINE_IO'],
  ] as const) {
    const failure = reply('ENGINE_IO', message);
    assert.deepEqual([failure.code, failure.message.includes(message)], [code, true]);
  }
  assert.equal(reply('MODEL_FILE_INVALID', 'No space left on device').code, 'MODEL_FILE_INVALID');
  assert.equal(reply('toString', 'x').code, 'ENGINE_INTERNAL');
});
