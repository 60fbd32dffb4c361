/** Commands that run at the same time on one machine, and what each must have left the others. */
import { existsSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readNote, serverFiles } from '../../runtime/server/server-note.ts';
import { startDevServer } from '../../runtime/server/dev-server.ts';
import { problemsOf, startCommand, type Command, type Ended } from './start-command.ts';

/** How the commands of a scenario are made. */
export interface Setting {
  /** A folder for all projects. */
  readonly root: string;
  readonly cliPath: string;
  readonly program: Command['program'];
  readonly env: NodeJS.ProcessEnv;
  /** Puts data and specs into a project folder; gives two specs that differ. */
  readonly fill: (folder: string) => Promise<readonly [string, string]>;
}

/** A line of the table. */
export interface Row {
  readonly scenario: string;
  readonly command: string;
  readonly run: string;
  readonly seconds: number;
  readonly problems: readonly string[];
}

interface Named {
  readonly name: string;
  readonly folder: string;
  readonly spec: string;
  readonly env?: NodeJS.ProcessEnv;
}

type Finished = Named & { readonly ended: Ended };

async function together(setting: Setting, commands: readonly Named[]): Promise<readonly Finished[]> {
  return await Promise.all(
    commands.map(async (one) => {
      const env = { ...setting.env, ...one.env };
      const { folder, spec } = one;
      return { ...one, ended: await startCommand({ program: setting.program, folder, spec, env }) };
    }),
  );
}

async function project(
  setting: Setting,
  name: string,
): Promise<{ folder: string; specs: readonly [string, string] }> {
  const folder = join(setting.root, name);
  await mkdir(folder, { recursive: true });
  return { folder, specs: await setting.fill(folder) };
}

function rows(scenario: string, all: readonly Finished[], common: readonly string[]): readonly Row[] {
  return all.map(({ name, folder, ended }, at) => ({
    scenario: at === 0 ? scenario : '',
    command: name,
    run: ended.result === null ? '–' : `${ended.result.workflowId}${ended.attached ? ' (attached)' : ''}`,
    seconds: ended.seconds,
    problems: [...problemsOf(ended, folder), ...(at === 0 ? common : [])],
  }));
}

const runOf = ({ ended }: Finished) => ended.result?.workflowId;

/** What a folder's server must have left: its database, and no process. */
async function serverProblems(folder: string): Promise<string[]> {
  const database = join(folder, '.escada', 'temporal.db');
  const problems = existsSync(database) ? [] : [`no database in ${folder}`];
  if ((await readNote(serverFiles(database))) !== null) problems.push(`the server of ${folder} is left`);
  return problems;
}

/** Three commands in one checkout: twice one spec, once another. */
export async function oneFolder(setting: Setting): Promise<readonly Row[]> {
  const { folder, specs } = await project(setting, 'checkout');
  const all = await together(setting, [
    { name: 'first spec', folder, spec: specs[0] },
    { name: 'first spec again', folder, spec: specs[0] },
    { name: 'second spec', folder, spec: specs[1] },
  ]);
  const [first, again, second] = all as [Finished, Finished, Finished];
  const problems = await serverProblems(folder);
  if (runOf(first) !== runOf(again)) problems.push('one spec made two runs');
  if (runOf(first) === runOf(second)) problems.push('two specs made one run');
  if (first.ended.attached === again.ended.attached)
    problems.push('not exactly one command attached and said so');
  if (new Set(all.map(({ ended }) => ended.server)).size !== 1) problems.push('more than one server ran');
  return rows('one checkout, three at once', all, problems);
}

/** Commands in two folders with the same spec, one with a name that is part of a URI. */
export async function twoFolders(setting: Setting): Promise<readonly Row[]> {
  const [left, right] = await Promise.all([
    project(setting, 'another'),
    project(setting, 'client #1 50%20?'),
  ]);
  const all = await together(setting, [
    { name: 'another folder', folder: left.folder, spec: left.specs[0] },
    { name: 'folder "client #1 50%20?"', folder: right.folder, spec: right.specs[0] },
  ]);
  const problems = [...(await serverProblems(left.folder)), ...(await serverProblems(right.folder))];
  if (all[0]?.ended.server === all[1]?.ended.server) problems.push('two folders shared a server');
  if (all.some(({ ended }) => ended.attached)) problems.push("one took up the other's run");
  return rows('two folders, one spec', all, problems);
}

/** Two projects with the same spec on one server that neither of them has started. */
export async function oneServer(setting: Setting): Promise<readonly Row[]> {
  const server = await startDevServer({
    cliPath: setting.cliPath,
    databasePath: join(setting.root, 'server', 'temporal.db'),
  });
  try {
    const [a, b] = await Promise.all([project(setting, 'project-a'), project(setting, 'project-b')]);
    const env = { TEMPORAL_ADDRESS: server.address };
    const all = await together(setting, [
      { name: 'project a', folder: a.folder, spec: a.specs[0], env },
      { name: 'project b', folder: b.folder, spec: b.specs[0], env },
    ]);
    const problems: string[] = [];
    if (runOf(all[0] as Finished) === runOf(all[1] as Finished)) problems.push('two projects shared a run');
    if (all.some(({ ended }) => ended.server !== server.address)) problems.push('not on the shared server');
    for (const { folder } of [a, b])
      if ((await readdir(join(folder, '.escada'))).includes('temporal.db'))
        problems.push('a server was started');
    const note = await readNote(serverFiles(join(setting.root, 'server', 'temporal.db')));
    if (note?.pid !== server.pid) problems.push('the shared server was stopped');
    return rows('two projects, one server', all, problems);
  } finally {
    await server.stop();
  }
}
