import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { compileSpec } from '../../../core/compile/compile-spec.ts';
import { zeroShotRung } from '../../../plugins/rungs/zero-shot.ts';
import type { PluginV1 } from '../../../plugins/sdk/contracts/plugin.ts';
import { createProjectHost } from '../../../plugins.ts';
import { evaluate } from '../../../workflows/adapt/predicate.ts';
import { GOOD_SPEC } from '../../fixtures/specs.ts';

const bringing = (id: string): PluginV1 => ({
  name: 'hybrids',
  version: '1.0.0',
  apiVersion: 1,
  needs: [],
  optionsSchema: z.strictObject({}),
  register: (registrar) =>
    registrar.addRung({ ...zeroShotRung, id, optionsSchema: z.strictObject({ k: z.int().default(1) }) }),
  close: async () => undefined,
});

test('a hybrid rung is tried, asked about, approved and given options by its id', async () => {
  const host = createProjectHost([{ plugin: bringing('rag+peft') }]);
  try {
    const asked = { fact: 'rungs.rag+peft.low', op: '>=', value: { fact: 'rungs.peft.low' } } as const;
    const nodes = {
      'try-rag+peft': { form: 'try', title: 'Both', rung: 'rag+peft', next: 'rag+peft-enough' },
      'rag+peft-enough': { form: 'ask', title: 'Enough?', all: [asked], yes: 'end', no: 'end' },
      end: { form: 'end', title: 'End', verdict: 'target-not-met' },
    } as const;
    const { flowchart, rungs } = compileSpec(
      {
        ...GOOD_SPEC,
        flowchart: { name: 'own', start: 'try-rag+peft', nodes },
        approvals: { rungs: ['rag+peft'] },
        rungs: { 'rag+peft': { k: 2 } },
      },
      host,
    );
    assert.equal(flowchart.start, 'approve-rag+peft');
    assert.ok(rungs.some(({ id }) => id === 'rag+peft'));
    const ask = flowchart.nodes['rag+peft-enough'];
    assert.ok(ask?.form === 'ask');
    const holds = (low: number) =>
      evaluate(ask.all, { 'rungs.rag+peft.low': low, 'rungs.peft.low': 0.5 }).holds;
    assert.deepEqual([holds(0.6), holds(0.4)], [true, false]);
  } finally {
    await host.close();
  }
});

test('a rung whose id no flowchart could name is refused when its plugin registers', () => {
  for (const id of ['Rag', 'rag peft', 'rag.peft', '', '1-shot', 'x'.repeat(41)])
    assert.throws(() => createProjectHost([{ plugin: bringing(id) }]), { code: 'PLUGIN_RUNG_INVALID' }, id);
});
