import assert from 'node:assert/strict';
import { once } from 'node:events';
import { suite, test } from 'node:test';
import { onEachLine } from '../../../../plugins/sdk/process/lines.ts';
import { spawnChild } from '../../../../plugins/nf4-lora/worker/spawn-child.ts';

interface AnyReply {
  readonly id: number | null;
  readonly error?: { readonly code: string; readonly message: string };
  readonly result?: unknown;
}

/** Sends raw lines to a child and collects as many replies. */
async function replies(lines: readonly string[]): Promise<AnyReply[]> {
  const child = spawnChild({});
  const got: AnyReply[] = [];
  const all = new Promise<void>((resolve) => {
    onEachLine(child.replies, (line) => {
      got.push(JSON.parse(line) as AnyReply);
      if (got.length === lines.length) resolve();
    });
  });
  for (const line of lines) child.requests.write(`${line}\n`);
  await all;
  child.requests.end();
  await child.closed;
  return got;
}

suite('child', () => {
  test('answers malformed lines with the id where there is one, and continues', async () => {
    const got = await replies([
      '{',
      '{"v":1,"id":4,"method":7}',
      '{"v":9,"id":5,"method":"hello","params":{}}',
      '{"v":1,"id":6,"method":"hello","params":{"x":1}}',
      '{"v":1,"id":7,"method":"cancel","params":{}}',
      '{"v":1,"id":8,"method":"fly","params":{}}',
      '{"v":1,"id":9,"method":"hello","params":{}}',
    ]);
    got.sort((left, right) => Number(left.id) - Number(right.id));
    assert.deepEqual(
      got.map((reply) => reply.id),
      [null, 4, 5, 6, 7, 8, 9],
    );
    for (const reply of got.slice(0, -1)) assert.equal(reply.error?.code, 'ENGINE_REQUEST_INVALID');
    assert.ok(got.at(-1)?.result);
  });

  test('says why it cannot load the addon', async () => {
    const child = spawnChild({ addonPath: import.meta.filename });
    const lines: string[] = [];
    onEachLine(child.replies, (line) => lines.push(line));
    await child.closed;
    const { error } = JSON.parse(lines[0] ?? '{}') as AnyReply;
    assert.equal(error?.code, 'ENGINE_NOT_BUILT');
  });

  test('ends when its requests close', async () => {
    const child = spawnChild({});
    child.requests.end();
    await child.closed;
  });

  test('does not end on SIGINT: a terminal sends it to the whole group', async () => {
    const child = spawnChild({});
    child.requests.write('{"v":1,"id":1,"method":"hello","params":{}}\n');
    await once(child.replies, 'data');
    process.kill(child.pid, 'SIGINT');
    child.requests.write('{"v":1,"id":2,"method":"hello","params":{}}\n');
    const [bytes] = (await once(child.replies, 'data')) as [Buffer];
    assert.match(bytes.toString(), /"id":2/);
    child.kill();
    await child.closed;
  });
});
