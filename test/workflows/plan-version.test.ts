import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApplicationFailure } from '@temporalio/common';
import { INTERPRETER_VERSION } from '../../schemas/plan/constants.ts';
import { requireVersion } from '../../workflows/shared/plan-version.ts';

test('a plan of this version passes; one of another is refused for good, with both versions named', () => {
  requireVersion('The plan "a"', { interpreterVersion: INTERPRETER_VERSION });
  for (const interpreterVersion of [INTERPRETER_VERSION - 1, INTERPRETER_VERSION + 1]) {
    assert.throws(
      () => requireVersion('The plan "a"', { interpreterVersion }),
      (error) =>
        error instanceof ApplicationFailure &&
        error.type === 'PLAN_VERSION_UNSUPPORTED' &&
        error.nonRetryable === true &&
        error.message.includes(`The plan "a" is for version ${interpreterVersion} `) &&
        error.message.includes(`this worker has version ${INTERPRETER_VERSION}.`),
    );
  }
});
