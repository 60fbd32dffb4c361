import type { Progress } from '../../schemas/outcome/decision.ts';
import type { TrainProgress } from '../../schemas/outcome/train-run.ts';

/** What `escada status` prints of a run beside its running steps: phase, and an adaptation's finished steps or a training's failures. */
export function progressLines(progress: Progress | TrainProgress): string[] {
  if ('failedAttempts' in progress) return trainingLines(progress);
  const { phase, rung, finished } = progress;
  return [
    `phase ${phase}${rung === null ? '' : `, rung ${rung}`}`,
    ...finished.map(
      ({ node, seconds, cached }) =>
        `  ${cached ? 'cached' : 'done  '} ${node.padEnd(28)} ${seconds.toFixed(1)} s`,
    ),
  ];
}

function trainingLines({ phase, failedAttempts, lastFailure }: TrainProgress): string[] {
  if (failedAttempts === 0) return [`phase ${phase}`];
  return [`phase ${phase}, failed attempts ${failedAttempts}`, `  last failure: ${lastFailure}`];
}
