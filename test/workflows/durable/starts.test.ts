/** What anybody may send from a UI or a program: it ends with a code, whatever it is. */
import assert from 'node:assert/strict';
import { RawValue } from '@temporalio/common';
import { after, before, suite, test } from 'node:test';
import { WORKFLOW_NAMES } from '../../../schemas/plan/constants.ts';
import { Stage } from '../support/stage.ts';

/** Lists or objects inside one another, as bytes: what makes JSON of values gives up long before what reads it. */
function nested(depth: number, open: string, close: string): RawValue {
  const text = `{"name": ${open.repeat(depth)}1${close.repeat(depth)}}`;
  return RawValue.fromPayload({ metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(text) });
}

suite('starts', { concurrency: 4 }, () => {
  let stage: Stage;

  before(async () => {
    stage = await Stage.open('starts');
  });
  after(() => stage.close());

  const failureOf = async (type: string, args: readonly unknown[]) =>
    await (await stage.start(type, args)).failure();

  for (const type of WORKFLOW_NAMES) {
    test(`${type}: a spec that is nested too deep, or too large, is refused`, async () => {
      for (const spec of [nested(100, '[', ']'), nested(20_000, '{"a":', '}')]) {
        const { code, message } = await failureOf(type, [spec]);
        assert.equal(code, 'INVALID_SPEC');
        assert.match(message, /spec.*is nested more than 64 levels deep/);
      }
      const { code, message } = await failureOf(type, [{ name: 'x'.repeat(1_900_000) }]);
      assert.equal(code, 'INVALID_SPEC');
      assert.match(message, /spec.*is larger than 256 KiB as JSON/);
    });

    test(`${type}: no spec, or something that is none, is refused`, async () => {
      for (const args of [[], [null], ['text'], [[1, 2]], [42], [{}], [{ name: 1 }, 'more']])
        assert.equal((await failureOf(type, args)).code, 'INVALID_SPEC', JSON.stringify(args));
    });
  }

  test('an unknown workflow type fails with the names of those there are', async () => {
    const { code, message } = await failureOf('adaptModle', [{}]);
    assert.equal(code, 'UNKNOWN_WORKFLOW');
    for (const name of WORKFLOW_NAMES) assert.match(message, new RegExp(name));
  });
});
