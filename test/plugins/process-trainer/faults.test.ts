/** What goes wrong with a trainer's process, and what is said of it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { TrainerOptions } from '../../../plugins/process-trainer/index.ts';
import { exists, until } from '../nf4-lora/support.ts';
import { CONFIG, MODEL, newOutDir, train, trainerWith } from './support/train.ts';

async function outDirOf(context: TestContext): Promise<string> {
  const outDir = await newOutDir();
  context.after(() => rm(dirname(outDir), { recursive: true, force: true }));
  return outDir;
}

/** The command of a file that the fault `helper` wrote, and the helper that it started. */
const pidsIn = (file: string): number[] => readFileSync(file, 'utf8').split(' ').map(Number);

/** Faults, further options, and the failure that follows. */
const CASES: Readonly<
  Record<string, { faults?: string[]; options?: Partial<TrainerOptions>; code: string; message: RegExp }>
> = {
  'a program that is not there': {
    options: { command: ['no-such-trainer', '--token=abc'] },
    code: 'TRAINER_NOT_STARTED',
    message: /^trainer "small" \(no-such-trainer\) could not be started: .*ENOENT/,
  },
  'a folder that is not there': {
    options: { cwd: '/nowhere' },
    code: 'TRAINER_NOT_STARTED',
    message: /there is no folder \/nowhere/,
  },
  'an end before the handshake, with its log': {
    faults: ['no-handshake-exit'],
    code: 'TRAINER_NOT_STARTED',
    message: /exit code 3 during `hello`\.\nModuleNotFoundError: no module named torch/,
  },
  'no handshake at all': {
    faults: ['silent'],
    options: { startMs: 500 },
    code: 'TRAINER_NOT_STARTED',
    message: /`hello` gave no sign of life for 500 ms/,
  },
  'another version of the protocol': {
    faults: ['old-version'],
    code: 'TRAINER_PROTOCOL',
    message: /trainer "small"'s message is not in the protocol: \{"v":2,/,
  },
  'a line that is not JSON': {
    faults: ['noise:4'],
    code: 'TRAINER_PROTOCOL',
    message: /not in the protocol: no JSON: \{"loss": NaN\}/,
  },
  'a loss of null in a step that is not skipped': {
    faults: ['odd-null:4'],
    code: 'TRAINER_PROTOCOL',
    message: /only a step that was skipped has a loss or norm of null/,
  },
  'a step that it may not leave out': {
    faults: ['skips:4'],
    code: 'TRAINER_PROTOCOL',
    message: /^trainer "small" skipped step 4, which config\.nonFinite "stop" forbids/,
  },
  'an event that is not in the protocol': {
    faults: ['odd-event:4'],
    code: 'TRAINER_PROTOCOL',
    message: /tokens/,
  },
  'an exit in the middle, with its log': {
    faults: ['exit:4'],
    code: 'TRAINER_CRASHED',
    message: /ended with exit code 7 during `train`\.\nSegmentation imminent/,
  },
  'silence in the middle': {
    faults: ['hang:4'],
    options: { stallMs: 1500 },
    code: 'TRAINER_STALLED',
    message:
      /`train` gave no sign of life for 1500 ms; the process of trainer "small" was killed\.\nabout to/,
  },
  'an error of its own, with its log': {
    faults: ['report:4'],
    code: 'TRAINER_FAILED',
    message: /reported ValueError: bad value\nTraceback: the cause/,
  },
  "an error of the product's table": {
    faults: ['report-memory:4'],
    code: 'TRAINING_OUT_OF_MEMORY',
    message: /^trainer "small": halve the batch/,
  },
  'no step at all': { faults: ['mute'], code: 'TRAINER_PROTOCOL', message: /without having reported a step/ },
  'an adapter with another digest': {
    faults: ['wrong-digest'],
    code: 'TRAINER_PROTOCOL',
    message: /adapter_model\.safetensors has the SHA-256 [0-9a-f]{64}, not 0{64}/,
  },
  'an adapter in another folder': {
    faults: ['outside'],
    code: 'TRAINER_PROTOCOL',
    message: /it is not inside/,
  },
};

suite('faults of a process trainer', () => {
  for (const [name, { faults = [], options = {}, code, message }] of Object.entries(CASES)) {
    test(name, async (context) => {
      const outDir = await outDirOf(context);
      await assert.rejects(train(trainerWith(faults, options), { outDir }), { code, message });
    });
  }

  test('settings that it does not support are named, all of them, before anything runs', async (context) => {
    const config = { ...CONFIG, optim: 'adamw_8bit', packing: true, rsLora: true } as const;
    const outDir = await outDirOf(context);
    const cosine = { ...config, lrSchedulerType: 'cosine' } as const;
    await assert.rejects(train(trainerWith(['f32-only']), { outDir, config: cosine }), {
      code: 'TRAINER_UNSUPPORTED',
      message:
        /format of the model's weights: nf4 .* takes f32; .*hf-folder .*takes gguf; config\.optim: adamw_8bit .*; config\.lrSchedulerType: cosine .* linear, constant; config\.rsLora: true .*; config\.packing: true/,
    });
  });

  test('settings that make no sense name their field', async (context) => {
    const outDir = await outDirOf(context);
    await assert.rejects(train(trainerWith(), { outDir, config: { ...CONFIG, learningRate: -1 } }), {
      code: 'ENGINE_REQUEST_INVALID',
      message: /^config\.learningRate: /,
    });
  });
});

