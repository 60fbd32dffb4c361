/**
 * `npm run accept:two [-- --tiny] [--json]`: several `npm start` at the same time. Two with the same spec and one with
 * another in one checkout; one in another folder and one in a folder with `#` in its name; two projects on one Temporal
 * server. Passes when all end well and none touched what is another's. Exit code 1 otherwise.
 */
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { print, say, table } from '../../cli/lib/terminal.ts';
import { oneFolder, oneServer, twoFolders, type Row } from './two-runs.ts';
import { realSetting, tinySetting } from './two-settings.ts';

function render(rows: readonly Row[]): string {
  const cells = rows.map(({ scenario, command, run, seconds, problems }) => [
    scenario,
    command,
    run,
    `${seconds.toFixed(0)} s`,
    problems.length === 0 ? 'PASS' : 'FAIL',
  ]);
  return table([['scenario', 'command', 'run', 'took', ''], ...cells]);
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { tiny: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  });
  const root = await realpath(await mkdtemp(join(tmpdir(), 'escada-two-')));
  const rows: Row[] = [];
  try {
    const setting = await (values.tiny ? tinySetting(root) : realSetting(root));
    for (const scenario of [oneFolder, twoFolders, oneServer]) {
      const some = await scenario(setting);
      for (const { command, problems } of some) for (const problem of problems) say(`${command}: ${problem}`);
      rows.push(...some);
    }
  } finally {
    await rm(root, { recursive: true, force: true, maxRetries: 5 });
  }
  print(`\n${render(rows)}`);
  const passed = rows.every(({ problems }) => problems.length === 0);
  if (values.json) print(JSON.stringify({ passed, rows }));
  return passed ? 0 : 1;
}

process.exitCode = await main();
