/** JSON Schema 2020-12 by ajv in strict mode: a keyword that ajv does not know is an error, never ignored. */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import type { JsonSchema } from '../contracts/value-schema.ts';

const OPTIONS = {
  strict: true,
  // zod writes unions of types as `anyOf`, with keywords of one type in each branch.
  strictTypes: false,
  strictRequired: false,
  allErrors: true,
  verbose: true,
  logger: false,
} as const;

/** Compiled validators by the schema object they were made of. */
const compiled = {
  plain: new WeakMap<object, ValidateFunction>(),
  filling: new WeakMap<object, ValidateFunction>(),
};

/**
 * Every error of a value; none when the schema accepts it. Throws ajv's error for a schema that is not valid itself.
 */
export function jsonSchemaErrors(schema: JsonSchema, value: unknown): readonly ErrorObject[] {
  const validate = validatorOf(schema, 'plain', {});
  return validate(value) ? [] : (validate.errors ?? []);
}

/** As `jsonSchemaErrors`, and fills in the schema's defaults in place. */
export function fillDefaults(schema: JsonSchema, value: unknown): readonly ErrorObject[] {
  // Strict mode refuses defaults in branches of unions, which are not filled in.
  const validate = validatorOf(schema, 'filling', { useDefaults: true, strict: false });
  return validate(value) ? [] : (validate.errors ?? []);
}

function validatorOf(
  schema: JsonSchema,
  form: keyof typeof compiled,
  options: { readonly useDefaults?: boolean; readonly strict?: boolean },
): ValidateFunction {
  const known = compiled[form].get(schema);
  if (known !== undefined) return known;
  // An instance of its own for each schema: ids of one plugin's schemas never meet those of another.
  const validate = new Ajv2020({ ...OPTIONS, ...options }).compile(schema);
  compiled[form].set(schema, validate);
  return validate;
}
