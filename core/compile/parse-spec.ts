/** One parser for every spec that users write: the same bounds, the same checks, the same form of issues. */
import type { z } from 'zod';
import { formatPath } from '../../plugins/sdk/issues.ts';
import { checkValue, jsonSchemaOf } from '../../plugins/sdk/schema-check/check-value.ts';
import { adaptationSpecSchema, type ParsedAdaptationSpec } from '../../schemas/spec/adaptation-spec.ts';
import { pipelineSpecSchema, type PipelineSpec } from '../../schemas/spec/pipeline-spec.ts';
import { trainSpecSchema, type ParsedTrainSpec } from '../../schemas/spec/train-spec.ts';
import { IssueList } from './issue-list.ts';
import { refuseOversize } from './refuse-oversize.ts';

/** Checks a raw adaptation spec and fills in its defaults. Throws `INVALID_SPEC` with every issue and its path. */
export const parseAdaptationSpec = (raw: unknown): ParsedAdaptationSpec =>
  parseSpec(adaptationSpecSchema, raw);

/** Checks a raw training spec and fills in its defaults. Throws `INVALID_SPEC` with every issue and its path. */
export const parseTrainSpec = (raw: unknown): ParsedTrainSpec => parseSpec(trainSpecSchema, raw);

/** Checks a raw pipeline spec and fills in its defaults. Throws `INVALID_SPEC` with every issue and its path. */
export const parsePipelineSpec = (raw: unknown): PipelineSpec => parseSpec(pipelineSpecSchema, raw);

function parseSpec<T>(schema: z.ZodType<T>, raw: unknown): T {
  refuseOversize(raw);
  const issues = new IssueList();
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw) || Object.keys(raw).length === 0) {
    issues.add('spec', `is empty: give one JSON object with at least ${requiredFields(schema)}.`);
    issues.throwIfAny();
  }
  const checked = checkValue(schema, raw);
  if (checked.success) return checked.data;
  for (const { path, message } of checked.issues) issues.add(formatPath(path) || 'spec', message);
  issues.throwIfAny();
  throw new TypeError('a spec is refused without an issue');
}

/** `"name", "task" and "data"`. */
function requiredFields(schema: z.ZodType): string {
  const names = ((jsonSchemaOf(schema)?.['required'] ?? []) as readonly string[]).map((name) => `"${name}"`);
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
