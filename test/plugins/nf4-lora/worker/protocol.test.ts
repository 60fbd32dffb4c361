import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { suite, test } from 'node:test';
import { z } from 'zod';
import { fullConfigSchema } from '../../../../schemas/spec/full-config.ts';
import { loraConfigSchema } from '../../../../schemas/spec/lora-config.ts';
import { METHODS, replySchema, toWireConfig } from '../../../../plugins/nf4-lora/worker/protocol.ts';

const PAGE = new URL('../../../../plugins/nf4-lora/PROTOCOL.md', import.meta.url);

/** Methods and what their sections say. */
function sectionsOf(page: string): Map<string, string> {
  const [, ...parts] = page.split(/^#{2,3} /m);
  return new Map(
    parts.flatMap((part) => {
      const name = /^`(\w+)`\n/.exec(part)?.[1];
      return name === undefined ? [] : [[name, part.slice(name.length + 2)] as const];
    }),
  );
}

const fieldsOf = (schema: object): string[] => ('shape' in schema ? Object.keys(schema.shape as object) : []);

suite('protocol', () => {
  test('the page has a section for every method, which names its parameters, results and events', async () => {
    const sections = sectionsOf(await readFile(PAGE, 'utf8'));
    assert.deepEqual([...sections.keys()].sort(), Object.keys(METHODS).sort());
    for (const [name, { params, result, event }] of Object.entries(METHODS)) {
      const text = sections.get(name) ?? '';
      for (const field of [...fieldsOf(params), ...fieldsOf(result)])
        assert.match(text, new RegExp(`\\b${field}\\b`), `${name}.${field}`);
      assert.equal(text.includes('- events:'), !(event instanceof z.ZodNever), `events of ${name}`);
      const events = /- events: as `(\w+)`/.exec(text)?.[1] ?? name;
      for (const field of fieldsOf(event))
        assert.match(sections.get(events) ?? '', new RegExp(`\\b${field}\\b`), `event of ${name}: ${field}`);
    }
  });

  test('the page names every setting of a training', async () => {
    const page = await readFile(PAGE, 'utf8');
    const fields = [loraConfigSchema, fullConfigSchema].flatMap(({ shape }) => Object.keys(shape));
    for (const field of fields) assert.match(page, new RegExp(`\\b${field}\\b`), field);
  });

  test('a training is sent as it is set, but for what stays in the worker', () => {
    const { loggingSteps: _, ...config } = loraConfigSchema.parse({ gradientCheckpointing: 'mlp' });
    const sent = toWireConfig({ ...config, loggingSteps: 5 });
    assert.deepEqual(sent, config);
    assert.ok(METHODS.train.params.shape.config.safeParse(sent).success);
    assert.ok(!('loggingSteps' in sent), 'the engine reports every step');
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
