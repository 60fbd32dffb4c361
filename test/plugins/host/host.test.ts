import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { z } from 'zod';
import { createPluginHost } from '../../../plugins/host/host.ts';
import { nearest } from '../../../schemas/common/nearest.ts';
import type { PluginV1 } from '../../../plugins/sdk/contracts/plugin.ts';
import type { MetricFactoryV1 } from '../../../plugins/sdk/contracts/metric.ts';
import type { StepKindV1 } from '../../../plugins/sdk/contracts/step-kind.ts';
import { createProjectHost } from '../../../plugins.ts';
import { rowCountsSchema } from '../../../schemas/outcome/row-counts.ts';
import { usageSchema } from '../../../schemas/outcome/usage.ts';

function plugin(changes: Partial<PluginV1> = {}): PluginV1 {
  return {
    name: 'one',
    version: '1.2.0',
    apiVersion: 1,
    needs: [],
    optionsSchema: z.strictObject({ level: z.int().default(3) }),
    register: () => undefined,
    close: () => Promise.resolve(),
    ...changes,
  };
}

const metric: MetricFactoryV1 = {
  id: 'same',
  optionsSchema: z.strictObject({}),
  create: () => {
    throw new Error('not used');
  },
};

test('a provider whose limits of calls are no whole numbers of 1 or more is refused', () => {
  const bring = (limits: object) =>
    createPluginHost([
      {
        plugin: plugin({
          register: (registrar) =>
            registrar.addLanguageModelProvider({
              id: 'hosted',
              resource: 'io',
              billable: true,
              optionsSchema: z.strictObject({}),
              open: () => assert.fail('nothing is opened'),
              ...limits,
            }),
        }),
      },
    ]);
  bring({ rowsPerCall: 1, maxConcurrentCalls: 8 });
  for (const [field, limit] of [
    ['rowsPerCall', 0],
    ['rowsPerCall', Number.NaN],
    ['maxConcurrentCalls', 1.5],
    ['maxConcurrentCalls', '2'],
  ] as const)
    assert.throws(() => bring({ [field]: limit }), {
      code: 'PLUGIN_KIND_INVALID',
      message: new RegExp(`model provider "hosted": ${field} must be a whole number of 1 or more`),
    });
});

test('options are checked and defaults filled in before a plugin registers', () => {
  let seen: unknown;
  createPluginHost([{ plugin: plugin({ register: (_, options) => (seen = options) }) }]);
  assert.deepEqual(seen, { level: 3 });
  assert.throws(() => createPluginHost([{ plugin: plugin(), options: { level: 'high' } }]), {
    code: 'PLUGIN_OPTIONS_INVALID',
    message: /Options of plugin one: level: /,
  });
});

test('options of the configuration go to the plugin of that name; one that is not listed is refused', () => {
  const seen: unknown[] = [];
  const listed = [{ plugin: plugin({ register: (_, options) => seen.push(options) }) }];
  createPluginHost(listed, { options: { one: { level: 5 } } });
  createPluginHost([{ plugin: listed[0]?.plugin ?? plugin(), options: { level: 6 } }], {
    options: { one: { level: 5 } },
  });
  assert.deepEqual(seen, [{ level: 5 }, { level: 6 }]);
  assert.throws(() => createPluginHost(listed, { options: { onne: {} } }), {
    code: 'PLUGIN_OPTIONS_INVALID',
    message: /options for a plugin "onne", which is not listed\. Did you mean "one"\?/,
  });
});

test('a plugin without a version of its own is refused', () => {
  for (const version of ['', ' ', undefined, 3, 'x'.repeat(101), 'a\nb'] as const)
    assert.throws(() => createPluginHost([{ plugin: plugin({ version: version as string }) }]), {
      code: 'PLUGIN_INVALID',
      message: /`version` must be its version/,
    });
});

test('another contract version is refused', () => {
  assert.throws(() => createPluginHost([{ plugin: plugin({ apiVersion: 2 }) }]), {
    code: 'PLUGIN_API_VERSION',
  });
});

