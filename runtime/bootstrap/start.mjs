// `npm start`: sets the machine up (fast when it is), then runs the quickstart with the arguments passed on.
// Plain JavaScript that any Node from 18 on understands, because nothing is installed yet when it begins.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { exitCodeOf, explain } from './errors.mjs';
import { ownNode } from './own-node.mjs';
import { runProgram } from './program.mjs';
import { createProgress } from './progress.mjs';
import { programEnvironment, setUp } from './set-up.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

async function main() {
  const progress = createProgress();
  const stop = new AbortController();
  const interrupt = () => stop.abort(new Error('interrupted'));
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const ready = await setUp({ root, progress, signal: stop.signal });
  progress.line('ready', `set-up took ${progress.seconds().toFixed(1)} s`);
  progress.close();
  process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  const env = programEnvironment(ready, progress.seconds());
  const node = await ownNode(root);
  // From the folder the user is in, so that relative paths among the arguments mean what they say.
  const args = [
    '--disable-warning=ExperimentalWarning',
    path.join(root, 'cli/main.ts'),
    'quickstart',
    ...process.argv.slice(2),
  ];
  return runProgram(node, args, { env, cwd: process.env.INIT_CWD ?? process.cwd() });
}

main().then(
  (code) => {
    process.exitCode = code;
  },
  (/** @type {unknown} */ error) => {
    process.stderr.write(`\n${explain(error)}\n`);
    process.exitCode = exitCodeOf(error);
  },
);
