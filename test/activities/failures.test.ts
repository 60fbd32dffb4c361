import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { translateFailure } from '../../activities/failures.ts';
import { FailureCodes } from '../../plugins/host/failure-codes.ts';
import { pluginFailures } from '../../plugins/sdk/contracts/plugin-failures.ts';
import type { ErrorEntry } from '../../schemas/errors/error-codes.ts';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';

const CODES = new FailureCodes();
CODES.add(
  {
    name: 'hosted',
    failureCodes: {
      RATE_LIMITED: { meaning: 'Too many requests.', retryable: true, help: 'Wait, or raise the limit.' },
      NO_CREDIT: { meaning: 'The account is empty.', retryable: false, help: 'Add credit.' },
    },
  },
  'hosted',
);

const translated = (error: unknown, attempt?: number): ApplicationFailure => {
  const failure = translateFailure(error, CODES, attempt === undefined ? {} : { attempt });
  assert.ok(failure instanceof ApplicationFailure);
  return failure;
};

test('a bug is tried a few times, under one code', () => {
  for (const [attempt, final] of [
    [1, false],
    [2, false],
    [3, true],
    [4, true],
  ] as const) {
    const { type, message, nonRetryable } = translated(new RangeError('Invalid array length'), attempt);
    assert.deepEqual(
      [type, message, nonRetryable],
      ['INTERNAL', 'Unexpected RangeError: Invalid array length', final],
    );
  }
  assert.equal(translated('thrown text').message, 'Unexpected thrown text');
});

test('an operating system’s error that may pass is tried as often as its step allows', () => {
  const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET', syscall: 'read' });
  assert.equal(translated(reset, 11).nonRetryable, false);
});

test('coded failures keep their code and what the table says of it; Temporal’s own pass', () => {
  const [io, spec] = (['ENGINE_IO', 'INVALID_SPEC'] as const).map((code) =>
    translated(new EscadaFailure({ code, message: 'why' }), 7),
  );
  assert.deepEqual([io?.type, io?.nonRetryable, spec?.nonRetryable], ['ENGINE_IO', false, true]);
  for (const own of [new CancelledFailure('stop'), ApplicationFailure.nonRetryable('x')])
    assert.equal(translateFailure(own, CODES), own);
});

test('what a failure asks to wait is the delay of the next attempt, and a detail that workflow code can read', () => {
  const delays = [60_000, 0.5, 10 * 86_400_000, 0, -1, Number.NaN].map((retryAfterMs) => {
    const failure = {
      code: 'HUB_UNREACHABLE',
      message: 'busy',
      fields: { host: 'h' },
      retryAfterMs,
    } as const;
    const found: { readonly nextRetryDelay?: unknown; readonly details?: unknown[] | null | undefined } =
      translated(new EscadaFailure(failure));
    return [found.nextRetryDelay, found.details?.[0]];
  });
  const asked = (retryAfterMs: number) => [retryAfterMs, { host: 'h', retryAfterMs }];
  const none = [undefined, { host: 'h' }];
  assert.deepEqual(delays, [asked(60_000), asked(1), asked(86_400_000), none, none, none]);
});

test("a plugin's code keeps its name and carries the help of its table; an undeclared one is a bug that names both", () => {
  const table = { RATE_LIMITED: {}, NO_CREDIT: {}, OTHER: {} } as unknown as Readonly<
    Record<'RATE_LIMITED' | 'NO_CREDIT' | 'OTHER', ErrorEntry>
  >;
  const make = pluginFailures('hosted', table);
  const limited = translated(
    make('RATE_LIMITED', { message: '429', fields: { status: 429 }, retryAfterMs: 5000 }),
  );
  assert.deepEqual([limited.type, limited.nonRetryable], ['hosted/RATE_LIMITED', false]);
  const detail = { status: 429, help: 'Wait, or raise the limit.', retryAfterMs: 5000 };
  assert.deepEqual(limited.details, [detail]);
  assert.equal(translated(make('NO_CREDIT', { message: '402' })).nonRetryable, true);
  const other = translated(make('OTHER', { message: 'what it said' }));
  assert.deepEqual([other.type, other.nonRetryable], ['INTERNAL', true]);
  assert.match(other.message, /^Plugin hosted failed with the code "hosted\/OTHER", .*: what it said$/);
});

test("a plugin's table is checked when it registers", () => {
  const entry = { meaning: 'm', retryable: false, help: 'h' };
  for (const [failureCodes, message] of [
    [{ lower: entry }, /Plugin hosted, failureCodes\.lower: a code is written in capitals/],
    [{ NO_HELP: { ...entry, help: '' } }, /failureCodes\.NO_HELP: `help`/],
    [{ NO_RETRY: { ...entry, retryable: 'yes' as unknown as boolean } }, /`retryable` must be true or false/],
  ] as const)
    assert.throws(() => new FailureCodes().add({ name: 'hosted', failureCodes }, 'hosted'), {
      code: 'PLUGIN_INVALID',
      message,
    });
});
