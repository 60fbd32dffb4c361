/**
 * What llama.cpp's own tokenizers make of texts, as golden files: `node tools/reference/gguf-tokenizers.ts`, after
 * `test/parity/make_gguf_families.py`, whose texts are taken.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { say } from '../../cli/lib/terminal.ts';
import { PACKAGE_ROOT } from '../../plugins/sdk/package-paths.ts';
import { llamaClient } from './llama/client.ts';
import { openLlama } from './llama/greedy.ts';

const FOLDER = join(PACKAGE_ROOT, 'test/fixtures/gguf');
const MODELS = { sentencepiece: 'tiny-llama', llama3: 'tiny-llama3' } as const;
/** A user's text, and the same text in the model's chat template. */
const PROMPT = 'for the first flat:  a towel rail';
const RENDERED = {
  sentencepiece: `<s>[INST] ${PROMPT} [/INST]`,
  llama3: `<|im_start|>user\n${PROMPT}<|im_end|>\n<|im_start|>assistant\n`,
} as const;
const textsSchema = z.object({ cases: z.array(z.object({ text: z.string() })) });

const given = textsSchema.parse(JSON.parse(await readFile(join(FOLDER, 'qwen2-tokenizer.json'), 'utf8')));
const llama = await openLlama(await llamaClient(say), 1);
for (const tokenizer of ['sentencepiece', 'llama3'] as const) {
  const opened = await llama.loadModel({ modelPath: join(FOLDER, `${MODELS[tokenizer]}.gguf`) });
  const prompt = { content: PROMPT, ids: opened.tokenize(RENDERED[tokenizer], true).map(Number) };
  const cases = given.cases.map(({ text }) =>
    JSON.stringify({ text, ids: opened.tokenize(text, false).map(Number) }),
  );
  await writeFile(
    join(FOLDER, `${tokenizer}-tokenizer.json`),
    `{\n"prompt": ${JSON.stringify(prompt)},\n"cases": [\n  ${cases.join(',\n  ')}\n]\n}\n`,
  );
}
await llama.dispose();
