import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const folder = new URL('../../../examples/product-descriptions/', import.meta.url);
const read = (name: string): string => readFileSync(new URL(name, folder), 'utf8');

interface Limits {
  readonly instruction: string;
  readonly system: string;
  readonly maxPromptTokens: number;
  readonly maxAnswerTokens: number;
}
interface Task extends Limits {
  readonly columns: Readonly<Record<string, string>>;
  readonly suggested: { readonly target: number };
}
interface Spec {
  readonly task: Limits;
  readonly data: { readonly columns: Readonly<Record<string, string>> };
  readonly target: number;
}

test('the spec asks what the calibration asked', () => {
  const task = JSON.parse(read('task.json')) as Task;
  const spec = JSON.parse(read('spec.json')) as Spec;
  const { instruction, system, maxPromptTokens, maxAnswerTokens } = task;
  assert.deepEqual(spec.task, { instruction, system, maxPromptTokens, maxAnswerTokens });
  assert.deepEqual(spec.data.columns, task.columns);
  assert.equal(spec.target, task.suggested.target);
});

test('every column the task names is in the file', () => {
  const task = JSON.parse(read('task.json')) as Task;
  const header = read('data/products.csv').split('\n')[0]?.split(',') ?? [];
  for (const column of Object.values(task.columns)) assert.ok(header.includes(column), column);
});
