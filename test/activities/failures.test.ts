import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { translateFailure } from '../../activities/failures.ts';
import { EscadaFailure } from '../../plugins/sdk/contracts/failure.ts';

const translated = (error: unknown, attempt?: number): ApplicationFailure => {
  const failure = translateFailure(error, attempt);
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
    assert.equal(translateFailure(own), own);
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
