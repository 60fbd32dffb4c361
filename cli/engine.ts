import { Command } from 'commander';
import { PACKAGE_ROOT } from '../plugins/sdk/package-paths.ts';
import { ensureEngine } from '../runtime/bootstrap/engine.mjs';
import { createProgress } from '../runtime/bootstrap/progress.mjs';
import { print } from './lib/terminal.ts';

const build = new Command('build')
  .description(
    'Compile the native engine for this machine (needs Rust and a C linker; minutes the first time)',
  )
  .action(async () => {
    const progress = createProgress();
    try {
      const { addonPath, key } = await ensureEngine({ root: PACKAGE_ROOT, progress });
      print(`${addonPath}\n  ${process.platform}-${process.arch}, sources ${key}`);
    } finally {
      progress.close();
    }
  });

export const engineCommand = new Command('engine').description('The native engine').addCommand(build);
