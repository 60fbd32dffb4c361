import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { suite, test } from 'node:test';
import { fullConfigSchema } from '../../../../schemas/train/full-config.ts';
import { loraConfigSchema } from '../../../../schemas/train/lora-config.ts';
import { METHODS, replySchema } from '../../../../plugins/nf4-lora/worker/protocol.ts';

const PAGE = new URL('../../../../plugins/nf4-lora/PROTOCOL.md', import.meta.url);

suite('protocol', () => {
  test('the page and the schemas name the same methods', async () => {
    const page = await readFile(PAGE, 'utf8');
    const named = [...page.matchAll(/^\| `(\w+)` +\|/gm)].map((match) => match[1]);
    assert.deepEqual(named.sort(), Object.keys(METHODS).sort());
  });

  test('the page names every field of parameters and results', async () => {
    const page = await readFile(PAGE, 'utf8');
    for (const [name, { params, result, event }] of Object.entries(METHODS)) {
      const shapes = [params, result, event].flatMap((schema) =>
        'shape' in schema ? Object.keys(schema.shape) : [],
      );
      for (const field of shapes) assert.match(page, new RegExp(`\\b${field}\\b`), `${name}.${field}`);
    }
    const fields = [loraConfigSchema, fullConfigSchema].flatMap(({ shape }) => Object.keys(shape));
    for (const field of fields) assert.match(page, new RegExp(`\\b${field}\\b`), field);
  });

  test('a reply is an event, a result or an error, and nothing else', () => {
    const good = [
      { v: 1, id: 1, event: { step: 1 } },
      { v: 1, id: 1, result: {} },
      { v: 1, id: null, error: { code: 'ENGINE_REQUEST_INVALID', message: 'not JSON' } },
    ];
    const bad = [
      { v: 1, id: 1 },
      { v: 2, id: 1, result: {} },
      { v: 1, id: null, result: {} },
      { v: 1, id: 1, result: {}, x: 1 },
    ];
    for (const reply of good) assert.ok(replySchema.safeParse(reply).success, JSON.stringify(reply));
    for (const reply of bad) assert.ok(!replySchema.safeParse(reply).success, JSON.stringify(reply));
  });
});
