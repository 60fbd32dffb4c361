/** `docs/schemas.md`: every field of what users write, from the published JSON Schemas and the sources' doc comments. */
import { z } from 'zod';
import { readComments, type CommentOf, type Way } from './doc-comments.ts';
import { PUBLISHED } from './published.ts';

interface JsonSchema {
  readonly type?: string;
  readonly $ref?: string;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
  readonly exclusiveMaximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly pattern?: string;
}

/** What the page shows, in this order. */
const SHOWN = {
  'adaptation-spec': 'What `escada start` and the Workflow `adaptModel` take.',
  'train-spec': 'What `escada train` and the Workflow `trainModel` take: one training without a ladder.',
  'lora-config': 'How an adapter is trained: `rungs.peft.config` of a spec, `config` of a train spec.',
  'full-config': 'Full fine-tuning: `config` of a train spec with `"method": "full"`.',
  'pipeline-spec': 'Steps in order: `data.curation` of a spec, or a run of its own (`runPipeline`).',
  flowchart: 'The order of questions and rungs: `flowchart` of a spec.',
  'artifact-ref': 'Bytes in the artifact store.',
} as const satisfies Partial<Record<keyof typeof PUBLISHED, string>>;

/** Fields that hold one of the other schemas, by the end of schema and path. */
const LINKED: readonly (readonly [RegExp, keyof typeof SHOWN])[] = [
  [/^adaptation-spec\/data\.curation$/, 'pipeline-spec'],
  [/^adaptation-spec\/flowchart$/, 'flowchart'],
  [/^train-spec\/config$/, 'lora-config'],
  [/\.artifact$/, 'artifact-ref'],
];

const linkOf = (place: string): string | undefined => LINKED.find(([pattern]) => pattern.test(place))?.[1];

interface Row {
  readonly path: string;
  readonly type: string;
  readonly value: string;
  readonly meaning: string;
}

const code = (value: unknown): string => `\`${JSON.stringify(value)}\``;
const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll(/\s+/g, ' ').trim();

function bounds(schema: JsonSchema): string {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  const huge = (value: number | undefined) =>
    value === undefined || Math.abs(value) >= Number.MAX_SAFE_INTEGER;
  const low = exclusiveMinimum === undefined ? minimum : exclusiveMinimum;
  const high = exclusiveMaximum === undefined ? maximum : exclusiveMaximum;
  const parts = [
    huge(low) ? '' : `${exclusiveMinimum === undefined ? '≥' : '>'} ${low}`,
    huge(high) ? '' : `${exclusiveMaximum === undefined ? '≤' : '<'} ${high}`,
    schema.maxLength === undefined ? '' : `at most ${schema.maxLength} characters`,
    schema.maxItems === undefined ? '' : `at most ${schema.maxItems}`,
    schema.minItems === undefined ? '' : `at least ${schema.minItems}`,
  ];
  return parts.filter((part) => part !== '').join(', ');
}

function typeText(schema: JsonSchema): string {
  if (schema.const !== undefined) return code(schema.const);
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ');
  const options = schema.anyOf ?? schema.oneOf;
  if (options !== undefined) return [...new Set(options.map(typeText))].join(' or ');
  if (schema.$ref !== undefined) return 'any JSON';
  const name =
    schema.type === 'array' && schema.items
      ? `list of ${typeText(schema.items)}`
      : (schema.type ?? 'any JSON');
  const limits = bounds(schema);
  return limits === '' ? name : `${name}, ${limits}`;
}

/** The rows of one schema. */
class Rows {
  readonly rows: Row[] = [];
  readonly #name: string;
  readonly #commentOf: CommentOf;

  constructor(name: string, commentOf: CommentOf) {
    this.#name = name;
    this.#commentOf = commentOf;
  }

  /** Adds every field of an object, then what is inside it. */
  fields(schema: JsonSchema, before: string, way: readonly Way[]): void {
    for (const [field, value] of Object.entries(schema.properties ?? {})) {
      const path = `${before}${field}`;
      const inside: readonly Way[] = [...way, { field }];
      const needed = schema.required?.includes(field) ?? false;
      const linked = linkOf(`${this.#name}/${path}`);
      this.rows.push({
        path,
        type:
          linked === undefined
            ? typeText(value)
            : `${value.anyOf ? 'string or ' : ''}[${linked}](#${linked})`,
        value: value.default === undefined ? (needed ? 'required' : '') : code(value.default),
        meaning: this.#commentOf(this.#name, inside),
      });
      if (linked === undefined) this.#inside(value, path, inside);
    }
  }

  #inside(schema: JsonSchema, path: string, way: readonly Way[]): void {
    if (schema.properties !== undefined) this.fields(schema, `${path}.`, way);
    if (schema.items !== undefined) this.#inside(schema.items, `${path}[]`, [...way, { each: true }]);
    const values = schema.additionalProperties;
    if (typeof values === 'object') this.#inside(values, `${path}.*`, [...way, { each: true }]);
    for (const variant of schema.anyOf ?? schema.oneOf ?? []) {
      const form = variant.properties?.['form']?.const;
      if (typeof form === 'string') this.fields(variant, `${path} (${form}) `, [...way, { form }]);
      else this.#inside(variant, path, way);
    }
  }
}

function section(name: keyof typeof SHOWN, commentOf: CommentOf): string {
  const rows = new Rows(name, commentOf);
  rows.fields(z.toJSONSchema(PUBLISHED[name], { io: 'input' }) as JsonSchema, '', []);
  const seen = new Set<string>();
  const lines = rows.rows
    // Variants of one object have fields in common.
    .filter(({ path, type }) => !seen.has(`${path} ${type}`) && seen.add(`${path} ${type}`))
    .map(
      ({ path, type, value, meaning }) =>
        `| \`${path}\` | ${cell(type)} | ${cell(value)} | ${cell(meaning)} |`,
    );
  return [
    `## ${name}`,
    '',
    `${SHOWN[name]} JSON Schema: [\`schemas/generated/${name}.json\`](../schemas/generated/${name}.json).`,
    '',
    '| field | type | default | meaning |',
    '| --- | --- | --- | --- |',
    ...lines,
  ].join('\n');
}

/** The text of the page, before formatting. */
export function schemaPage(): string {
  const commentOf = readComments();
  const names = Object.keys(SHOWN) as (keyof typeof SHOWN)[];
  return [
    '# What users write, field by field',
    '',
    'Specs are JSON objects. Unknown fields are refused, with a suggestion. The page is written by `npm run build:schemas` from',
    'the schemas and their comments; complete specs are in [examples/](../examples).',
    '',
    names.map((name) => section(name, commentOf)).join('\n\n'),
    '',
  ].join('\n');
}
