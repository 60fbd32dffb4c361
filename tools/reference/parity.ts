/**
 * `npm run parity [-- --only logits,embeddings,nf4,bnb,exports,tokenizer,training,full,replies,tasks] [--json]`: our engine against
 * transformers, PEFT and bitsandbytes. Development only: it finds or makes the reference environment (`venv.ts`). Prints a table;
 * exit code 1 when a figure misses its limit.
 */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { print, say, table } from '../../cli/lib/terminal.ts';
import { DEFAULT_MODEL, ensureModel } from '../../runtime/bootstrap/model.mjs';
import { createProgress } from '../../runtime/bootstrap/progress.mjs';
import { buildExample, runForJson } from './programs.ts';
import { referencePython } from './venv.ts';

const resultSchema = z.strictObject({
  check: z.string(),
  measured: z.number(),
  /** Comparison and bound, for example `<= 0.001`; null for a figure that is only reported. */
  limit: z.string().nullable(),
  passed: z.boolean().nullable(),
  note: z.string(),
});
type Result = z.infer<typeof resultSchema>;

const verdict = ({ passed }: Result) => (passed === null ? 'figure' : passed ? 'passed' : 'MISSED');

/** Runs the checks of the named groups (all without a name) and returns their results. */
async function measure(only: string | undefined): Promise<Result[]> {
  const progress = createProgress();
  const { path: model } = await ensureModel({ id: DEFAULT_MODEL, progress });
  progress.close();
  const python = await referencePython(say);
  const probe = await buildExample('escada-engine-core', 'parity_probe');
  const args = ['test/parity/run.py', probe, model, ...(only === undefined ? [] : ['--only', only])];
  const onLine = (line: string) => {
    const one = line.startsWith('{') ? resultSchema.parse(JSON.parse(line)) : undefined;
    if (one) say(`${verdict(one)}: ${one.check}: ${one.measured}`);
  };
  return z.array(resultSchema).parse(await runForJson(python, args, { onLine }));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { only: { type: 'string' }, json: { type: 'boolean', default: false } },
  });
  const results = await measure(values.only);
  if (values.json) print(JSON.stringify(results));
  else {
    const row = (r: Result) => [verdict(r), r.check, String(r.measured), r.limit ?? '', r.note];
    print(table([['', 'check', 'measured', 'limit', 'over'], ...results.map(row)]));
  }
  const checks = results.filter(({ passed }) => passed !== null);
  const missed = checks.filter(({ passed }) => !passed).length;
  say(`${checks.length - missed} of ${checks.length} checks passed`);
  if (missed > 0 || checks.length === 0) process.exitCode = 1;
}

await main();
