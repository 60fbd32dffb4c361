import { childEnvironment } from '../../sdk/process/child-environment.ts';
import { spawnGuarded } from '../../sdk/process/spawn-guarded.ts';
import { ProtocolProcess } from '../../sdk/process/protocol-process.ts';
import { EscadaFailure, isEscadaFailure } from '../../sdk/contracts/failure.ts';
import type { TrainerOptions } from '../index.ts';
import { METHODS, PROTOCOL_VERSION, type ResultOf } from './protocol.ts';
import { notStarted, trainerFailures } from './trainer-errors.ts';

/** How a command that does not complete the handshake may end; what it reports itself stays as it is. */
const NO_GREETING = ['TRAINER_CRASHED', 'TRAINER_STALLED'];

/** A trainer's command, started, its handshake complete. */
export interface StartedTrainer {
  readonly process: ProtocolProcess<typeof METHODS>;
  readonly hello: ResultOf<'hello'>;
}

/** Starts the command and completes the handshake. Throws `TRAINER_NOT_STARTED`, `TRAINER_PROTOCOL`, `TRAINER_CANCELLED`. */
export async function startTrainer(options: TrainerOptions, signal: AbortSignal): Promise<StartedTrainer> {
  const { id, command, pipes, cwd = process.cwd(), graceMs, startMs } = options;
  const child = await spawnGuarded({ command, pipes, cwd }, environmentOf(options)).catch(
    (error: unknown) => {
      throw notStarted(id, command, error);
    },
  );
  const side = { version: PROTOCOL_VERSION, methods: METHODS, failures: trainerFailures(id) };
  const trainer = new ProtocolProcess(child, side, { graceMs });
  try {
    const params = { protocols: [PROTOCOL_VERSION] };
    const hello = await trainer.request('hello', params, { stallMs: startMs, signal });
    return { process: trainer, hello };
  } catch (error) {
    await trainer.kill();
    if (isEscadaFailure(error) && NO_GREETING.includes(error.code)) throw notStarted(id, command, error);
    throw error;
  }
}

/** What the command may know: see `childEnvironment`; the server's address and keys are not among it. */
function environmentOf({ env, inherit }: TrainerOptions): NodeJS.ProcessEnv {
  const given = childEnvironment(process.env, inherit);
  return { ...given, ...env, ESCADA_TRAINER_PROTOCOL: String(PROTOCOL_VERSION) };
}

/** A failure that a trainer reported, with the last lines of its log, which usually name the cause. */
export function withLog(error: unknown, lastLog: readonly string[]): unknown {
  if (!isEscadaFailure(error) || error.code !== 'TRAINER_FAILED' || lastLog.length === 0) return error;
  const message = `${error.message}\n${lastLog.join('\n')}`;
  return new EscadaFailure({ code: error.code, message, fields: { ...error.fields, lastLog }, cause: error });
}
