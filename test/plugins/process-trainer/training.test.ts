/** Trainings by a real process that speaks the protocol: results, resuming, checkpoints. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { suite, test, type TestContext } from 'node:test';
import { CONFIG, newOutDir, train, trainerWith } from './support/train.ts';

async function outDirOf(context: TestContext): Promise<string> {
  const outDir = await newOutDir();
  context.after(() => rm(dirname(outDir), { recursive: true, force: true }));
  return outDir;
}

const checkpointsIn = async (outDir: string): Promise<string[]> =>
  (await readdir(outDir)).filter((name) => existsSync(join(outDir, name, 'manifest.json'))).sort();

suite('a trainer that is a process', () => {
  test('reports every step, leaves an adapter in PEFT format, and says what it is', async (context) => {
    const outDir = await outDirOf(context);
    const trainer = trainerWith(['step-ms:20']);
    const { result, progress } = await train(trainer, { outDir });
    assert.deepEqual(
      progress.map(({ step }) => step),
      Array.from({ length: 30 }, (_, index) => index + 1),
    );
    assert.equal(progress.at(-1)?.totalSteps, 30);
    assert.ok((progress.at(-1)?.checkpointStep ?? 0) >= 5);
    assert.ok((progress.at(-1)?.tokensPerSecond ?? 0) > 0);
    assert.deepEqual([result.steps, result.resumedFromStep, result.labelledTokens], [30, 0, 90]);
    assert.equal(result.losses.length, 30);
    assert.equal(result.lossFirstNats, result.losses[0]?.lossNats);
    assert.equal(result.lossLastNats, result.losses[29]?.lossNats);
    assert.deepEqual(await readdir(result.adapterPath), ['adapter_config.json', 'adapter_model.safetensors']);
    const described = await trainer.doDescribe({} as never, new AbortController().signal);
    assert.deepEqual(described, result.by);
    assert.match(described.build, /^chain of hashes 1 a [0-9a-f]{12}$/);
    assert.equal(described.resume, 'bitwise');
  });

  test('after kill -9 it continues from the newest checkpoint, to the same bytes', async (context) => {
    const [calm, hit] = [await outDirOf(context), await outDirOf(context)];
    const whole = await train(trainerWith(['kill-self:13']), { outDir: calm }).catch(() => undefined);
    assert.equal(whole, undefined, 'the first attempt is killed');
    const { result: resumed, progress } = await train(trainerWith(['kill-self:13']), { outDir: calm });
    assert.equal(resumed.resumedFromStep, 10);
    assert.equal(progress[0]?.step, 11);
    assert.equal(progress[0]?.checkpointStep, 10);
    const { result: undisturbed } = await train(trainerWith(['kill-self:99']), { outDir: hit });
    assert.equal(resumed.adapterSha256, undisturbed.adapterSha256);
    assert.deepEqual(resumed.losses, undisturbed.losses);
    assert.equal(resumed.labelledTokens, undisturbed.labelledTokens);
  });

  test('steps that it leaves out are counted, warned of, and kept over a resume', async (context) => {
    const outDir = await outDirOf(context);
    const config = { ...CONFIG, nonFinite: 'skip' } as const;
    const trainer = trainerWith(['skips:4', `kill-once:${join(outDir, 'killed')}`]);
    await assert.rejects(train(trainer, { outDir, config }), { code: 'TRAINER_CRASHED' });
    const { result, progress } = await train(trainer, { outDir, config });
    assert.deepEqual([result.resumedFromStep, result.steps, result.skippedSteps], [10, 30, 1]);
    const warning = {
      kind: 'skipped-step',
      step: 4,
      message: 'trainer "small" left step 4 out: it was not finite',
      rows: [],
    };
    assert.deepEqual(result.warnings, [warning]);
    const { learningRate } = result.losses[3] ?? {};
    assert.deepEqual(result.losses[3], { step: 4, lossNats: null, learningRate, skipped: true });
    assert.equal(result.lossFirstNats, result.losses[0]?.lossNats);
    assert.deepEqual([progress[0]?.skippedSteps, progress[0]?.warnings], [1, undefined]);
    const calm = await train(trainerWith(['skips:4']), { outDir: await outDirOf(context), config });
    assert.deepEqual(calm.progress[3]?.warnings, [warning]);
    assert.deepEqual([calm.progress[3]?.lossNats, calm.progress[3]?.gradientNorm], [null, null]);
    assert.deepEqual(calm.result.warnings, result.warnings);
    const nothing = train(trainerWith(['skips:all']), { outDir: await outDirOf(context), config });
    await assert.rejects(nothing, { code: 'TRAINING_NON_FINITE', message: /"small" skipped every step/ });
  });

  test('without a word on resuming it begins again', async (context) => {
    const outDir = await outDirOf(context);
    const trainer = trainerWith(['no-resume', `kill-once:${join(outDir, 'killed')}`]);
    await assert.rejects(train(trainer, { outDir }), { code: 'TRAINER_CRASHED' });
    assert.deepEqual(await checkpointsIn(outDir), ['checkpoint-10', 'checkpoint-5']);
    const { result, progress } = await train(trainer, { outDir });
    assert.deepEqual([result.resumedFromStep, progress[0]?.step, result.losses.length], [0, 1, 30]);
    assert.equal(result.by.resume, 'none');
  });

  test('speaks on standard input and output where a wrapper needs that', async (context) => {
    const outDir = await outDirOf(context);
    const { result } = await train(trainerWith(['stdio'], { pipes: 'stdio' }), { outDir });
    assert.equal(result.steps, 30);
  });

  test("the worker's keys are not handed to the command; what is named and its own variables are", async (context) => {
    const outDir = await outDirOf(context);
    const set = {
      TEMPORAL_API_KEY: 'a',
      AWS_SECRET_ACCESS_KEY: 'b',
      DATABASE_URL: 'c',
      HF_TOKEN: 'd',
      OMP_NUM_THREADS: '1',
    };
    Object.assign(process.env, set);
    context.after(() => {
      for (const name of Object.keys(set)) delete process.env[name];
    });
    const options = { env: { MY_OWN: '1' }, inherit: ['HF_TOKEN'] };
    const trainer = trainerWith(['log-environment', 'exit:1'], options);
    await assert.rejects(train(trainer, { outDir }), ({ message }: Error) => {
      for (const name of ['MY_OWN', 'ESCADA_TRAINER_PROTOCOL', 'PATH', 'OMP_NUM_THREADS', 'HF_TOKEN'])
        assert.match(message, new RegExp(`\\b${name}\\b`));
      assert.doesNotMatch(message, /\bTEMPORAL_|\bAWS_|DATABASE_URL/);
      return true;
    });
  });
});

suite('checkpoints of a process trainer', () => {
  /** Two complete checkpoints (5 and 10) of a training that was killed. */
  async function interrupted(context: TestContext): Promise<string> {
    const outDir = await outDirOf(context);
    const dying = train(trainerWith(['kill-self:13']), { outDir });
    await assert.rejects(dying, { code: 'TRAINER_CRASHED' });
    assert.deepEqual(await checkpointsIn(outDir), ['checkpoint-10', 'checkpoint-5']);
    return outDir;
  }

  const resume = (outDir: string) => train(trainerWith(['kill-self:13']), { outDir });

  test('the two newest stay', async (context) => {
    const outDir = await outDirOf(context);
    await train(trainerWith(), { outDir });
    assert.deepEqual(await checkpointsIn(outDir), ['checkpoint-25', 'checkpoint-30']);
    const resumed = await interrupted(context);
    await resume(resumed);
    assert.deepEqual(await checkpointsIn(resumed), ['checkpoint-25', 'checkpoint-30']);
  });

  test('one with a damaged file is skipped for the one before', async (context) => {
    const outDir = await interrupted(context);
    await writeFile(join(outDir, 'checkpoint-10', 'nested', 'state.json'), '[10,"forged"]');
    const { result } = await resume(outDir);
    assert.equal(result.resumedFromStep, 5);
  });

  test('one whose manifest is cut off, and one that was never completed, are none', async (context) => {
    const outDir = await interrupted(context);
    await truncate(join(outDir, 'checkpoint-10', 'manifest.json'), 20);
    await rm(join(outDir, 'checkpoint-5', 'manifest.json'));
    const again = resume(outDir);
    await assert.rejects(
      again,
      { code: 'TRAINER_CRASHED' },
      'it only dies where it begins at the first step',
    );
    assert.deepEqual(await checkpointsIn(outDir), ['checkpoint-10', 'checkpoint-5']);
  });

  test('those of another training are refused', async (context) => {
    const outDir = await interrupted(context);
    const other = { ...CONFIG, learningRate: 0.5 };
    await assert.rejects(train(trainerWith(['kill-self:13']), { outDir, config: other }), {
      code: 'CHECKPOINT_MISMATCH',
      message: /checkpoint-10 belongs to a training with other rows/,
    });
  });

  test('after an update of the trainer the training starts again, as its state may mean something else', async (context) => {
    const outDir = await interrupted(context);
    const rebuilt = trainerWith(['other-build']);
    const { result } = await train(rebuilt, { outDir });
    assert.equal(result.resumedFromStep, 0);
    assert.equal(result.steps, 30);
  });

  test('an announcement that is not true ends the training', async (context) => {
    const lying = train(trainerWith(['lying-checkpoint']), { outDir: await outDirOf(context) });
    await assert.rejects(lying, {
      code: 'TRAINER_PROTOCOL',
      message: /checkpoint-6 was announced as a checkpoint, but holds no file/,
    });
    const reserved = train(trainerWith(['own-manifest']), { outDir: await outDirOf(context) });
    await assert.rejects(reserved, { code: 'TRAINER_PROTOCOL', message: /manifest\.json, a name that is/ });
  });

  test('a manifest names every file with its digest', async (context) => {
    const outDir = await interrupted(context);
    const text = await readFile(join(outDir, 'checkpoint-5', 'manifest.json'), 'utf8');
    const manifest = JSON.parse(text) as { step: number; files: { path: string }[]; log: unknown[] };
    assert.equal(manifest.step, 5);
    assert.deepEqual(
      manifest.files.map(({ path }) => path),
      ['nested/state.json'],
    );
    assert.equal(manifest.log.length, 5);
  });
});
