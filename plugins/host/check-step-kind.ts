import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { rowCountsSchema } from '../../schemas/outcome/row-counts.ts';
import { usageSchema } from '../../schemas/outcome/usage.ts';
import { EscadaFailure } from '../sdk/contracts/failure.ts';
import type { JsonSchema, ValueSchema } from '../sdk/contracts/value-schema.ts';
import {
  DEFAULT_STALL_TIMEOUT_MS,
  MIN_HEARTBEAT_TIMEOUT_MS,
  RETRY_CLASSES,
  type StepKindV1,
} from '../sdk/contracts/step-kind.ts';
import { RESOURCE_CLASSES } from '../../schemas/plan/queues.ts';

type Checked = Pick<
  StepKindV1,
  'kind' | 'resource' | 'retry' | 'startToCloseTimeoutMs' | 'heartbeatTimeoutMs' | 'stallTimeoutMs'
>;
type Refuse = (field: string, value: string | number, why: string) => void;

/** Throws `PLUGIN_KIND_INVALID` for a kind whose classes or time-outs no worker can keep. */
export function checkStepKind(kind: Checked, owner: string): void {
  const refuse: Refuse = (field, value, why) => {
    throw new EscadaFailure({
      code: 'PLUGIN_KIND_INVALID',
      message: `Plugin ${owner}, step kind ${kind.kind}: ${field} is ${value}, ${why}.`,
      fields: { plugin: owner, kind: kind.kind, field, value },
    });
  };
  checkClasses(kind, refuse);
  checkTimeouts(kind, refuse);
}

/** What a function returns is checked when it is called: for every plan. */
function checkClasses({ resource, retry }: Checked, refuse: Refuse): void {
  for (const [field, value, allowed] of [
    ['resource', resource, RESOURCE_CLASSES],
    ['retry', retry, RETRY_CLASSES],
  ] as const)
    if (typeof value !== 'function' && !(allowed as readonly unknown[]).includes(value))
      refuse(field, JSON.stringify(value), `but must be one of ${allowed.join(', ')}, or a function`);
}

function checkTimeouts(kind: Checked, refuse: Refuse): void {
  const { startToCloseTimeoutMs, heartbeatTimeoutMs, stallTimeoutMs = DEFAULT_STALL_TIMEOUT_MS } = kind;
  for (const [field, value] of Object.entries({ startToCloseTimeoutMs, heartbeatTimeoutMs, stallTimeoutMs }))
    if (!Number.isFinite(value) || value <= 0) refuse(field, value, 'which is no length of time');
  if (heartbeatTimeoutMs < MIN_HEARTBEAT_TIMEOUT_MS) {
    const why = `but a worker may be busy for a second or two: use at least ${MIN_HEARTBEAT_TIMEOUT_MS}`;
    refuse('heartbeatTimeoutMs', heartbeatTimeoutMs, why);
  }
  if (stallTimeoutMs < heartbeatTimeoutMs)
    refuse('stallTimeoutMs', stallTimeoutMs, `less than heartbeatTimeoutMs (${heartbeatTimeoutMs})`);
}

/** Fields of outputs that mean the same in every kind: what reads them knows their shape. */
const SHARED_FIELDS: Readonly<Record<string, z.ZodType>> = { usage: usageSchema };

/** Throws `PLUGIN_KIND_INVALID` for a kind whose output has a field of such a name and another shape. */
export function checkSharedFields(
  { kind, outputSchema }: Pick<StepKindV1, 'kind' | 'outputSchema'>,
  owner: string,
): void {
  const { properties } = objectSchemaOf(outputSchema);
  for (const [field, schema] of Object.entries(SHARED_FIELDS)) {
    const given = properties[field];
    if (
      given === undefined ||
      isDeepStrictEqual(given, objectSchemaOf(z.strictObject({ [field]: schema })).properties[field])
    )
      continue;
    throw new EscadaFailure({
      code: 'PLUGIN_KIND_INVALID',
      message: `Plugin ${owner}, step kind ${kind}: the field ${field} of its output must be ${field}Schema of escada/plugin-api; give it another name otherwise.`,
      fields: { plugin: owner, kind, field },
    });
  }
}

/** Throws `PLUGIN_KIND_INVALID` for a kind that declares `countsRows` and whose output lacks the counts. */
export function checkRowCounts(
  { kind, countsRows = false, outputSchema }: Pick<StepKindV1, 'kind' | 'countsRows' | 'outputSchema'>,
  owner: string,
): void {
  if (!countsRows) return;
  const { properties, required } = objectSchemaOf(outputSchema);
  const shared = objectSchemaOf(rowCountsSchema);
  for (const [field, schema] of Object.entries(shared.properties)) {
    const given = properties[field];
    const isLeftOut = given === undefined && !shared.required.includes(field);
    const isRequired = required.includes(field) || !shared.required.includes(field);
    if (isLeftOut || (isRequired && isDeepStrictEqual(given, schema))) continue;
    throw new EscadaFailure({
      code: 'PLUGIN_KIND_INVALID',
      message: `Plugin ${owner}, step kind ${kind}: it declares countsRows, so the field ${field} of its output must be the one of rowCountsSchema of escada/plugin-api.`,
      fields: { plugin: owner, kind, field },
    });
  }
}

/** Properties of an object's schema, as JSON Schema, and which of them are required; none where it is no object's. */
function objectSchemaOf(schema: ValueSchema | undefined): {
  readonly properties: Readonly<Record<string, unknown>>;
  readonly required: readonly string[];
} {
  const json: JsonSchema =
    schema instanceof z.ZodType ? z.toJSONSchema(schema, { unrepresentable: 'any' }) : (schema ?? {});
  return {
    properties: (json['properties'] ?? {}) as Readonly<Record<string, unknown>>,
    required: (json['required'] ?? []) as readonly string[],
  };
}
