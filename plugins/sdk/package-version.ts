import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { PACKAGE_ROOT } from './package-paths.ts';

const packageSchema = z.object({ version: z.string().min(1) });

/** Version of this package, which is that of every built-in plugin. */
export const PACKAGE_VERSION = packageSchema.parse(
  JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package.json'), 'utf8')),
).version;