test('a missing need is refused; a need that is listed before is fine', () => {
  const needy = plugin({ name: 'two', needs: ['one'] });
  assert.throws(() => createPluginHost([{ plugin: needy }, { plugin: plugin() }]), {
    code: 'PLUGIN_NEED_MISSING',
  });
  assert.equal(createPluginHost([{ plugin: plugin() }, { plugin: needy }]).plugins.length, 2);
});

test('two things of one name are refused, with both owners', () => {
  const bring = (name: string) => plugin({ name, register: (registrar) => registrar.addMetric(metric) });
  assert.throws(() => createPluginHost([{ plugin: bring('a') }, { plugin: bring('b') }]), {
    code: 'PLUGIN_DUPLICATE',
    message: /Plugin b brings the metric "same", which plugin a has brought already/,
  });
  assert.throws(() => createPluginHost([{ plugin: plugin() }, { plugin: plugin() }]), {
    code: 'PLUGIN_DUPLICATE',
  });
});

test('a step kind whose times or classes no worker can keep is refused, with the field', () => {
  const times = { startToCloseTimeoutMs: 60_000, heartbeatTimeoutMs: 10_000 };
  const bring = (changes: Partial<StepKindV1>) => {
    const kind = {
      kind: 'one.step@1',
      resource: 'cpu',
      retry: 'readOnly',
      ...times,
      ...changes,
    } as StepKindV1;
    return createPluginHost([
      { plugin: plugin({ register: (registrar) => registrar.addStepKind(kind) }) },
    ]).registry.stepKinds.names();
  };
  assert.deepEqual(bring({}), ['one.step@1']);
  assert.deepEqual(bring({ heartbeatTimeoutMs: 5000, stallTimeoutMs: 5000 }), ['one.step@1']);
  for (const [changes, message] of [
    [{ heartbeatTimeoutMs: 1999 }, /Plugin one, step kind one\.step@1: heartbeatTimeoutMs is 1999, .* 5000/],
    [{ stallTimeoutMs: 9000 }, /stallTimeoutMs is 9000, less than heartbeatTimeoutMs \(10000\)/],
    [{ resource: 'tpu' as 'gpu' }, /resource is "tpu", but must be one of cpu, gpu, io, or a function/],
    [{ retry: 'often' as 'readOnly' }, /retry is "often", but must be one of readOnly, /],
    [{ startToCloseTimeoutMs: 0 }, /startToCloseTimeoutMs is 0/],
    [{ heartbeatTimeoutMs: Number.NaN }, /heartbeatTimeoutMs is NaN/],
  ] as const) {
    assert.throws(() => bring(changes), { code: 'PLUGIN_KIND_INVALID', message });
  }
});

test('plugins are closed in reverse order', async () => {
  const closed: string[] = [];
  const closing = (name: string) =>
    plugin({
      name,
      close: () => {
        closed.push(name);
        return Promise.resolve();
      },
    });
  await createPluginHost([{ plugin: closing('a') }, { plugin: closing('b') }]).close();
  assert.deepEqual(closed, ['b', 'a']);
});

test("the project's own list registers", async () => {
  const host = createProjectHost();
  assert.deepEqual(host.registry.rungs.names(), ['icl', 'peft', 'rag', 'zero-shot']);
  await host.close();
});

test('the nearest known name is offered only when it is near', () => {
  assert.equal(nearest('targt', ['target', 'task']), 'target');
  assert.equal(nearest('zzz', ['target', 'task']), null);
});

test('closing reaches every plugin, last one first, and reports all that failed', async () => {
  const closed: string[] = [];
  const closing = (name: string, problem?: string) => ({
    plugin: plugin({
      name,
      close: async () => {
        closed.push(name);
        if (problem !== undefined) throw new Error(problem);
      },
    }),
  });
  await assert.rejects(
    createPluginHost([closing('a'), closing('b', 'b is stuck')]).close(),
    /^Error: b is stuck$/,
  );
  assert.deepEqual(closed.splice(0), ['b', 'a']);
  const host = createPluginHost([closing('a', 'a is stuck'), closing('b'), closing('c', 'c is stuck')]);
  await assert.rejects(host.close(), /c is stuck; a is stuck/);
  assert.deepEqual(closed, ['c', 'b', 'a']);
});

