/** The state of a run that continues as new passes through the store in pieces. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { MockActivityEnvironment } from '@temporalio/testing';
import { createControlActivities } from '../../activities/control-activities.ts';
import { FileStore } from '../../core/store/file-store.ts';
import { createProjectHost } from '../../plugins.ts';
import type { StepOrigin } from '../../schemas/plan/pipeline-plan.ts';

const host = createProjectHost();
const folder = await mkdtemp(join(tmpdir(), 'escada-carried-'));
const store = new FileStore(join(folder, 'store'));
const { keepText, readText } = createControlActivities({ host, store, dataRoots: [] });
after(async () => await host.close());

/** Runs an activity as a worker does, for a run of the chain that began with `firstRunId`. */
const run = async <I, O>(
  activity: (input: I, origin?: StepOrigin) => Promise<O>,
  input: I,
  firstRunId = 'own',
): Promise<O> =>
  await new MockActivityEnvironment().run<[I, StepOrigin], O, typeof activity>(activity, input, {
    firstRunId,
  });

test('pieces come back as they were, also those that end inside a character', async () => {
  const whole = JSON.stringify({ text: 'a😀“\n'.repeat(100) });
  const middle = whole.indexOf('😀') + 1;
  let text = '';
  for (const sent of [whole.slice(0, middle), whole.slice(middle)]) {
    const { piece } = await run(keepText, { text: sent });
    // As Temporal sends it: through JSON.
    const received = JSON.parse(JSON.stringify({ piece })) as { piece: typeof piece };
    text += (await run(readText, received)).text;
  }
  assert.equal(text, whole);
});

test('what a later run keeps belongs to the first run of its chain', async () => {
  await run(keepText, { text: 'state' }, 'the-first-run');
  const runs = join(store.root, 'runs');
  const ids = await Promise.all(
    (await readdir(runs)).map(async (name) => {
      const text = await readFile(join(runs, name, 'run.json'), 'utf8').catch(() => '{}');
      return (JSON.parse(text) as { readonly firstRunId?: string }).firstRunId;
    }),
  );
  assert.ok(ids.includes('the-first-run'), ids.join(', '));
});
