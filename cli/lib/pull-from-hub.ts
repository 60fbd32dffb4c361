import { pullModel } from '../../runtime/hub/pull.ts';
import { parseTarget } from '../../runtime/hub/repository.ts';
import { withLock } from '../../runtime/bootstrap/lock.mjs';
import { PullLog } from './pull-log.ts';
import { print } from './terminal.ts';

interface Options {
  readonly revision?: string;
  readonly file?: string;
  readonly out?: string;
}

/** Pulls a repository of the hub; prints the path of the model and how a spec names it. */
export async function pullFromHub(text: string, { out, ...choice }: Options): Promise<void> {
  const target = parseTarget(text, choice);
  const log = new PullLog(target.repository);
  try {
    const { id, path, manifest, receivedBytes } = await pullModel(target, {
      out,
      env: process.env,
      report: (event) => log.add(event),
      exclusively: (file, action) =>
        withLock(
          file,
          { onWait: (holder) => log.line(`waiting for ${holder}, which is pulling it`) },
          action,
        ),
    });
    log.close();
    print(path);
    print(`  ${manifest.repository} at ${manifest.revision}`);
    print(`  ${manifest.files.length} files checked, ${receivedBytes} bytes fetched`);
    print(`  in a spec: "model": ${JSON.stringify({ id })}`);
  } finally {
    log.close();
  }
}
