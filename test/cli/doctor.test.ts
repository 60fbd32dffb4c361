/** `escada doctor` as it is run: of the trainers that the configuration names, who answers and what to do about the rest. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { trainerChecks } from '../../cli/lib/trainer-checks.ts';
import { TINY_MODEL } from '../plugins/nf4-lora/support.ts';
import { commandWith, trainerWith } from '../plugins/process-trainer/support/train.ts';

const CLI = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));

/** Exit code and lines of `escada doctor` with these process trainers. */
async function doctor(trainers: unknown): Promise<{ code: number; lines: string[] }> {
  const folder = await mkdtemp(join(tmpdir(), 'escada-doctor-'));
  try {
    const config = join(folder, 'escada.json');
    await writeFile(config, JSON.stringify({ options: { 'process-trainer': { trainers } } }));
    const env = {
      ...process.env,
      ESCADA_CONFIG: config,
      ESCADA_MODEL_PATH: TINY_MODEL,
      // Nobody listens there: what doctor says of a server is not what is asked here.
      TEMPORAL_ADDRESS: '127.0.0.1:1',
    };
    return await new Promise((resolve) => {
      execFile(
        process.execPath,
        ['--disable-warning=ExperimentalWarning', CLI, 'doctor'],
        { env },
        (error, stdout) =>
          resolve({ code: error === null ? 0 : Number(error.code), lines: stdout.split('\n') }),
      );
    });
  } finally {
    await rm(folder, { recursive: true });
  }
}

suite('escada doctor', () => {
  test('probes every trainer and says what to do about one that does not answer', async () => {
    const { code, lines } = await doctor([
      { id: 'small', command: commandWith() },
      { id: 'gone', command: ['no-such-trainer'] },
      { id: 'mute', command: commandWith('silent'), startMs: 500 },
    ]);
    const at = (start: string) => lines.findIndex((line) => line.startsWith(start));
    const lineOf = (start: string) => lines[at(start)] ?? assert.fail(`${start}\n${lines.join('\n')}`);
    assert.match(lineOf('ok   trainer nf4-lora: '), /answers: \S+, [\w-]+, \d+ threads$/);
    assert.match(
      lineOf('ok   trainer small: '),
      /answers: chain of hashes 1 a; weights nf4, f32; models gguf, hf-folder; resume: bitwise$/,
    );
    assert.match(lineOf('FAIL trainer gone: '), /TRAINER_NOT_STARTED: .*no-such-trainer.*ENOENT/);
    assert.match(lines[at('FAIL trainer gone: ') + 1] ?? '', /What to do: .*escada\.config\.json/);
    assert.match(lineOf('FAIL trainer mute: '), /TRAINER_NOT_STARTED: .*no sign of life for 500 ms/);
    assert.equal(code, 1);
  });

  test('a wrong configuration is reported by the plugins, without trainers', async () => {
    const { code, lines } = await doctor([{ id: 'Not an id', command: ['x'] }]);
    assert.ok(
      lines.some((line) => line.startsWith('FAIL plugins: PLUGIN_OPTIONS_INVALID')),
      lines.join('\n'),
    );
    assert.deepEqual(
      lines.filter((line) => /^(ok|FAIL) +trainer/.test(line)),
      [],
    );
    assert.equal(code, 1);
  });

  test('waits no longer than its own limit, and asks only who can be asked', async () => {
    const mute = trainerWith(['silent'], { graceMs: 500 });
    try {
      const [late] = trainerChecks([mute], 300);
      await assert.rejects(late?.run() ?? Promise.resolve(), {
        code: 'TRAINER_NOT_STARTED',
        message: 'trainer "small" did not complete the handshake within 0.3 s',
      });
    } finally {
      await mute.close();
    }
    const [check] = trainerChecks([
      {
        specificationVersion: 'v1',
        id: 'quiet',
        doDescribe: () => Promise.reject(new Error('not asked')),
        doTrain: () => Promise.reject(new Error('not asked')),
      },
    ]);
    assert.deepEqual(
      [check?.name, await check?.run()],
      ['trainer quiet', 'is configured; whether it answers shows when it trains'],
    );
  });
});
