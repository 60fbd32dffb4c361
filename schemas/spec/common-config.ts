import { z } from 'zod';

/** Hyper-parameters that adapters and full fine-tuning share, by their usual names. */
export const commonFields = {
  /** Learning rate after the warm-up. */
  lrSchedulerType: z.enum(['constant', 'linear', 'cosine']).default('linear'),
  /** Paged: moments in host memory, which on the CPU they are anyway. */
  optim: z
    .enum(['adamw_torch', 'adamw_8bit', 'paged_adamw_32bit', 'paged_adamw_8bit'])
    .default('adamw_torch'),
  /** Steps of linear warm-up. */
  warmupSteps: z.int().min(0).default(5),
  /** Decoupled weight decay. */
  weightDecay: z.number().min(0).max(1).default(0),
  /** Decay of the first moment. */
  adamBeta1: z.number().min(0).max(0.9999).default(0.9),
  /** Decay of the second moment. */
  adamBeta2: z.number().min(0).max(0.99999).default(0.999),
  /** Added to the denominator of the update. */
  adamEpsilon: z.number().positive().default(1e-8),
  /** Gradient clipping by the global norm. */
  maxGradNorm: z.number().positive().default(1),
  /** Sequences of a micro-batch. */
  perDeviceTrainBatchSize: z.int().min(1).max(1024).default(4),
  /** Micro-batches of one optimizer step. */
  gradientAccumulationSteps: z.int().min(1).max(1024).default(1),
  /** Passes over the training rows. */
  numTrainEpochs: z.number().positive().max(100).default(1),
  /** Optimizer steps; -1: as many as the epochs take. */
  maxSteps: z.int().min(-1).max(10_000_000).default(-1),
  /** Longest sequence in tokens. */
  maxSeqLengthTokens: z.int().min(16).max(131_072).default(2048),
  /** Sequence packing: short examples share one sequence; attention is masked between them. */
  packing: z.boolean().default(false),
  /**
   * Activation checkpointing: which activations are recomputed in the backward pass (none, those of the feed-forward
   * part, all but each layer's input). Costs time and changes no result. Absent: `auto`, the least that fits the free memory.
   */
  gradientCheckpointing: z.enum(['none', 'mlp', 'full', 'auto']).optional(),
  /** Seed of data order, initialization and dropout. */
  seed: z.int().min(0).default(1),
  /** Optimizer steps between checkpoints. */
  saveSteps: z.int().min(1).default(10),
  /** Steps between the reports of progress; the log has every step. */
  loggingSteps: z.int().min(1).default(1),
  /**
   * Arithmetic in 16 bits is allowed: a permission, so that settings made for a GPU run as written. The trainer chooses the
   * fastest it has: the CPU engine 16-bit integers with shared scales, closer to f32 than either of these formats, or f32.
   */
  fp16: z.boolean().default(false),
  /** Equal to `fp16`. */
  bf16: z.boolean().default(false),
  /** A step whose loss or gradient is not finite: `stop` ends the training, `skip` leaves its update out and counts it. */
  nonFinite: z.enum(['stop', 'skip']).default('stop'),
  /** Steps in a row that `skip` may leave out; the next one ends the training. */
  maxConsecutiveSkips: z.int().min(1).max(1000).default(10),
  /**
   * Rows whose prompts are answered after every epoch (with more than 25 epochs, after every second, third, …), chosen by
   * the seed; 0 = none. Degenerate outputs are warnings.
   */
  sampleRows: z.int().min(0).max(64).default(8),
  /** Tokens of such a reply at most. */
  sampleMaxNewTokens: z.int().min(1).max(1024).default(32),
} as const;
