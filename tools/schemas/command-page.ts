/** The reference part of `docs/command.md`, written from the command's own definitions. */
import { readdir } from 'node:fs/promises';
import { Command } from 'commander';

const CLI = new URL('../../cli/', import.meta.url);

/** The page's lines between these are replaced. */
export const BEGIN = '<!-- written by `npm run build:schemas` from here -->';
const END = '<!-- to here -->';

/** The verbs, in alphabetical order: every file of `cli/` but `main.ts` exports one. */
async function verbs(): Promise<Command[]> {
  const files = (await readdir(CLI)).filter((name) => name.endsWith('.ts') && name !== 'main.ts');
  const modules = files.map(
    async (name) => (await import(new URL(name, CLI).href)) as Record<string, unknown>,
  );
  const exported = (await Promise.all(modules)).flatMap((one) => Object.values(one));
  const found = exported.filter((value): value is Command => value instanceof Command);
  return found.sort((a, b) => a.name().localeCompare(b.name()));
}

/** `|` would end a cell, `<x>` would be a tag. */
const cell = (text: string): string =>
  text
    .replaceAll('|', '\\|')
    .replaceAll(/\s+/g, ' ')
    .replaceAll(/<(\w+)>/g, '\\<$1>');

function defaultOf(value: unknown, described: string | undefined): string {
  if (described !== undefined) return ` (default: ${described})`;
  return value === undefined || value === false
    ? ''
    : ` (default: \`${JSON.stringify(value).replaceAll('"', '')}\`)`;
}

const choicesOf = (choices: readonly string[] | undefined): string =>
  choices === undefined ? '' : `: ${choices.map((choice) => `\`${choice}\``).join(', ')}`;

function rowsOf(command: Command): string[] {
  const wanted = command.registeredArguments.map((one) => {
    const name = one.required ? `<${one.name()}>` : `[${one.name()}]`;
    const meaning = `${one.description}${choicesOf(one.argChoices)}${defaultOf(one.defaultValue, one.defaultValueDescription)}`;
    return `| \`${name}\` | ${cell(meaning)} |`;
  });
  const options = command.options.map(
    ({ flags, description, argChoices, defaultValue, defaultValueDescription }) => {
      const meaning = `${description}${choicesOf(argChoices)}${defaultOf(defaultValue, defaultValueDescription)}`;
      return `| \`${flags}\` | ${cell(meaning)} |`;
    },
  );
  return [...wanted, ...options];
}

function sectionOf(command: Command, before: string): string[] {
  const name = `${before}${command.name()}`;
  if (command.commands.length > 0) return command.commands.flatMap((one) => sectionOf(one, `${name} `));
  const rows = rowsOf(command);
  const table = rows.length === 0 ? [] : ['', '| argument, option | meaning |', '| --- | --- |', ...rows];
  return ['', `### ${name}`, '', `${command.description()}.`, ...table];
}

/** The page with its reference part written from the definitions. Throws when the page has no place for it. */
export async function commandPage(page: string): Promise<string> {
  const [begin, end] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error('docs/command.md has no place for the reference');
  const sections = (await verbs()).flatMap((command) => sectionOf(command, 'escada '));
  return `${page.slice(0, begin)}${BEGIN}\n${sections.join('\n')}\n\n${page.slice(end)}`;
}
