/** The files of a host's project beside those that the README gives. */
import rootPackage from '../../package.json' with { type: 'json' };

const { devDependencies } = rootPackage;

const TEMPORAL = Object.keys(rootPackage.peerDependencies) as (keyof typeof rootPackage.peerDependencies)[];

function packageJson(tarball: string): string {
  return JSON.stringify({
    name: 'a-host',
    private: true,
    type: 'module',
    dependencies: {
      ...Object.fromEntries(TEMPORAL.map((name) => [name, devDependencies[name]])),
      escada: `file:${tarball}`,
    },
    devDependencies: {
      typescript: devDependencies.typescript,
      '@types/node': devDependencies['@types/node'],
    },
  });
}

const TSCONFIG = {
  compilerOptions: {
    target: 'es2023',
    lib: ['es2023'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    noEmit: true,
    allowImportingTsExtensions: true,
    verbatimModuleSyntax: true,
    resolveJsonModule: true,
    // The package's own declarations are checked, too.
    skipLibCheck: false,
  },
  include: ['*.ts'],
};

/** The SDK's declarations name a package that brings none of its own. */
const MS = `declare module 'ms' {
  export type StringValue = string;
}
`;

/** What the host does itself. */
const OWN = {
  'activities.ts': `export async function greetingFor(name: string): Promise<string> {
  return 'Hello ' + name;
}
`,
  'my-workflows.ts': `import { proxyActivities } from '@temporalio/workflow';
import type * as activities from './activities.ts';

const { greetingFor } = proxyActivities<typeof activities>({ startToCloseTimeout: '10s' });

export async function greet(name: string): Promise<string> {
  return await greetingFor(name);
}
`,
};

/** Every entry of the package, used so that wrong or missing types fail. */
const ENTRIES = `import { adaptationSpecSchema, ERROR_CODES, flowchartSchema } from 'escada';
import type { AdaptationOutcome, AdaptationSpecInput, ErrorCode } from 'escada';
import { EscadaClient, type EscadaClientOptions } from 'escada/client';
import { EscadaPlugin, type EscadaPluginOptions } from 'escada/plugin';
import { EscadaFailure, PLUGIN_API_VERSION, pluginFailures, ProtocolProcess, ThreadPool, type PluginV1 } from 'escada/plugin-api';
import { answeringModel, openPluginBench, type PluginBench } from 'escada/testing';
import schema from 'escada/schemas/adaptation-spec.json' with { type: 'json' };
import * as workflows from 'escada/workflow';

const plugin: PluginV1 = {
  name: 'mine',
  version: '1.0.0',
  apiVersion: PLUGIN_API_VERSION,
  needs: [],
  optionsSchema: adaptationSpecSchema,
  register: (registrar) => registrar.addTrainer,
  close: async () => undefined,
};
const options: EscadaPluginOptions & EscadaClientOptions = { roles: ['gpu'], plugins: [{ plugin }] };
const outcome: Promise<AdaptationOutcome> = workflows.adaptModel({} satisfies Partial<AdaptationSpecInput>);
// @ts-expect-error A budget is an object.
const wrong: AdaptationSpecInput['budget'] = 3;
// @ts-expect-error There is no such role.
options.roles = ['everything'];
const code: ErrorCode = 'ENGINE_NOT_BUILT';
const own = pluginFailures('mine', { LIMITED: { meaning: 'Limited.', retryable: true, help: 'Wait.' } });
const failure: EscadaFailure = own('LIMITED', { message: 'later', retryAfterMs: 1000 });
// @ts-expect-error The table does not declare it.
own('OTHER', { message: 'never' });
// @ts-expect-error Neither built in nor a plugin's.
new EscadaFailure({ code: 'LIMITED', message: 'never' });
const bench: Promise<PluginBench> = openPluginBench({ plugin });
export { answeringModel, bench, code, failure, ProtocolProcess, ThreadPool, EscadaClient, EscadaFailure, EscadaPlugin, ERROR_CODES, outcome, schema, flowchartSchema, wrong };
`;

/** Loads the entries as a running program does. */
const LOAD = `import * as escada from 'escada';
import { EscadaFailure } from 'escada/plugin-api';
import schema from 'escada/schemas/adaptation-spec.json' with { type: 'json' };

const same = escada.EscadaFailure === EscadaFailure;
console.log(JSON.stringify({ same, type: schema.type, parsed: escada.adaptationSpecSchema.safeParse({}).success }));
`;

/** All files, by name. */
export function projectFiles(
  tarball: string,
  spec: unknown,
  readme: Record<string, string>,
): Record<string, string> {
  return {
    'package.json': packageJson(tarball),
    'tsconfig.json': JSON.stringify(TSCONFIG),
    'spec.json': JSON.stringify(spec),
    'ms.d.ts': MS,
    'entries.ts': ENTRIES,
    'load.ts': LOAD,
    ...OWN,
    ...readme,
  };
}
