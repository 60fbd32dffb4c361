/** Bounds that hold wherever a number is asked for: in specs and in the options of step kinds alike. */
import { z } from 'zod';

export const MAX_PROMPT_TOKENS = 8192;
export const MAX_NEW_TOKENS = 4096;

/** Share of the resamples inside an interval. */
export const levelSchema = z.number().min(0.5).max(0.999);

/** Resamples of a bootstrap. */
export const resamplesSchema = z.int().min(200).max(100_000);

/** Seed of anything drawn at random. */
export const seedSchema = z.int().min(0).max(2_147_483_647);

/** Tokens of an answer. */
export const maxNewTokensSchema = z.int().min(1).max(MAX_NEW_TOKENS);

/** Tokens of a prompt. */
export const maxPromptTokensSchema = z.int().min(8).max(MAX_PROMPT_TOKENS);
