/** Approval gates: an adaptation that waits before a rung and before the release, and a pipeline with an approval node. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import type { EscadaClient } from '../../client.ts';
import type { Approval } from '../../schemas/outcome/approval.ts';
import { reasonToSkip } from './support/needs.ts';
import { Place } from './support/place.ts';
import { until } from './support/processes.ts';
import { finished, writeRows } from './support/runs.ts';
import { TestServer } from './support/server.ts';
import { tinySpec } from './support/specs.ts';

const skip = await reasonToSkip({ engine: true });

suite('approvals', { skip }, () => {
  let server: TestServer;
  let place: Place;
  let client: EscadaClient;

  before(async () => {
    server = await TestServer.start();
    place = await Place.open(server, 'approval');
    await writeRows(place);
    await place.startWorker();
    client = await place.client();
  });

  after(async () => {
    await place?.close();
    await server?.stop();
  });

  const waiting = async (run: string): Promise<Approval> =>
    await until('an approval', async () => (await client.approvals(run))[0]);

  const startPipeline = async (name: string, changes: object = {}) => {
    const spec = {
      name,
      nodes: [
        {
          id: 'read',
          form: 'step',
          uses: 'curate.read@1',
          with: { source: { path: 'rows.csv' }, columns: { input: 'input', output: 'output' } },
        },
        {
          id: 'look',
          form: 'approval',
          title: 'Are these the rows?',
          subject: { dataset: '${nodes.read.output.dataset}', rows: '${nodes.read.output.rows}' },
          ...changes,
        },
        {
          id: 'dedupe',
          form: 'step',
          uses: 'curate.exact-dedupe@1',
          with: { dataset: '${nodes.read.output.dataset}' },
          after: ['look'],
        },
      ],
    };
    return await client.temporal.workflow.start('runPipeline', {
      args: [spec],
      taskQueue: place.settings.taskQueue,
      workflowId: `pipeline-${name}`,
    });
  };

  test('an adaptation waits for approval before a rung and before the release; the waits cost no budget and leave a record', async () => {
    const { workflowId } = await client.startAdaptation(
      tinySpec({ approvals: { rungs: ['peft'], release: true }, target: 0.99 }),
    );
    const first = await waiting(workflowId);
    assert.equal(first.id, 'approve-peft');
    assert.equal(first.title, 'Run the peft rung?');
    const subject = (await place.store.readJson(first.subject)) as { rung: string; decisions: unknown[] };
    assert.deepEqual([subject.rung, subject.decisions.length], ['peft', 2]);
    assert.deepEqual((await client.progress(workflowId)).approvals, [first]);
    await client.approve(workflowId, { id: first.id, digest: first.digest, verdict: 'reject', by: 'Ida' });
    const second = await until('the release', async () =>
      (await client.approvals(workflowId)).find(({ id }) => id === 'release'),
    );
    await client.approve(workflowId, {
      id: 'release',
      digest: second.digest,
      verdict: 'reject',
      comment: 'Too weak.',
    });
    const { outcome } = await finished(place, workflowId);
    assert.deepEqual(
      outcome.rungs.map(({ rung }) => rung),
      ['zero-shot', 'icl'],
    );
    assert.ok(outcome.path.some(({ node, answer }) => node === 'approve-peft' && answer === 'rejected'));
    assert.equal(outcome.decision.verdict, 'release-rejected');
    assert.match(outcome.decision.reason, /Release rejected\. Too weak\.$/);
    assert.deepEqual(
      outcome.approvals.map(({ id, verdict, by }) => [id, verdict, by]),
      [
        ['approve-peft', 'reject', 'Ida'],
        ['release', 'reject', ''],
      ],
    );
  });

  test('a pipeline waits for the answer to what its node names, and continues', async () => {
    const handle = await startPipeline('goes-on');
    const { id, digest, title, subject } = await waiting(handle.workflowId);
    assert.deepEqual([id, title], ['pipeline/look', 'Are these the rows?']);
    assert.equal(subject.sha256, digest);
    await client.approve(handle.workflowId, { id, digest, verdict: 'approve', comment: 'Yes.' });
    const outputs = (await handle.result()) as {
      look: { verdict: string; comment: string };
      dedupe: unknown;
    };
    assert.deepEqual([outputs.look.verdict, outputs.look.comment], ['approve', 'Yes.']);
    assert.ok(outputs.dedupe);
  });

  test('an answer about something else, of another shape, or given twice is refused with its code', async () => {
    const handle = await startPipeline('refuses');
    const run = handle.workflowId;
    const { id, digest } = await waiting(run);
    const answer = { id, digest, verdict: 'approve' } as const;
    const cases: [object, string, RegExp][] = [
      [{ ...answer, digest: 'a'.repeat(64) }, 'APPROVAL_STALE', /digest: "pipeline\/look" asks about/],
      [
        { ...answer, id: 'other' },
        'APPROVAL_UNKNOWN',
        /No approval "other" is pending here\. Pending: pipeline\/look\./,
      ],
      [{ ...answer, verdict: 'yes' }, 'APPROVAL_INVALID', /verdict: must be "approve" or "reject"/],
      [{ ...answer, coment: '' }, 'APPROVAL_INVALID', /coment: is not a known field/],
      [
        { ...answer, comment: 'x'.repeat(2001) },
        'APPROVAL_INVALID',
        /comment: must be a text of at most 2000/,
      ],
      [{ verdict: 'approve' }, 'APPROVAL_INVALID', /id: must be a text/],
    ];
    for (const [wrong, code, message] of cases) {
      await assert.rejects(
        client.approve(run, wrong as never),
        (error: { code: string; message: string }) => {
          assert.equal(error.code, code, error.message);
          assert.match(error.message, message);
          return true;
        },
      );
    }
    await client.approve(run, { ...answer, verdict: 'reject', comment: 'Old rows.' });
    await assert.rejects(handle.result(), ({ cause }: { cause: { type: string; message: string } }) => {
      assert.equal(cause.type, 'APPROVAL_REJECTED');
      assert.match(cause.message, /"Are these the rows\?" was rejected\. Old rows\./);
      return true;
    });
  });

  test('without an answer in time the pipeline fails and says so', async () => {
    const handle = await startPipeline('late', { timeoutSeconds: 1 });
    await assert.rejects(handle.result(), ({ cause }: { cause: { type: string; message: string } }) => {
      assert.equal(cause.type, 'APPROVAL_TIMED_OUT');
      assert.match(cause.message, /nobody answered "Are these the rows\?" within 1 s/);
      return true;
    });
  });
});
