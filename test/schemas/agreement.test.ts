import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { z } from 'zod';
import { BAD_SPECS, GOOD_SPECS } from '../fixtures/specs.ts';
import { PUBLISHED } from '../../tools/schemas/published.ts';

const ajv = new Ajv2020({ strict: true, strictTypes: false });
const validate = ajv.compile(z.toJSONSchema(PUBLISHED['adaptation-spec'], { io: 'input' }));

for (const [index, spec] of GOOD_SPECS.entries()) {
  test(`zod and ajv both accept good spec ${index}`, () => {
    assert.equal(PUBLISHED['adaptation-spec'].safeParse(spec).success, true);
    assert.equal(validate(spec), true, JSON.stringify(validate.errors));
  });
}

for (const [index, spec] of BAD_SPECS.entries()) {
  test(`zod and ajv both refuse bad spec ${index}`, () => {
    assert.equal(PUBLISHED['adaptation-spec'].safeParse(spec).success, false);
    assert.equal(validate(spec), false);
  });
}

for (const [name, schema] of Object.entries(PUBLISHED)) {
  test(`ajv compiles the JSON Schema of ${name} in strict mode`, () => {
    assert.equal(typeof ajv.compile(z.toJSONSchema(schema, { io: 'input' })), 'function');
  });
}
