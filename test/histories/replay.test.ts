/** Replays every recorded history with the workflows as they are now: what was started must be able to continue. */
import assert from 'node:assert/strict';
import { readFile, readdir } from 'node:fs/promises';
import { before, suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import {
  DefaultLogger,
  Runtime,
  Worker,
  bundleWorkflowCode,
  type WorkflowBundleWithSourceMap,
} from '@temporalio/worker';

const FOLDER = fileURLToPath(new URL('.', import.meta.url));
const ENTRY = fileURLToPath(new URL('../../workflows/index.ts', import.meta.url));

/** Larger ones belong into a step's output, not into the repository. */
const MAX_FILE_BYTES = 600_000;

const names = (await readdir(FOLDER)).filter((name) => name.endsWith('.json'));

suite('replay of recorded histories', () => {
  let workflowBundle: WorkflowBundleWithSourceMap;

  before(async () => {
    const logger = new DefaultLogger('ERROR');
    Runtime.install({ logger });
    workflowBundle = await bundleWorkflowCode({ workflowsPath: ENTRY, logger });
  });

  test('there are some', () => assert.ok(names.length >= 5, names.join(', ')));

  for (const name of names) {
    test(name, async () => {
      const text = await readFile(`${FOLDER}/${name}`, 'utf8');
      assert.ok(text.length < MAX_FILE_BYTES, `${text.length} bytes`);
      await Worker.runReplayHistory(
        { workflowBundle },
        JSON.parse(text),
        `recorded-${name.replace('.json', '')}`,
      );
    });
  }

  test('checkpoints are no events: a training with 200 of them is one activity', async () => {
    for (const [name, id, most] of [
      ['adapt-many-checkpoints', 'peft/train', 250],
      ['train-model', 'train', 80],
    ] as const) {
      const text = await readFile(`${FOLDER}/${name}.json`, 'utf8');
      const { events } = JSON.parse(text) as {
        events: Record<string, { activityId?: string } | undefined>[];
      };
      const scheduled = events.flatMap(
        (one) => one['activityTaskScheduledEventAttributes']?.activityId ?? [],
      );
      assert.equal(scheduled.filter((one) => one === id).length, 1);
      assert.ok(events.length < most, `${name}: ${events.length} events`);
    }
  });

  test('a history that the workflows cannot have written is refused', async () => {
    const text = await readFile(`${FOLDER}/adapt-ladder.json`, 'utf8');
    const changed = text.replaceAll('"zero-shot/answers"', '"zero-shot/other"');
    assert.notEqual(changed, text);
    await assert.rejects(
      Worker.runReplayHistory({ workflowBundle }, JSON.parse(changed)),
      /TMPRL1100|[Nn]ondeterminism/,
    );
  });
});
