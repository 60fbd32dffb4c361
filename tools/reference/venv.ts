/** The Python of the references (PyTorch, transformers, PEFT, bitsandbytes): found, or made once in the user's cache. */
import { access, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from '../../runtime/bootstrap/cache-folder.mjs';
import { run, runOrFail } from '../../runtime/bootstrap/exec.mjs';
import { ROOT } from './programs.ts';

const REQUIREMENTS = 'test/parity/requirements.txt';

/**
 * Path of a Python that has exactly the pinned packages: `ESCADA_REFERENCE_PYTHON`, else a virtual environment next to
 * Escada's user cache, which is made when it is not there (about 6 GB, minutes).
 *
 * Throws with the missing packages when a named Python lacks some.
 */
export async function referencePython(say: (line: string) => void): Promise<string> {
  const named = process.env['ESCADA_REFERENCE_PYTHON'];
  const folder = `${cacheFolder()}-reference`;
  const python = named ?? join(folder, 'bin', 'python');
  const there = await access(python).then(
    () => true,
    () => false,
  );
  if (there && (await missing(python)).length === 0) return python;
  if (named !== undefined) {
    const lacks = there ? `lacks ${(await missing(python)).join(', ')}` : 'does not exist';
    throw new Error(`ESCADA_REFERENCE_PYTHON: ${named} ${lacks}; install ${REQUIREMENTS} there, or unset it`);
  }
  say(`making the reference environment in ${folder} (once, about 6 GB)`);
  if (!there) await runOrFail('python3 -m venv', 'python3', ['-m', 'venv', folder], { cwd: ROOT });
  const pip = ['-m', 'pip', 'install', '--quiet', '-r', REQUIREMENTS];
  await runOrFail('pip install', python, pip, { cwd: ROOT });
  const left = await missing(python);
  if (left.length > 0) throw new Error(`${folder} still lacks ${left.join(', ')} after pip install`);
  return python;
}

/** Pinned requirements that the Python does not have in this very version. */
async function missing(python: string): Promise<string[]> {
  const wanted = (await readFile(join(ROOT, REQUIREMENTS), 'utf8')).split('\n').filter((line) => line !== '');
  const script =
    'import importlib.metadata as m\n' +
    'print("\\n".join(f"{d.name.lower()}=={d.version.split(chr(43))[0]}" for d in m.distributions()))';
  const { code, output } = await run(python, ['-c', script], { cwd: ROOT });
  const has = new Set(code === 0 ? output.split('\n') : []);
  return wanted.filter((line) => !has.has(line));
}
