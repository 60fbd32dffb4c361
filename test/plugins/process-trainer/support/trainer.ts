/**
 * A small trainer that speaks the protocol, for tests: `node trainer.ts [fault …]`. What it learns is a chain of hashes
 * over steps, settings and rows, so that a step that is left out or done twice shows in the adapter. A fault is
 * `name` or `name:step`.
 */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const FIXTURE = fileURLToPath(new URL('../../../fixtures/tiny-llama/adapter', import.meta.url));

const faults = new Map(process.argv.slice(2).map((text) => text.split(':') as [string, string | undefined]));
const has = (fault: string): boolean => faults.has(fault);
const at = (fault: string, step: number): boolean => Number(faults.get(fault)) === step;

const [requestFd, replyFd] = has('stdio') ? [0, 1] : [3, 4];
const requests = new Socket({ fd: requestFd, readable: true, writable: false });
const replies = new Socket({ fd: replyFd, readable: false, writable: true });

/** Standard output may be the pipe. */
const log = (text: string): void => void process.stderr.write(`${text}\n`);

const sha256 = (...parts: (string | Uint8Array)[]): string => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
};

interface Params {
  readonly rowsPath: string;
  readonly outDir: string;
  readonly config: { readonly maxSteps: number; readonly saveSteps: number; readonly learningRate: number };
  readonly resumeFrom: string | null;
}

const v = has('old-version') ? 2 : 1;
const send = (message: object): void => void replies.write(`${JSON.stringify({ v, ...message })}\n`);

const HELLO = {
  protocol: 1,
  name: 'chain of hashes',
  version: '1',
  build: has('other-build') ? 'b' : 'a',
  capabilities: {
    weightFormats: has('f32-only') ? ['f32'] : ['nf4', 'f32'],
    modelFiles: has('f32-only') ? ['gguf'] : ['gguf', 'hf-folder'],
    optim: ['adamw_torch'],
    lrSchedulerTypes: ['linear', 'constant'],
    rsLora: false,
    packing: false,
    ...(has('skips') ? { nonFinite: ['stop', 'skip'] } : {}),
    resume: has('no-resume') ? 'none' : 'bitwise',
  },
};

/** The fixture's adapter, one value of each matrix B of it replaced by what was learned. */
function writeAdapter(folder: string, state: string): string {
  mkdirSync(folder, { recursive: true });
  const bytes = readFileSync(join(FIXTURE, 'adapter_model.safetensors'));
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.subarray(8, 8 + headerBytes).toString()) as Record<
    string,
    { data_offsets?: [number, number] }
  >;
  const learned = 0.2 + parseInt(state.slice(0, 8), 16) / 2 ** 32;
  for (const [name, { data_offsets: [from] = [0] }] of Object.entries(header))
    if (name.includes('lora_B')) bytes.writeFloatLE(learned, 8 + headerBytes + from);
  writeFileSync(join(folder, 'adapter_model.safetensors'), bytes);
  writeFileSync(join(folder, 'adapter_config.json'), readFileSync(join(FIXTURE, 'adapter_config.json')));
  return sha256(bytes);
}

let cancelled = false;

