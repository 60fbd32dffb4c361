/** `npm run build`: compiles what the npm package holds into `dist/`. `npm run pack` runs it first; a plain `npm pack` runs no scripts here (`.npmrc`). */
import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../plugins/sdk/package-paths.ts';

// What a deleted source left behind must not be packed.
rmSync(join(PACKAGE_ROOT, 'dist'), { recursive: true, force: true });
const compiler = join(PACKAGE_ROOT, 'node_modules/typescript/bin/tsc');
const { status } = spawnSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], {
  cwd: PACKAGE_ROOT,
  stdio: 'inherit',
});
process.exitCode = status ?? 1;
