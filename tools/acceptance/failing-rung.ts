/**
 * `npm run accept:failing-rung`: the example with the real model, but no training row fits the settings of its tuning.
 * Passes when the tuning is recorded as failed with its code, and decision, report and winner come from the others.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../plugins/sdk/package-paths.ts';
import { print, say } from '../../cli/lib/terminal.ts';
import { startCommand } from './start-command.ts';

const EXAMPLE = join(PACKAGE_ROOT, 'examples/product-descriptions');
const CODE = 'TRAINING_DATA_INVALID';

interface Result {
  readonly decision: { readonly rung: string; readonly verdict: string };
  readonly rungs: readonly { readonly rung: string; readonly outcome: string; readonly code?: string }[];
  readonly test: { readonly candidates: readonly { readonly rung: string }[] };
  readonly reportPath: string;
}

/** The example's spec with sequences shorter than any row, which are never cut. */
async function failingSpec(): Promise<object> {
  const spec = JSON.parse(await readFile(join(EXAMPLE, 'spec.json'), 'utf8')) as {
    data: { source: { path: string } };
    rungs: { peft: { config: object } };
  };
  const { data, rungs } = spec;
  const config = { ...rungs.peft.config, maxSeqLengthTokens: 16 };
  return {
    ...spec,
    name: 'failing-rung',
    data: { ...data, source: { ...data.source, path: join(EXAMPLE, data.source.path) } },
    rungs: { ...rungs, peft: { ...rungs.peft, config } },
  };
}

function problemsOf(result: Result, report: string): string[] {
  const problems: string[] = [];
  const failed = result.rungs.filter(({ outcome }) => outcome === 'failed');
  if (failed.length !== 1 || failed[0]?.rung !== 'peft' || failed[0].code !== CODE)
    problems.push(`the failed rungs are ${JSON.stringify(failed)}`);
  if (!result.test.candidates.some(({ rung }) => rung === result.decision.rung))
    problems.push(`${result.decision.rung} won without being scored`);
  if (!report.includes(`peft failed (${CODE})`)) problems.push('the report does not mention it');
  return problems;
}

async function main(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'escada-failing-'));
  try {
    await writeFile(join(folder, 'spec.json'), JSON.stringify(await failingSpec()));
    const start = join(PACKAGE_ROOT, 'runtime/bootstrap/start.mjs');
    const env = { ...process.env, ESCADA_HOME: join(folder, '.escada') };
    const ended = await startCommand({
      program: [process.execPath, start],
      folder,
      spec: join(folder, 'spec.json'),
      env,
    });
    print(`${ended.stderr}\n${ended.stdout}`);
    if (ended.code !== 0) return 1;
    const result = JSON.parse(ended.stdout.trim().split('\n').at(-1) ?? '') as Result;
    const problems = problemsOf(result, await readFile(result.reportPath, 'utf8'));
    for (const problem of problems) say(problem);
    print(problems.length === 0 ? 'PASS' : 'FAIL');
    return problems.length === 0 ? 0 : 1;
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

process.exitCode = await main();
