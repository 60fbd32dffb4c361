import type { ModelRef } from '../../schemas/common/model-ref.ts';
import type { ReportData } from '../../core/report/report-data.ts';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';
import { literal } from '../../schemas/plan/references.ts';
import type { PipelineSpecInput } from '../../schemas/spec/pipeline-spec.ts';
import type { ExportFormat } from '../../schemas/spec/export-format.ts';

export interface ExportOptions {
  readonly format: ExportFormat;
  /** Which weights the adapter is added to. */
  readonly base: 'trained' | 'stored';
  /** Largest drift that is released, in nats per token; by format when absent. */
  readonly maxDriftNats?: number;
  /** Of folders: larger weights are spread over several files. */
  readonly maxShardBytes?: number;
}

/** The pipeline that exports what a ladder chose, compared on its test inputs. Throws `EXPORT_NO_ADAPTER`. */
export function exportSpec(data: ReportData, options: ExportOptions): PipelineSpecInput {
  const winner = data.candidates.find(({ id }) => id === data.decision.candidateId);
  if (winner === undefined || winner.adapter === null) {
    const message = `${data.decision.rung} won run ${data.workflowId} without an adapter.`;
    throw new EscadaFailure({ code: 'EXPORT_NO_ADAPTER', message, fields: { run: data.workflowId } });
  }
  const { format, base, maxShardBytes, ...limit } = options;
  const { task } = data.plan.spec;
  const { adapter, recipe } = winner;
  const model = winner.model as ModelRef;
  const asked = data.test.candidates.find(({ id }) => id === winner.id);
  const check =
    format === 'gguf-lora' || asked === undefined
      ? null
      : {
          predictions: asked.score.predictions,
          recipe,
          maxNewTokens: task.maxAnswerTokens,
          ...limit,
        };
  const shards: Record<string, number> = maxShardBytes === undefined ? {} : { maxShardBytes };
  const step = { model, adapter, format, base, ...shards, check };
  return {
    name: `export ${data.plan.spec.name} as ${format}`.slice(0, 80),
    nodes: [{ id: 'export', form: 'step', uses: 'model.export@1', with: literal(step) }],
  };
}