test('when a plugin is refused, those that are registered are closed, last one first', async () => {
  const closed: string[] = [];
  const closing = (name: string, more: Partial<PluginV1> = {}) => ({
    plugin: plugin({
      name,
      ...more,
      close: async () => {
        closed.push(name);
        if (name === 'b') throw new Error('b is stuck');
      },
    }),
  });
  const refuse = () => {
    throw new Error('no register');
  };
  const listed = [closing('a'), closing('b'), closing('c', { register: refuse }), closing('d')];
  assert.throws(() => createPluginHost(listed), /no register/);
  await setImmediate();
  assert.deepEqual(closed.splice(0), ['b', 'a']);
  const defaults = { provider: 'nobody', model: 'none' };
  assert.throws(() => createPluginHost([closing('a')], { defaults }), { code: 'CONFIG_INVALID' });
  await setImmediate();
  assert.deepEqual(closed, ['a']);
});

test('the built-in default model is not used with another provider', () => {
  const message =
    /^\/p\.json: defaults\.provider is "other", and defaults\.model is missing: .*"smollm2-135m-instruct" is a model of the provider "nf4-lora"\. Set defaults\.model/;
  assert.throws(() => createProjectHost([], { defaults: { provider: 'other' }, file: '/p.json' }), {
    code: 'CONFIG_INVALID',
    message,
  });
  const same = createProjectHost([], { defaults: { provider: 'nf4-lora' } });
  assert.equal(same.defaults.model, 'smollm2-135m-instruct');
});

/** A plugin that brings one step kind, which does nothing. */
const bringing = (changes: Partial<StepKindV1>): PluginV1 =>
  plugin({
    register: (registrar) =>
      registrar.addStepKind({
        specificationVersion: 'v1',
        kind: 'test.counting@1',
        title: 'Counts',
        resource: 'cpu',
        retry: 'readOnly',
        cacheable: false,
        startToCloseTimeoutMs: 60_000,
        heartbeatTimeoutMs: 10_000,
        withSchema: z.strictObject({}),
        outputSchema: z.strictObject({}),
        summarize: () => 'count',
        doRun: async () => ({}),
        ...changes,
      }),
  });

test('a step kind whose output has a field of a shared name and another shape is refused', () => {
  const own = z.strictObject({ usage: z.strictObject({ promptTokens: z.int() }) });
  const plain = { type: 'object', properties: { usage: { type: 'number' } } };
  for (const schema of [own, plain])
    assert.throws(() => createPluginHost([{ plugin: bringing({ outputSchema: schema }) }]), {
      code: 'PLUGIN_KIND_INVALID',
      message: /test\.counting@1: the field usage of its output must be usageSchema/,
    });
  createPluginHost([
    { plugin: bringing({ outputSchema: z.strictObject({ usage: usageSchema, other: z.int() }) }) },
  ]);
  createPluginHost([{ plugin: bringing({ outputSchema: z.record(z.string(), z.json()) }) }]);
});

test('a step kind that declares countsRows has the counts in its output; one that does not may use the names freely', () => {
  const { rows, dropped, droppedSamples } = rowCountsSchema.shape;
  const counting = (shape: z.core.$ZodLooseShape) =>
    bringing({ countsRows: true, outputSchema: z.strictObject(shape) as never });
  for (const [shape, field] of [
    [{ rows }, 'dropped'],
    [{ rows: z.string(), dropped }, 'rows'],
    [{ rows: rows.optional(), dropped }, 'rows'],
    [{ rows, dropped, droppedSamples: z.array(z.string()) }, 'droppedSamples'],
  ] as const)
    assert.throws(() => createPluginHost([{ plugin: counting(shape) }]), {
      code: 'PLUGIN_KIND_INVALID',
      message: new RegExp(
        `declares countsRows, so the field ${field} of its output must be the one of rowCountsSchema`,
      ),
    });
  createPluginHost([{ plugin: counting({ rows, dropped, kept: z.int() }) }]);
  createPluginHost([{ plugin: counting({ rows, dropped, droppedSamples }) }]);
  createPluginHost([{ plugin: bringing({ outputSchema: z.strictObject({ rows: z.string() }) }) }]);
});
