import { z } from 'zod';
import { messageSchema } from '../../plugins/process-trainer/worker/protocol.ts';
import { adaptationSpecSchema } from '../../schemas/spec/adaptation-spec.ts';
import { flowchartSchema } from '../../schemas/spec/flowchart.ts';
import { artifactRefSchema } from '../../schemas/common/artifact-ref.ts';
import { pipelineSpecSchema } from '../../schemas/spec/pipeline-spec.ts';
import { projectConfigSchema } from '../../schemas/spec/project-config.ts';
import { trainSpecSchema } from '../../schemas/spec/train-spec.ts';
import { fullConfigSchema } from '../../schemas/spec/full-config.ts';
import { loraConfigSchema } from '../../schemas/spec/lora-config.ts';

/** Every schema that users and other languages may rely on, by the name of its committed file. */
export const PUBLISHED = {
  'adaptation-spec': adaptationSpecSchema,
  'artifact-ref': artifactRefSchema,
  flowchart: flowchartSchema,
  'full-config': fullConfigSchema,
  'lora-config': loraConfigSchema,
  'pipeline-spec': pipelineSpecSchema,
  'project-config': projectConfigSchema,
  'train-spec': trainSpecSchema,
  'trainer-protocol': messageSchema,
} as const;

/** The text of a committed JSON Schema file. `io: 'input'`: what a user writes, before defaults are filled in. */
export function schemaText(schema: z.ZodType): string {
  return `${JSON.stringify(z.toJSONSchema(schema, { io: 'input' }), null, 2)}\n`;
}
