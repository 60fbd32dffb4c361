/** The engine's side of `npm run parity:exports`, without llama.cpp. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ExportingEngine } from '../../../tools/reference/exports-engine.ts';
import { inFolder, TINY_MODEL } from './support.ts';

const ROWS = ['one', 'two', 'three', 'four'].map((word, at) => ({
  id: `r${at}`,
  messages: [{ role: 'user' as const, content: `Say ${word}.` }],
  answer: word,
}));

test('trains, merges, and answers with what came out', async () => {
  await inFolder(async (folder) => {
    const engine = await ExportingEngine.start(folder, TINY_MODEL);
    try {
      const said: string[] = [];
      const adapter = await engine.train(ROWS, (text) => said.push(text));
      assert.match(said.join(), /^\d+ steps, loss \d+\.\d+ to \d+\.\d+ nats$/);
      const merged = await engine.export('merged', 'safetensors-bf16', adapter);
      const replies = await engine.replies(merged, ROWS, 4);
      assert.deepEqual(
        replies.map(({ newTokens }) => newTokens > 0 && newTokens <= 4),
        ROWS.map(() => true),
      );
    } finally {
      await engine.close();
    }
  });
});
