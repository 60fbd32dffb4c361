/**
 * `npm run chaos:resume -- [--trials 20] [--seed N] [--model tiny|real] [--json]`: trainings of 40 steps are killed (kill -9)
 * up to three times at random moments and continue with other numbers of threads and other checkpoint intervals; SHA-256 of
 * the result, the optimizer's state and the loss log must equal those of an undisturbed run. Exit code 1 otherwise.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { writeRows } from '../../plugins/sdk/process/rows.ts';
import { print, say, table } from '../../cli/lib/terminal.ts';
import { DEFAULT_MODEL, ensureModel } from '../../runtime/bootstrap/model.mjs';
import { createProgress } from '../../runtime/bootstrap/progress.mjs';
import { setUpForAcceptance } from '../../tools/acceptance/set-up.ts';
import { TINY_MODEL, trainRows } from '../plugins/nf4-lora/support.ts';
import { resumeTrials, type ResumeTrial, type Setting } from './resume-trials.ts';
import { freshSeed } from './trials.ts';
import { resumeVariants } from './resume-variants.ts';

const whole = (name: string, text: string): number => {
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) return Number(text);
  throw new Error(`--${name} must be a whole number, not "${text}"`);
};

const row = (one: ResumeTrial): string[] => [
  String(one.trial + 1),
  one.variant,
  String(one.saveSteps),
  one.threads.join(' '),
  one.killedAfterStep.join(' ') || '-',
  String(one.resumedFromStep),
  one.problems.length === 0 ? 'PASS' : one.problems.join('; '),
];

async function modelPath(name: string): Promise<string> {
  if (name === 'tiny') return TINY_MODEL;
  if (name !== 'real') throw new Error(`--model: tiny or real, not "${name}"`);
  const progress = createProgress();
  try {
    return (await ensureModel({ id: DEFAULT_MODEL, progress })).path;
  } finally {
    progress.close();
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      trials: { type: 'string', default: '20' },
      seed: { type: 'string', default: String(freshSeed()) },
      model: { type: 'string', default: 'tiny' },
      json: { type: 'boolean', default: false },
    },
  });
  const [trials, seed] = [whole('trials', values.trials), whole('seed', values.seed)];
  Object.assign(process.env, await setUpForAcceptance());
  const room = await mkdtemp(join(tmpdir(), 'escada-resume-'));
  try {
    const setting: Setting = {
      model: await modelPath(values.model),
      rowsPath: join(room, 'rows.jsonl'),
      room,
    };
    await writeRows(setting.rowsPath, trainRows(64));
    const onTrial = (one: ResumeTrial) => say(row(one).join('  '));
    const done = await resumeTrials(setting, resumeVariants(values.model), { trials, seed, onTrial });
    const passed = done.filter(({ problems }) => problems.length === 0).length;
    const kills = done.reduce((sum, { killedAfterStep }) => sum + killedAfterStep.length, 0);
    const head = ['trial', 'training', 'saved every', 'threads', 'killed after step', 'continued from', ''];
    print(table([head, ...done.map(row)]));
    print(`${passed} of ${trials} passed with ${kills} kills, seed ${seed}`);
    if (values.json) print(JSON.stringify({ seed, passed, kills, trials: done }));
    return passed === trials ? 0 : 1;
  } finally {
    await rm(room, { recursive: true, force: true });
  }
}

process.exitCode = await main();
