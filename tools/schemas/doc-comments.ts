/** Doc comments of schema fields: written once, in the sources, and read from there by the type checker. */
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const PUBLISHED = fileURLToPath(new URL('./published.ts', import.meta.url));

/** A way into a value: a field, the items of a list or the values of a map, or the variant with such a `form`. */
export type Way = { readonly field: string } | { readonly each: true } | { readonly form: string };

/** The comment on the field at the end of a way; '' where there is none. */
export type CommentOf = (schema: string, way: readonly Way[]) => string;

/** Reads the types of all published schemas. Takes seconds. */
export function readComments(): CommentOf {
  const { config } = ts.readConfigFile(`${ROOT}tsconfig.json`, (path) => ts.sys.readFile(path)) as {
    config: unknown;
  };
  const { options } = ts.parseJsonConfigFileContent(config, { ...ts.sys, readDirectory: () => [] }, ROOT);
  const program = ts.createProgram([PUBLISHED], options);
  const checker = program.getTypeChecker();
  const fieldOf = (type: ts.Type, name: string): ts.Symbol | undefined =>
    membersOf(type).flatMap((member) => checker.getPropertyOfType(member, name) ?? [])[0];
  const typeOf = (symbol: ts.Symbol | undefined): ts.Type | undefined =>
    symbol && checker.getNonNullableType(checker.getTypeOfSymbol(symbol));
  const file = program.getSourceFile(PUBLISHED);
  const module = file && checker.getSymbolAtLocation(file);
  const table = module && checker.getExportsOfModule(module).find(({ name }) => name === 'PUBLISHED');

  const inputOf = (schema: string): ts.Type | undefined =>
    [schema, '_zod', 'input'].reduce<ts.Type | undefined>(
      (type, name) => type && typeOf(fieldOf(type, name)),
      typeOf(table),
    );

  const step = (type: ts.Type, one: Way): ts.Type | undefined => {
    if ('field' in one) return typeOf(fieldOf(type, one.field));
    if ('each' in one)
      return membersOf(type)
        .map(
          (member) =>
            checker.getIndexTypeOfType(member, ts.IndexKind.Number) ??
            checker.getIndexTypeOfType(member, ts.IndexKind.String),
        )
        .find((found) => found !== undefined);
    return membersOf(type).find((member) => {
      const form = typeOf(checker.getPropertyOfType(member, 'form'));
      return form?.isStringLiteral() && form.value === one.form;
    });
  };

  return (schema, way) => {
    const last = way.at(-1);
    if (last === undefined || !('field' in last)) return '';
    const owner = way
      .slice(0, -1)
      .reduce<ts.Type | undefined>((type, one) => type && step(type, one), inputOf(schema));
    const symbol = owner && fieldOf(owner, last.field);
    return symbol ? ts.displayPartsToString(symbol.getDocumentationComment(checker)) : '';
  };
}

const membersOf = (type: ts.Type): readonly ts.Type[] => (type.isUnion() ? type.types : [type]);
