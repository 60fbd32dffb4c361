/** One `npm start` in a project folder, and what became of it. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { resultOf, type CommandResult } from '../../test/whole/support/processes.ts';

export interface Command {
  /** Program and arguments that take the place of `npm start`. */
  readonly program: readonly [string, ...string[]];
  /** The project folder, whose `.escada` is the home. */
  readonly folder: string;
  /** Spec file, relative to the folder; undefined: the example. */
  readonly spec?: string;
  readonly env: NodeJS.ProcessEnv;
}

export interface Ended extends CommandResult {
  readonly seconds: number;
  /** From the last line of stdout; null when there is none. */
  readonly result: { readonly workflowId: string; readonly reportPath: string; readonly rung: string } | null;
  /** Whether it said that it follows a run which an earlier command has started. */
  readonly attached: boolean;
  /** Address of the server that it talked to. */
  readonly server: string | null;
}

export async function startCommand({ program, folder, spec, env }: Command): Promise<Ended> {
  const startedMs = Date.now();
  const args = [...program.slice(1), ...(spec === undefined ? [] : ['--spec', spec]), '--json'];
  const child = spawn(program[0], args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = await resultOf(child);
  return {
    ...ended,
    seconds: (Date.now() - startedMs) / 1000,
    result: resultIn(ended.stdout),
    attached: /started by an earlier command/.test(ended.stderr),
    server: /(?:Temporal server at|namespace \S+ at) (\S+?),?(?:\s|$)/.exec(ended.stderr)?.[1] ?? null,
  };
}

function resultIn(stdout: string): Ended['result'] {
  const line = stdout.trim().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) return null;
  const { workflowId, reportPath, decision } = JSON.parse(line) as {
    workflowId: string;
    reportPath: string;
    decision: { rung: string };
  };
  return { workflowId, reportPath, rung: decision.rung };
}

/** What is wrong with a command that should have ended well; empty when nothing is. */
export function problemsOf(ended: Ended, folder: string): string[] {
  const problems: string[] = [];
  if (ended.code !== 0) problems.push(`ended with ${ended.code}: ${ended.stderr.trim().slice(-600)}`);
  if (ended.result === null) problems.push('printed no result');
  else if (!existsSync(ended.result.reportPath)) problems.push('its report is not there');
  else if (!ended.result.reportPath.startsWith(join(folder, '.escada')))
    problems.push('its report is in another folder');
  if (/^\s+at .+:\d+:\d+\)?$/m.test(ended.stderr)) problems.push('showed a stack trace');
  return problems;
}
