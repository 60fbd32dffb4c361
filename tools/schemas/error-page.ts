import { ERROR_CODES } from '../../schemas/errors/error-codes.ts';

/** The text of `docs/errors.md`. */
export function errorPage(): string {
  const rows = Object.entries(ERROR_CODES).map(
    ([code, { meaning, retryable, help }]) =>
      `| \`${code}\` | ${meaning} | ${retryable ? 'yes' : 'no'} | ${help} |`,
  );
  return [
    '# Error codes',
    '',
    'Every failure carries one of these codes as its type, in the terminal, in the Temporal UI and in code. Steps that',
    'fail with a retryable code are tried again by themselves. The page is written by `npm run build:schemas`.',
    '',
    'A code with a slash, `<plugin>/<CODE>`, is declared by the plugin of that name; its help comes with the failure, and',
    '`escada doctor` says where the plugin is from.',
    '',
    '| code | meaning | retryable | what to do |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n');
}
