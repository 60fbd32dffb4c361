import { z } from 'zod';

/** Hyper-parameters that adapters and full fine-tuning share, by their usual names. */
export const commonFields = {
  lrSchedulerType: z.enum(['constant', 'linear', 'cosine']).default('linear'),
  /** Paged: moments in host memory, which on the CPU they are anyway. */
  optim: z
    .enum(['adamw_torch', 'adamw_8bit', 'paged_adamw_32bit', 'paged_adamw_8bit'])
    .default('adamw_torch'),
  warmupSteps: z.int().min(0).default(5),
  weightDecay: z.number().min(0).max(1).default(0),
  adamBeta1: z.number().min(0).max(0.9999).default(0.9),
  adamBeta2: z.number().min(0).max(0.99999).default(0.999),
  adamEpsilon: z.number().positive().default(1e-8),
  maxGradNorm: z.number().positive().default(1),
  perDeviceTrainBatchSize: z.int().min(1).max(1024).default(4),
  gradientAccumulationSteps: z.int().min(1).max(1024).default(1),
  numTrainEpochs: z.number().positive().max(100).default(1),
  maxSteps: z.int().min(-1).max(10_000_000).default(-1),
  maxSeqLengthTokens: z.int().min(16).max(131_072).default(2048),
  /** Sequence packing: short examples share one sequence; attention is masked between them. */
  packing: z.boolean().default(false),
  /**
   * Activation checkpointing: which activations are recomputed in the backward pass (none, those of the feed-forward
   * part, all but each layer's input). Costs time and changes no result. Absent: `auto`, the least that fits the free memory.
   */
  gradientCheckpointing: z.enum(['none', 'mlp', 'full', 'auto']).optional(),
  seed: z.int().min(0).default(1),
  saveSteps: z.int().min(1).default(10),
  /** Steps between the reports of progress; the log has every step. */
  loggingSteps: z.int().min(1).default(1),
  /**
   * Arithmetic in 16 bits is allowed: a permission, so that settings made for a GPU run as written. The trainer chooses the
   * fastest it has: the CPU engine 16-bit integers with shared scales, closer to f32 than either of these formats, or f32.
   */
  fp16: z.boolean().default(false),
  bf16: z.boolean().default(false),
  /** A step whose loss or gradient is not finite: `stop` ends the training, `skip` leaves its update out and counts it. */
  nonFinite: z.enum(['stop', 'skip']).default('stop'),
  /** Steps in a row that `skip` may leave out; the next one ends the training. */
  maxConsecutiveSkips: z.int().min(1).max(1000).default(10),
  /**
   * Rows whose prompts are answered after every epoch (with more than 25 epochs, after every second, third, …), chosen by
   * the seed; 0 = none. Vices of the replies are warnings.
   */
  sampleRows: z.int().min(0).max(64).default(8),
  /** Tokens of such a reply at most. */
  sampleMaxNewTokens: z.int().min(1).max(1024).default(32),
} as const;
