import path from 'node:path';
import { BootstrapError } from './errors.mjs';
import { isExecutable } from './exec.mjs';
import { isAtLeast } from './versions.mjs';

/** The first Node that runs TypeScript without a flag. */
const OLDEST_NODE = '22.18.0';

/**
 * The Node that runs the program: the one of the lock file (`tools/node`), or, on platforms that it has none for, the
 * one that runs this.
 * @param {string} root Repository root.
 * @param {{ path: string, version: string }} [running]
 * @returns {Promise<string>}
 * @throws {BootstrapError} `SETUP_NODE`
 */
export async function ownNode(root, running = { path: process.execPath, version: process.versions.node }) {
  const locked = path.join(root, 'node_modules/.bin/node');
  if (await isExecutable(locked)) return locked;
  if (isAtLeast(running.version, OLDEST_NODE)) return running.path;
  throw new BootstrapError({
    code: 'SETUP_NODE',
    exitCode: 2,
    message: `npm installed no Node for ${process.platform}-${process.arch}, and this one is ${running.version}.`,
    advice: [
      `Install Node ${OLDEST_NODE} or newer (https://nodejs.org) and run this again; if there should be one,`,
      'remove the folder node_modules first: npm leaves out what it cannot fetch without a word.',
    ],
  });
}
