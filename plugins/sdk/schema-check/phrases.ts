/** Phrases about values and types in the words of somebody who writes JSON by hand. */
import { nearest } from '../../../schemas/common/nearest.ts';

const TYPES: Readonly<Record<string, string>> = {
  number: 'a number',
  integer: 'a whole number',
  string: 'text in quotes',
  boolean: 'true or false',
  object: 'an object',
  array: 'a list',
  null: 'null',
};
const MAX_SHOWN_LENGTH = 60;
/** Choices that a message lists. */
const MAX_CHOICES = 20;

/** What a JSON Schema expects by its `type`; null when it does not say. */
export function typeName(schema: { readonly [keyword: string]: unknown } | undefined): string | null {
  const type = schema?.['type'];
  return typeof type === 'string' ? (TYPES[type] ?? null) : null;
}

/** A value as it was written, cut when it is long. */
export function quoted(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > MAX_SHOWN_LENGTH ? `${text.slice(0, MAX_SHOWN_LENGTH)}…` : text;
}

/** That a value is none of the possible ones, with the nearest of them. */
export function oneOf(value: unknown, choices: readonly unknown[]): string {
  const texts = choices.map(quoted);
  const listed = texts.slice(0, MAX_CHOICES).join(', ') + (texts.length > MAX_CHOICES ? ', …' : '');
  const expected = texts.length === 1 ? `only ${listed} is possible` : `possible are ${listed}`;
  const strings = choices.filter((one) => typeof one === 'string');
  const guess = typeof value === 'string' ? nearest(value.slice(0, MAX_SHOWN_LENGTH), strings) : null;
  const hint = guess === null ? '' : ` Did you mean "${guess}"?`;
  return value === undefined ? `is missing; ${expected}.` : `is ${quoted(value)}; ${expected}.${hint}`;
}

/** Whether a value is an object with named members. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether a value is of the type that a JSON Schema names; objects where it names none. */
export function hasType(value: unknown, schema: { readonly [keyword: string]: unknown } = {}): boolean {
  const { type = 'object' } = schema;
  if (Array.isArray(value)) return type === 'array';
  if (value === null) return type === 'null';
  return typeof value === (type === 'integer' ? 'number' : type);
}