async function train(id: number, { rowsPath, outDir, config, resumeFrom }: Params): Promise<void> {
  const rows = readFileSync(rowsPath, 'utf8').trimEnd().split('\n');
  let [step, state] = [0, 'begin'];
  if (resumeFrom !== null) {
    const saved = JSON.parse(readFileSync(join(resumeFrom, 'nested', 'state.json'), 'utf8')) as [
      number,
      string,
    ];
    [step, state] = saved;
  }
  const resumedFromStep = step;
  const save = (): void => {
    const folder = join(outDir, `checkpoint-${step}`);
    mkdirSync(join(folder, 'nested'), { recursive: true });
    writeFileSync(join(folder, 'nested', 'state.json'), JSON.stringify([step, state]));
    if (has('own-manifest')) writeFileSync(join(folder, 'manifest.json'), '{}');
    send({ id, event: { kind: 'checkpoint', step: has('lying-checkpoint') ? step + 1 : step } });
  };
  send({ id, event: { kind: 'alive', doing: `training on ${rows.length} rows` } });
  while (step < config.maxSteps) {
    await sleep(Number(faults.get('step-ms') ?? 1));
    if (cancelled && !has('deaf')) {
      if (has('saves-when-cancelled')) save();
      return send({ id, error: { code: 'TRAINER_CANCELLED', message: 'as asked' } });
    }
    step += 1;
    state = sha256(state, rows[step % rows.length] ?? '', String(config.learningRate), String(step));
    if (has('log-environment')) log(Object.keys(process.env).join(' '));
    misbehave(id, step, resumeFrom);
    const lossNats = 1 + parseInt(state.slice(0, 4), 16) / 65_536 / step;
    const learningRate = config.learningRate * (1 - (step - 1) / config.maxSteps);
    const progress = {
      kind: 'progress',
      step,
      totalSteps: config.maxSteps,
      lossNats,
      learningRate,
      tokens: 3,
    };
    const left = at('skips', step) || faults.get('skips') === 'all';
    const reported = left ? { ...progress, lossNats: null, gradientNorm: null, skipped: true } : progress;
    const odd = {
      ...(at('odd-event', step) ? { tokens: 'many' } : {}),
      ...(at('odd-null', step) ? { lossNats: null } : {}),
    };
    if (!has('mute')) send({ id, event: { ...reported, ...odd } });
    if (step % config.saveSteps === 0) save();
  }
  const adapterPath = has('outside') ? `${outDir}-outside` : join(outDir, 'adapter');
  const digest = writeAdapter(adapterPath, state);
  const adapterSha256 = has('wrong-digest') ? '0'.repeat(64) : digest;
  send({ id, result: { adapterPath, adapterSha256, steps: step, resumedFromStep } });
}

function misbehave(id: number, step: number, resumeFrom: string | null): void {
  if (at('noise', step)) replies.write('no JSON: {"loss": NaN}\n');
  if (at('report', step)) {
    log('Traceback: the cause');
    send({ id, error: { code: 'ValueError', message: 'bad value' } });
  }
  if (at('report-memory', step)) {
    send({ id, error: { code: 'TRAINING_OUT_OF_MEMORY', message: 'halve the batch' } });
  }
  if (at('exit', step)) {
    log('Segmentation imminent');
    process.exit(7);
  }
  if (at('kill-self', step) && resumeFrom === null) process.kill(process.pid, 'SIGKILL');
  const mark = faults.get('kill-once');
  if (step === 13 && mark !== undefined && !existsSync(mark)) {
    writeFileSync(mark, '');
    process.kill(process.pid, 'SIGKILL');
  }
  if (at('hang', step)) {
    log('about to hang');
    for (;;);
  }
}

if (has('no-handshake-exit')) {
  log('ModuleNotFoundError: no module named torch');
  process.exit(3);
}
if (has('helper')) {
  // A helper of the same group, as data loaders are: it must not outlive the training.
  const helper = spawn('sleep', ['600'], { stdio: 'ignore' });
  log(`helper ${helper.pid}`);
  writeFileSync(faults.get('helper') ?? '', `${process.pid} ${helper.pid}`);
}

let rest = '';
requests.setEncoding('utf8').on('data', (text: string) => {
  const lines = (rest + text).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) {
    const { id, method, params } = JSON.parse(line) as { id: number; method: string; params: unknown };
    if (method === 'hello' && !has('silent')) send({ id, result: HELLO });
    if (method === 'train') void train(id, params as Params);
    if (method === 'cancel') {
      cancelled = true;
      send({ id, result: { cancelled: true } });
    }
  }
});
requests.on('end', () => {
  if (has('stays')) return;
  closeSync(replyFd);
  process.exit(0);
});
if (has('stays')) setInterval(() => undefined, 1000);
