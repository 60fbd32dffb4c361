import assert from 'node:assert/strict';
import { test } from 'node:test';
import { approvalOptions, chooseApproval } from '../../../cli/lib/approval-answer.ts';
import type { Approval } from '../../../schemas/outcome/approval.ts';

function pending(id: string, letter: string): Approval {
  const digest = letter.repeat(64);
  const subject = {
    uri: `artifact:sha256:${digest}`,
    sha256: digest,
    sizeBytes: 1,
    mediaType: 'application/json',
  };
  return { id, title: `May ${id} run?`, digest, subject };
}

const [PEFT, RELEASE] = [pending('approve-peft', 'a'), pending('release', 'b')];

test('without a digest nothing is approved, and the message says what to look at and how to answer', () => {
  for (const digest of [undefined, 'aaaa'])
    assert.throws(() => chooseApproval([PEFT], 'run', { digest }), {
      code: 'APPROVAL_INVALID',
      message: /artifact:sha256:a{64}\. If that is it, add --id approve-peft --digest a{12}\./,
    });
});

test('a digest or its beginning names what was looked at; another one goes to the run, which refuses it', () => {
  assert.deepEqual(chooseApproval([PEFT], 'run', { digest: 'a'.repeat(12) }), {
    approval: PEFT,
    digest: PEFT.digest,
  });
  assert.equal(chooseApproval([PEFT], 'run', { digest: 'c'.repeat(64) }).digest, 'c'.repeat(64));
});

test('of several one must be named', () => {
  const digest = 'b'.repeat(12);
  assert.equal(chooseApproval([PEFT, RELEASE], 'run', { id: 'release', digest }).approval, RELEASE);
  for (const [all, message] of [
    [[PEFT, RELEASE], /pending in "run" with --id: approve-peft, release/],
    [[], /No pending approvals in "run"/],
  ] as const)
    assert.throws(() => chooseApproval(all, 'run', { digest }), { code: 'APPROVAL_UNKNOWN', message });
});

test('the options that are shown are the ones that are taken', () => {
  const [, id, , digest] = approvalOptions(PEFT).split(' ');
  assert.equal(chooseApproval([PEFT, RELEASE], 'run', { id, digest }).digest, PEFT.digest);
});
