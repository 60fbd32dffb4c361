import type { DatabaseSync } from 'node:sqlite';

type Sqlite = { readonly DatabaseSync: typeof DatabaseSync };

/**
 * Loads Node's SQLite without the note that its interface may change, which would land in the user's terminal. Every
 * other warning passes. Loading is synchronous, so nothing else can warn in between.
 */
export function loadSqlite(): Sqlite {
  const emit = Reflect.get<NodeJS.Process, 'emitWarning'>(process, 'emitWarning');
  process.emitWarning = (warning, ...rest: unknown[]) => {
    const text = typeof warning === 'string' ? warning : warning.message;
    if (!/SQLite is an experimental feature/.test(text)) Reflect.apply(emit, process, [warning, ...rest]);
  };
  try {
    return process.getBuiltinModule('node:sqlite');
  } finally {
    process.emitWarning = emit;
  }
}
