/** Programs of the pages: written where their imports are found, compiled together, run one by one. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ROOT } from '../../whole/support/needs.ts';
import type { Block } from './blocks.ts';

const TSCONFIG = {
  extends: join(ROOT, 'tsconfig.json'),
  compilerOptions: { typeRoots: [join(ROOT, 'node_modules/@types')] },
  include: ['*.ts'],
  exclude: [],
};

/** Relative imports mean the page's folder, else the root; `escada/x` means the entry x of the package. */
function resolveImports({ page, text }: Block): string {
  return text.replaceAll(
    /(from\s+|import\s+|import\()'(\.[^']+|escada(?:\/[\w-]+)?)'/g,
    (_, before: string, name: string) => {
      if (name.startsWith('escada')) return `${before}'${join(ROOT, `${name.slice(7) || 'index'}.ts`)}'`;
      const beside = join(ROOT, dirname(page), name);
      return `${before}'${existsSync(beside) ? beside : join(ROOT, name)}'`;
    },
  );
}

/** Name of a block's file. */
export const fileOf = ({ page, line, language }: Block): string =>
  `${page.replaceAll(/[^a-zA-Z]+/g, '-')}-${line}.${language === 'ts' ? 'ts' : 'mjs'}`;

/** Writes the programs into a folder outside the tree. */
export async function writePrograms(folder: string, programs: readonly Block[]): Promise<void> {
  await mkdir(folder, { recursive: true });
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module' }));
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  for (const block of programs) await writeFile(join(folder, fileOf(block)), resolveImports(block));
}

/** What the compiler says of all of them; empty when nothing. */
export function compile(folder: string): string {
  const args = [join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', '.'];
  return spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' }).stdout.trim();
}

/** Runs one. */
export function runProgram(folder: string, block: Block, env: NodeJS.ProcessEnv = process.env) {
  const args = ['--disable-warning=ExperimentalWarning', join(folder, fileOf(block))];
  return spawnSync(process.execPath, args, { cwd: folder, env, encoding: 'utf8', timeout: 120_000 });
}
