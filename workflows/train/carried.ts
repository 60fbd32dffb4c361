import type { PlannedStep } from '../../schemas/plan/pipeline-plan.ts';
import type { TrainingState } from '../../schemas/outcome/train-run.ts';
import { fail } from '../shared/fail.ts';

const TEXTS = [
  'id',
  'uses',
  'resource',
  'retry',
  'summary',
] as const satisfies readonly (keyof PlannedStep)[];
const TIMES = [
  'startToCloseTimeoutMs',
  'heartbeatTimeoutMs',
] as const satisfies readonly (keyof PlannedStep)[];

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;

/**
 * The second argument of `trainModel`, which only a run that continues as new sends, but anybody may. Null when there is
 * none. Throws `INVALID_SPEC`.
 */
export function readCarried(carried: unknown): TrainingState | null {
  if (carried === undefined || carried === null) return null;
  const wrong = whatIsWrong(carried);
  if (wrong === null) return carried as TrainingState;
  const advice = 'Start a training with its spec alone.';
  throw fail('INVALID_SPEC', `The second argument is no state of a training: ${wrong}. ${advice}`);
}

function whatIsWrong(carried: unknown): string | null {
  if (!isObject(carried)) return 'it must be one JSON object';
  const { step, failedAttempts, lastFailure } = carried;
  if (!isObject(step) || step['form'] !== 'step') return 'step: must be a planned step';
  const text = TEXTS.find((name) => typeof step[name] !== 'string');
  if (text !== undefined) return `step.${text}: must be a text`;
  const time = TIMES.find((name) => !isCount(step[name]) || step[name] === 0);
  if (time !== undefined) return `step.${time}: must be a number of milliseconds`;
  if (!isObject(step['with'])) return 'step.with: must be an object';
  if (!isCount(failedAttempts)) return 'failedAttempts: must be a count';
  if (typeof lastFailure !== 'string') return 'lastFailure: must be a text';
  return null;
}
