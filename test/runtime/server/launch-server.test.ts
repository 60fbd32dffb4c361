import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { launchServer } from '../../../runtime/server/launch-server.ts';
import { serverFiles } from '../../../runtime/server/server-note.ts';
import { identify } from '../../../runtime/process-id.ts';

test('a server that cannot be written down is not left running', async () => {
  const root = await mkdtemp(join(tmpdir(), 'escada-launch-'));
  const [program, pidFile] = [join(root, 'temporal'), join(root, 'pid')];
  await writeFile(program, `#!/bin/sh\necho $$ > '${pidFile}'\nexec sleep 600\n`, { mode: 0o700 });
  const files = serverFiles(join(root, 'temporal.db'));
  // As good as a disk on which the note does not fit.
  await mkdir(join(files.note, 'taken'), { recursive: true });
  await assert.rejects(launchServer(program, files, undefined), /note\.json/);
  await sleep(200);
  const pid = Number(await readFile(pidFile, 'utf8').catch(() => '0'));
  if (pid > 0) assert.equal(await identify(pid), null);
  await rm(root, { recursive: true, force: true });
});
