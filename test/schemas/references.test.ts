import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonValue } from '../../schemas/common/json.ts';
import {
  literal,
  parseReference,
  resolveReferences,
  stringsIn,
  withoutLiterals,
} from '../../schemas/plan/references.ts';

const scope = {
  inputs: { train: 'T', nested: { a: [1, 2] } },
  nodes: { read: { dataset: 'D', rows: 3 } },
  item: { rate: 0.1 },
};

test('replaces whole-string references anywhere in a value', () => {
  const value = { a: '${inputs.train}', b: ['${nodes.read.output.rows}', 'plain'], c: { d: '${item.rate}' } };
  assert.deepEqual(resolveReferences(value, scope), { a: 'T', b: [3, 'plain'], c: { d: 0.1 } });
});

test('a reference may name a whole object', () => {
  assert.deepEqual(resolveReferences('${nodes.read.output}', scope), { dataset: 'D', rows: 3 });
  assert.deepEqual(resolveReferences('${item}', scope), { rate: 0.1 });
});

test('a reference that leads nowhere is an error that names it', () => {
  assert.throws(() => resolveReferences('${inputs.absent}', scope), /\$\{inputs\.absent\} leads to nothing/);
  assert.throws(() => resolveReferences('${nodes.read.output.constructor}', scope), /leads to nothing/);
  assert.throws(() => resolveReferences('${inputs.__proto__.x}', scope), /leads to nothing/);
});

test('half references and unknown roots are refused', () => {
  assert.match(JSON.stringify(parseReference('pre ${inputs.a}')), /one whole reference/);
  assert.match(JSON.stringify(parseReference('${env.HOME}')), /is not one of/);
  assert.match(JSON.stringify(parseReference('${nodes.a}')), /is not one of/);
  assert.equal(parseReference('no reference, only $ and {}'), null);
});

test('strings are found with their paths', () => {
  assert.deepEqual(stringsIn({ a: ['x', { b: 'y' }], n: 1 }), [
    { text: 'x', path: ['a', '0'] },
    { text: 'y', path: ['a', '1', 'b'] },
  ]);
});

test('a literal comes out as it went in and names nothing', () => {
  const values: JsonValue[] = [
    'Write `${name}` and ${inputs.train}',
    '${inputs.train}',
    { text: '${nodes.read.output}', list: ['${item}'] },
    { $literal: 1 },
    { $literal: 'a', more: '${b}' },
  ];
  for (const value of values) {
    const marked = { a: literal(value), b: '${inputs.train}' };
    assert.deepEqual(resolveReferences(marked, scope), { a: value, b: 'T' });
    assert.deepEqual(withoutLiterals(marked), { a: value, b: '${inputs.train}' });
    assert.deepEqual(stringsIn(marked), [{ text: '${inputs.train}', path: ['b'] }]);
  }
});

test('a value that cannot be mistaken needs no mark', () => {
  for (const value of ['plain', '$', '{}', 1, null, ['a', { b: 'c' }]]) assert.equal(literal(value), value);
  const own = JSON.parse('{"$literal": null, "other": "x"}') as { readonly [key: string]: string };
  assert.deepEqual(resolveReferences(own, scope), own, 'a name among others is no mark');
});
