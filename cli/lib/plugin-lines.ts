import type { HostedPlugin } from '../../plugins/host/host.ts';

/** The list of plugins for `escada doctor`: name, version, where each is from and what it brings, one line each. */
export function pluginLines(plugins: readonly HostedPlugin[]): string {
  const listed = plugins.filter(({ origin }) => origin !== null);
  const count = `${plugins.length - listed.length} built in, ${listed.length} listed in the configuration file`;
  return [count, ...plugins.map(pluginLine)].join('\n    ');
}

function pluginLine({ name, version, origin, brings }: HostedPlugin): string {
  // Of the built-in ones numbers are enough: the documentation lists their parts.
  const parts = brings.map(({ kind, names }) =>
    origin === null
      ? `${names.length} ${kind}${names.length === 1 ? '' : 's'}`
      : `${kind} ${names.join(', ')}`,
  );
  return `${name} ${version} (${origin ?? 'built in'}): ${parts.join('; ') || 'nothing'}`;
}