suite('the end of a process trainer', () => {
  for (const reason of ['CANCELLED', 'TIMED_OUT', 'PAUSED', 'RESET', 'WORKER_SHUTDOWN', 'NOT_FOUND']) {
    test(`it is asked to stop (${reason}), and what it saves then counts`, async (context) => {
      const outDir = await outDirOf(context);
      const stop = new AbortController();
      const training = train(trainerWith(['saves-when-cancelled', 'step-ms:20']), {
        outDir,
        signal: stop.signal,
        onProgress: ({ step }) => step === 3 && stop.abort(new Error(reason)),
      });
      await assert.rejects(training, { code: 'TRAINER_CANCELLED' });
      assert.ok(existsSync(join(outDir, 'checkpoint-3', 'manifest.json')));
    });
  }

  test('one that does not listen is killed after the grace, with its helpers', async (context) => {
    const outDir = await outDirOf(context);
    const file = `${outDir}-pids`;
    const stop = new AbortController();
    const faults = ['deaf', 'stays', 'step-ms:20', `helper:${file}`];
    const training = train(trainerWith(faults, { graceMs: 200 }), {
      outDir,
      signal: stop.signal,
      onProgress: ({ step }) => step === 2 && stop.abort(new Error('enough')),
    });
    await assert.rejects(training, { code: 'TRAINER_CANCELLED', fields: { method: 'train', killed: true } });
    for (const pid of pidsIn(file)) await until(() => !exists(pid), `the end of ${pid}`);
  });

  test('one that stays after its result is killed, with its helpers; the result counts', async (context) => {
    const outDir = await outDirOf(context);
    const file = `${outDir}-pids`;
    const trainer = trainerWith(['stays', `helper:${file}`], { graceMs: 200 });
    const { result } = await train(trainer, { outDir });
    assert.equal(result.steps, 30);
    for (const pid of pidsIn(file)) await until(() => !exists(pid), `the end of ${pid}`);
  });

  test('closing the plugin cancels what runs', async (context) => {
    const trainer = trainerWith(['step-ms:20']);
    let steps = 0;
    const outDir = await outDirOf(context);
    const training = train(trainer, { outDir, onProgress: () => (steps += 1) });
    const refused = assert.rejects(training, { code: 'TRAINER_CANCELLED' });
    await until(() => steps > 1, 'two steps');
    await trainer.close();
    await refused;
    await assert.rejects(trainer.doDescribe(MODEL, new AbortController().signal), {
      code: 'TRAINER_CANCELLED',
    });
  });

  test('a listener that throws ends the training with what it threw', async (context) => {
    const onProgress = (): void => {
      throw new Error('listener');
    };
    const outDir = await outDirOf(context);
    await assert.rejects(train(trainerWith(['step-ms:20']), { outDir, onProgress }), /listener/);
  });

  for (const signal of ['SIGKILL', 'SIGTERM'] as const) {
    test(`it dies with its worker (${signal}), even when it computes and does not look at its pipe`, async (context) => {
      const outDir = await outDirOf(context);
      const file = `${outDir}-pids`;
      const script = fileURLToPath(new URL('./support/parent.ts', import.meta.url));
      const parent = spawn(process.execPath, [script, outDir, 'hang:3', `helper:${file}`], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      await once(parent.stdout, 'data');
      const pids = pidsIn(file);
      for (const pid of pids) assert.ok(exists(pid));
      parent.kill(signal);
      await once(parent, 'exit');
      for (const pid of pids) await until(() => !exists(pid), `the end of ${pid}`);
    });
  }

  test('its guard killed, it is not left behind', async (context) => {
    const outDir = await outDirOf(context);
    const file = `${outDir}-pids`;
    let guard = 0;
    const training = train(trainerWith(['step-ms:20', 'stays', `helper:${file}`]), {
      outDir,
      onProgress: () => {
        const [command = 0] = pidsIn(file);
        guard ||= Number(readFileSync(`/proc/${command}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[1]);
        process.kill(guard, 'SIGKILL');
      },
    });
    await assert.rejects(training, { code: 'TRAINER_CRASHED' });
    for (const pid of pidsIn(file)) await until(() => !exists(pid), `the end of ${pid}`);
  });
});
