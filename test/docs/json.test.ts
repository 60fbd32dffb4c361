/** `json` blocks are valid by the schema that their fence names. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { PUBLISHED } from '../../tools/schemas/published.ts';
import { ROOT } from '../whole/support/needs.ts';
import { placeOf, readBlocks, type Block } from './support/blocks.ts';
import { wayOf } from './support/ways.ts';

const blocks = await readBlocks();
const EXAMPLES: Readonly<Record<string, string>> = {
  'adaptation-spec': 'examples/product-descriptions/spec.json',
};

/**
 * The values of a block. With the tag `part` its fields are put into a complete example; with `node` it is the only node
 * of a pipeline; with `lines` every line is a value, after an arrow that says which way it goes.
 */
async function valuesOf({ text, tags }: Block): Promise<unknown[]> {
  if (tags.has('lines')) {
    const lines = text.split('\n').filter((line) => line !== '');
    return lines.map((line) => JSON.parse(line.replace(/^[→←] /, '')) as unknown);
  }
  const value: unknown = JSON.parse(text);
  if (tags.has('node')) return [{ name: 'one node', nodes: [value] }];
  if (!tags.has('part')) return [value];
  const example = EXAMPLES[tags.get('schema') ?? ''];
  assert.ok(example !== undefined, `no example for parts of ${tags.get('schema')}`);
  const whole = JSON.parse(await readFile(join(ROOT, example), 'utf8')) as Record<string, unknown>;
  return [{ ...whole, ...(value as Record<string, unknown>) }];
}

suite('json blocks of the pages', () => {
  for (const block of blocks.filter((one) => wayOf(one, blocks) === 'json')) {
    const name = block.tags.get('schema') ?? '';
    test(`${placeOf(block)} is a valid ${name}`, async () => {
      assert.ok(Object.hasOwn(PUBLISHED, name), `there is no schema "${name}"`);
      const schema = JSON.parse(
        await readFile(join(ROOT, `schemas/generated/${name}.json`), 'utf8'),
      ) as object;
      const ajv = new Ajv2020({ allErrors: true, strict: false });
      const values = await valuesOf(block);
      assert.ok(values.length > 0);
      for (const value of values) {
        assert.ok(ajv.validate(schema, value), ajv.errorsText());
        // What JSON Schema cannot say: the product's own check.
        PUBLISHED[name as keyof typeof PUBLISHED].parse(value);
      }
    });
  }
});
