import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { promisify } from 'node:util';
import { fileFailure, fileFailureFromText } from '../../../plugins/sdk/file-failures.ts';
import { FailureCodes } from '../../../plugins/host/failure-codes.ts';
import { translateFailure } from '../../../activities/failures.ts';
import { EscadaFailure } from '../../../plugins/sdk/contracts/failure.ts';

const run = promisify(execFile);

/** An error as `node:fs` throws it. */
function fsError(code: string, path?: string): Error {
  return Object.assign(new Error(`${code}: of the system, open`), { code, errno: -1, path });
}

/** Puts a file of 3 MB into a new store, in a process that may write files of at most 1 MB. */
const PUT = `
  import { writeFile } from 'node:fs/promises';
  import { FileStore } from './core/store/file-store.ts';
  // The limit is announced by a signal, whose default is to end the process.
  process.on('SIGXFSZ', () => undefined);
  const store = new FileStore(process.argv[1]);
  const put = process.argv[2] === 'bytes'
    ? store.putBytes(Buffer.alloc(3e6), 'x/y')
    : store.putFile(process.execPath, 'x/y');
  const failure = await put.then(() => null, (error) => error);
  console.log(JSON.stringify({ code: failure?.code, message: failure?.message }));
`;

suite('what the system says about files', () => {
  test('becomes a code, the path and a reason', () => {
    for (const [errno, code] of [
      ['ENOSPC', 'DISK_FULL'],
      ['EDQUOT', 'DISK_FULL'],
      ['EROFS', 'OUTPUT_NOT_WRITABLE'],
      ['EACCES', 'OUTPUT_NOT_WRITABLE'],
      ['EISDIR', 'PATH_NOT_USABLE'],
      ['ENOTDIR', 'PATH_NOT_USABLE'],
      ['ENAMETOOLONG', 'PATH_NOT_USABLE'],
      ['ELOOP', 'PATH_NOT_USABLE'],
    ] as const) {
      const failure = fileFailure(fsError(errno, '/a/b'));
      assert.equal(failure?.code, code);
      assert.match(failure.message, /^The file \/a\/b cannot be .*: [a-z].*\.$/);
      const application = translateFailure(fsError(errno, '/a/b'), new FailureCodes());
      assert.deepEqual((application as { nonRetryable: boolean }).nonRetryable, true);
    }
  });

  test('stays as it is when it may pass by itself, or is coded already', () => {
    for (const error of [
      fsError('EMFILE'),
      fsError('EAGAIN'),
      fsError('ENOENT'),
      new Error('x'),
      'x',
      null,
    ]) {
      assert.equal(fileFailure(error), null);
    }
    assert.equal(fileFailure(new EscadaFailure({ code: 'INTERNAL', message: 'x' })), null);
  });

  test('is recognised in the words of other programs', () => {
    for (const [text, code] of [
      ['/a/b.gguf: No space left on device (os error 28)', 'DISK_FULL'],
      ['IO Error: Could not write file "x": No space left on device', 'DISK_FULL'],
      [
        "failed to offload data block. This limit was set by the 'max_temp_directory_size' setting",
        'DISK_FULL',
      ],
      ['cannot create /a: Read-only file system (os error 30)', 'OUTPUT_NOT_WRITABLE'],
      ['/a: Is a directory (os error 21)', 'PATH_NOT_USABLE'],
    ] as const) {
      const failure = fileFailureFromText(text, { path: '/place' });
      assert.deepEqual([failure?.code, failure?.message.includes('/place')], [code, true], text);
    }
    assert.equal(fileFailureFromText('unexpected end of file'), null);
  });
});

suite('a store without room', () => {
  test('says so with its path, and leaves nothing half-written', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'escada-full-'));
    for (const way of ['bytes', 'file']) {
      const root = join(folder, way);
      const node = [process.execPath, '--disable-warning=ExperimentalWarning', '--input-type=module'];
      const script = ['-e', PUT, root, way];
      const { stdout } = await run('prlimit', ['--fsize=1000000', ...node, ...script]);
      const failure = JSON.parse(stdout) as { code?: string; message?: string };
      assert.equal(failure.code, 'DISK_FULL', stdout);
      assert.ok(failure.message?.includes(root), failure.message);
      const left = await readdir(root, { recursive: true, withFileTypes: true });
      assert.deepEqual(
        left.filter((entry) => entry.isFile()).map((entry) => entry.name),
        [],
      );
    }
  });
});
