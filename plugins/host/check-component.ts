import { stepKindNameSchema } from '../../schemas/spec/pipeline-spec.ts';
import { EscadaFailure } from '../sdk/contracts/failure.ts';

/** Version of the component contracts that this host implements. */
const SPECIFICATION_VERSION = 'v1';

/** Ids of everything but step kinds; a `+` joins the parts of hybrids (`rag+peft`). */
const COMPONENT_ID = /^[a-z0-9][a-z0-9+.-]{0,59}$/;

/** Throws `PLUGIN_KIND_INVALID` for a component whose name or contract version this host cannot use. */
export function checkComponent(kind: string, name: unknown, component: object, owner: string): void {
  const isStep = kind === 'step kind';
  if (!(isStep ? stepKindNameSchema.safeParse(name).success : COMPONENT_ID.test(String(name)))) {
    const expected = isStep
      ? '`name@major` in lower case, such as "answer.sort@1"'
      : 'lower-case letters, digits, ".", "+" and "-"';
    refuse(kind, String(name), owner, `its name must be ${expected}`);
  }
  const version = (component as { readonly specificationVersion?: unknown }).specificationVersion;
  if (version !== undefined && version !== SPECIFICATION_VERSION)
    refuse(
      kind,
      String(name),
      owner,
      `its specificationVersion is ${JSON.stringify(version)}, and this Escada implements "${SPECIFICATION_VERSION}"`,
    );
}

function refuse(kind: string, name: string, owner: string, why: string): never {
  throw new EscadaFailure({
    code: 'PLUGIN_KIND_INVALID',
    message: `Plugin ${owner}, ${kind} "${name}": ${why}.`,
    fields: { plugin: owner, kind, name },
  });
}
