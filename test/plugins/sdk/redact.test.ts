import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ERROR_CODES } from '../../../schemas/errors/error-codes.ts';
import { toApplicationFailure } from '../../../activities/failures.ts';
import { redact, redactJson } from '../../../plugins/sdk/redact.ts';
import { EscadaFailure } from '../../../plugins/sdk/contracts/failure.ts';

/** Each made up; the second text is what must not be left. */
const SECRETS: readonly (readonly [string, string])[] = [
  ['401 for Authorization: Bearer abcDEF123456ghi', 'abcDEF123456ghi'],
  ['authorization=Basic dXNlcjpwYXNzd29yZA==', 'dXNlcjpwYXNzd29yZA=='],
  ['{"Authorization": "Bearer aaaabbbbccccdddd"}', 'aaaabbbbccccdddd'],
  ['postgres://user:hunter2hunter2@db.internal/x', 'hunter2hunter2'],
  ['OPENAI_API_KEY=sk-proj-abcdefghijklmnop1234', 'sk-proj-abcdefghijklmnop1234'],
  ['using hf_abcdefghijklmnopqrstuvwxyz', 'hf_abcdefghijklmnopqrstuvwxyz'],
  ['key AKIAABCDEFGHIJKLMNOP in use', 'AKIAABCDEFGHIJKLMNOP'],
  ['"password": "correct-horse"', 'correct-horse'],
  ['--token=abcdef123456', 'abcdef123456'],
  ['train --hub-token abcdef123456 --epochs 3', 'abcdef123456'],
  ["{'api-key': 'zyxwvu987654'}", 'zyxwvu987654'],
  ['jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.sflKxwRJSMeKKF2QT4', 'eyJzdWIiOiIxMjM0In0'],
  ['-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nAAAA', 'MIIEow'],
];

/** Texts of every day that look a little like secrets. */
const PLAIN = [
  'promptTokens: 1834, tokensPerSecond: 412.5',
  'The tokenizer has 49152 tokens; the token filter dropped 12 rows.',
  'tokens: 120 of 4096',
  'Column "passwords" is not in the data.',
  'https://example.org/a/b?x=1',
  'artifact:sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
  'max_token_length: 2048',
  'use --max-tokens 4096 --tokenizer fast-one',
];

describe('secrets in texts', () => {
  for (const [text, secret] of SECRETS) {
    test(text.split('\n')[0] ?? '', () => {
      const clean = redact(text, {});
      assert.ok(!clean.includes(secret), clean);
      assert.match(clean, /\[secret\]/);
    });
  }

  test('ordinary texts stay as they are', () => {
    for (const text of PLAIN) assert.equal(redact(text, {}), text);
  });

  test('values of secret variables are masked wherever they are', () => {
    const environment = { MY_SERVICE_TOKEN: 'plain words 42', PATH: '/usr/bin:/bin', SHORT_TOKEN: 'a' };
    assert.equal(redact('x plain words 42 /usr/bin:/bin a', environment), 'x [secret] /usr/bin:/bin a');
  });

  test('fields of a value: by name and by shape, counts untouched', () => {
    const value = { apiKey: 'abc', list: ['Bearer abcdefgh123'], tokens: 7, promptTokens: 3, n: null };
    assert.deepEqual(redactJson(value, {}), {
      apiKey: '[secret]',
      list: ['Bearer [secret]'],
      tokens: 7,
      promptTokens: 3,
      n: null,
    });
  });
});

test('a failure on its way into a history: message, fields and causes are masked, stacks left out', () => {
  const cause = new Error('GET https://me:swordfish9@host failed', {
    cause: new Error('Bearer abcdefgh1234'),
  });
  const failure = toApplicationFailure(
    new EscadaFailure({
      code: 'TRAINER_CRASHED',
      message: 'log: HF_TOKEN=hf_aaaaaaaaaaaaaaaaaaaa',
      fields: { lastLog: ['password: hunter2hunter2'] },
      cause,
    }),
    ERROR_CODES.TRAINER_CRASHED,
  );
  const causes = [failure.cause, failure.cause?.cause].filter((one) => one instanceof Error);
  assert.equal(causes.length, 2);
  const stacks = causes.map((one) => [String(one), one.stack]);
  const text = JSON.stringify([failure.message, failure.details, stacks]);
  assert.doesNotMatch(text, /hf_aaaa|hunter2|swordfish|abcdefgh1234|redact\.test/);
  assert.match(text, /GET https:\/\/\[secret\]/);
});
