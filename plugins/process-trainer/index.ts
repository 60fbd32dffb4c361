/**
 * Trainers that are other people's programs: any command that speaks the protocol of `PROTOCOL.md` on a pipe becomes a
 * trainer that specs choose by its id.
 */
import { z } from 'zod';
import { PACKAGE_VERSION } from '../sdk/package-version.ts';
import { PLUGIN_API_VERSION, type PluginV1 } from '../sdk/contracts/plugin.ts';
import { ProcessTrainer } from './worker/process-trainer.ts';

/** One trainer: the command and how long it may take for what. */
export const trainerOptionsSchema = z.strictObject({
  /** What specs call it (`trainer`, `rungs.peft.trainer`). */
  id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,59}$/, 'lower-case letters, digits and dashes'),
  /** Program and arguments; no shell. */
  command: z.array(z.string().min(1)).min(1),
  /** Folder that it runs in. Default: that of the worker. */
  cwd: z.string().min(1).optional(),
  /** Further variables of the worker's environment that the command gets, by name (`HF_TOKEN`). */
  inherit: z
    .array(z.string().regex(/^[A-Za-z_]\w*$/, 'not a variable name'))
    .max(100)
    .default([]),
  /** Variables of its own. */
  env: z.record(z.string().regex(/^[A-Za-z_]\w*$/, 'not a variable name'), z.string()).default({}),
  /** Where the protocol is spoken: descriptors 3 and 4, or standard input and output (for wrappers such as ssh). */
  pipes: z.enum(['descriptors', 'stdio']).default('descriptors'),
  /** Longest time until the handshake is complete. */
  startMs: z.int().positive().default(120_000),
  /** Longest silence of a training before its process is killed; keep it above its longest step. */
  stallMs: z.int().positive().default(900_000),
  /** Time between a cancellation and SIGKILL; less than the worker's own 20 s. */
  graceMs: z.int().positive().max(19_000).default(10_000),
});

export type TrainerOptions = z.infer<typeof trainerOptionsSchema>;

export const processTrainerOptionsSchema = z.strictObject({
  trainers: z.array(trainerOptionsSchema).default([]),
});

/** Makes the plugin. Registration throws `PLUGIN_DUPLICATE` for an id that is taken; commands are started when used. */
export function createProcessTrainerPlugin(): PluginV1 {
  const made: ProcessTrainer[] = [];
  return {
    name: 'process-trainer',
    version: PACKAGE_VERSION,
    apiVersion: PLUGIN_API_VERSION,
    needs: [],
    optionsSchema: processTrainerOptionsSchema,
    register(registrar, options) {
      for (const one of processTrainerOptionsSchema.parse(options).trainers) {
        const trainer = new ProcessTrainer(one);
        registrar.addTrainer(trainer);
        made.push(trainer);
      }
    },
    async close() {
      await Promise.all(made.map((trainer) => trainer.close()));
    },
  };
}
