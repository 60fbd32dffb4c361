/**
 * Secrets are masked in everything that leaves a worker as text: failures, which histories keep and the Temporal UI
 * shows, heartbeats, and the logs of child processes. Two nets: values of this process's own environment whose names say
 * that they are secret, and texts that have the shape of a credential.
 */
import type { JsonObject, JsonValue } from '../../schemas/common/json.ts';

const MASK = '[secret]';
/** Shorter values ("1", "true", "user") would mask ordinary words. */
const MIN_SECRET_CHARS = 8;
/** Deeper values of a failure's fields are not text that anybody reads. */
const MAX_DEPTH = 20;

const SECRET_NAME =
  /(?:token(?![a-z])|secret|passw(?:or)?d|passphrase|api_?key|access_?key|private_?key|credential)/i;

/** Last words of names whose values are secret; `tokenizer` and `tokens` are not. */
const WORDS = '(?:token|secret|passw(?:or)?d|passphrase|api[_-]?key|access[_-]?key|private[_-]?key)';

/** What has the shape of a credential; what is kept in front of the mask is in the first group. */
const SHAPES: readonly RegExp[] = [
  // PEM blocks, cut off or whole.
  /()-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
  // Credentials in addresses: scheme://user:password@host.
  /(\b[a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/@]{1,512}@/gi,
  // Headers: `Authorization: Basic …`, `Bearer …`.
  /(\bauthorization["']?\s*[:=]\s*["']?)(?:(?:basic|bearer|token)\s+)?[^\s"',;]{4,}/gi,
  /(\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}/gi,
  // Assignments and JSON fields: `api_key=…`, `"token": "…"`.
  new RegExp(
    String.raw`((?:^|[^A-Za-z0-9])[A-Za-z0-9_.-]{0,40}${WORDS}["']?(?:\s*[:=]\s*|\s+(?=["']))["']?)[^\s"',;&]{6,}`,
    'gim',
  ),
  // Options of a command line: `--hub-token VALUE`.
  new RegExp(String.raw`(--?[A-Za-z0-9-]{0,40}${WORDS}\s+)[^\s"',;-][^\s"',;]{5,}`, 'gi'),
  // Keys that are known by how they begin.
  /()\b(?:hf_|sk-|sk_live_|pk_live_|rk_live_|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abprs]-|npm_|pypi-)[A-Za-z0-9_-]{12,}/g,
  /()\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /()\bAIza[A-Za-z0-9_-]{30,}/g,
  // JSON Web Tokens.
  /()\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g,
];

/** Secret values of an environment, longest first, so that one that holds another is masked whole. */
export function secretValues(environment: NodeJS.ProcessEnv): string[] {
  return Object.entries(environment)
    .flatMap(([name, value]) => (value !== undefined && SECRET_NAME.test(name) ? [value] : []))
    .filter((value) => value.length >= MIN_SECRET_CHARS)
    .sort((a, b) => b.length - a.length);
}

/** A text without the secrets that are known; `[secret]` takes their place. */
export function redact(text: string, environment: NodeJS.ProcessEnv = process.env): string {
  let clean = text;
  for (const value of secretValues(environment)) clean = clean.replaceAll(value, MASK);
  for (const shape of SHAPES) clean = clean.replace(shape, `$1${MASK}`);
  return clean;
}

/** The same for every text inside a JSON value; a field whose name says that it is secret is masked whole. */
export function redactJson<T extends JsonValue>(value: T, environment: NodeJS.ProcessEnv = process.env): T {
  return redactValue(value, environment, 0) as T;
}

function redactValue(value: JsonValue, environment: NodeJS.ProcessEnv, depth: number): JsonValue {
  if (typeof value === 'string') return redact(value, environment);
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return MASK;
  if (Array.isArray(value)) return value.map((one: JsonValue) => redactValue(one, environment, depth + 1));
  const fields = Object.entries(value as JsonObject).map(([name, one]) => [
    name,
    typeof one === 'string' && SECRET_FIELD.test(name) ? MASK : redactValue(one, environment, depth + 1),
  ]);
  return Object.fromEntries(fields) as JsonObject;
}

/** Whole names only: `promptTokens` and `tokensPerSecond` count tokens of text. */
const SECRET_FIELD = /^(?:.*[_-])?(?:token|secret|password|passphrase|api_?key|access_?key|private_?key)$/i;
