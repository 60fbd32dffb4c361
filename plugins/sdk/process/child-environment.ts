/** What a child process may know of a worker's environment. */

/** Where programs, homes and temporary files are, language and clock; `ESCADA_HOME` says whose child it is. */
const SYSTEM =
  /^(?:PATH|HOME|ESCADA_HOME|USER|LOGNAME|SHELL|LANG|LANGUAGE|LC_[A-Z]+|TZ|TMPDIR|TMP|TEMP|XDG_(?:CACHE|CONFIG|DATA|RUNTIME)_(?:HOME|DIR)|SystemRoot|windir|COMSPEC|PATHEXT|USERPROFILE|APPDATA|LOCALAPPDATA)$/;
/** Threads, devices and libraries. */
const COMPUTE =
  /^(?:OMP|GOMP|KMP|MKL|OPENBLAS|NUMEXPR|RAYON|CUDA|NVIDIA|NCCL|HIP|ROCR|HSA|PYTORCH|TORCH)_[A-Z0-9_]+$|^(?:DY)?LD_LIBRARY_PATH$|^RUST_BACKTRACE$/;
/** Interpreters and where they look for what is installed or cached. */
const INTERPRETERS =
  /^(?:PYTHON[A-Z]+|PYENV_[A-Z_]+|VIRTUAL_ENV|CONDA_[A-Z_]+|HF_HOME|HF_HUB_CACHE|HF_HUB_OFFLINE|TRANSFORMERS_(?:CACHE|OFFLINE))$/;
/** A name that fits the lists above and still says that it holds a secret. */
const SECRET = /TOKEN|SECRET|PASSW|CREDENTIAL|_KEY$/;

/**
 * The variables of `environment` that a child gets: a list of what programs need to run, never a list of what to keep
 * back, since nobody knows which secrets a host's worker holds. `inherit` names further ones.
 */
export function childEnvironment(
  environment: NodeJS.ProcessEnv,
  inherit: readonly string[] = [],
): NodeJS.ProcessEnv {
  const passes = (name: string): boolean =>
    inherit.includes(name) ||
    ([SYSTEM, COMPUTE, INTERPRETERS].some((names) => names.test(name)) && !SECRET.test(name));
  return Object.fromEntries(Object.entries(environment).filter(([name]) => passes(name)));
}
