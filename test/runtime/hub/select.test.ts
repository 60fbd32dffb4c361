import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { ListedFile } from '../../../runtime/hub/listing.ts';
import { modelIdOf, parseTarget } from '../../../runtime/hub/repository.ts';
import { selectFiles } from '../../../runtime/hub/select.ts';

const TARGET = parseTarget('org/name');
const list = (...paths: string[]): ListedFile[] =>
  paths.map((path) => ({ path, sizeBytes: 10, digest: { kind: 'sha256', hex: '0'.repeat(64) } }));

suite('selectFiles', () => {
  test('a single file wins over shards; foreign weights stay', () => {
    const { files, index } = selectFiles(
      list(
        'config.json',
        'model.safetensors',
        'model.safetensors.index.json',
        'model-00001-of-00001.safetensors',
        'tokenizer.json',
        'tokenizer.model',
        'pytorch_model.bin',
        'tf_model.h5',
        'training_args.bin',
        'README.md',
      ),
      TARGET,
    );
    assert.deepEqual(
      files.map(({ name }) => name),
      ['config.json', 'tokenizer.json', 'tokenizer.model', 'model.safetensors'],
    );
    assert.equal(index, null);
  });

  test('a repository of pickles is refused with what to do', () => {
    const listed = list('config.json', 'tokenizer.json', 'pytorch_model.bin', 'rng_state.pth');
    assert.throws(() => selectFiles(listed, TARGET), {
      code: 'HUB_NOTHING_USABLE',
      message: /only as pickle \(pytorch_model\.bin, rng_state\.pth\), which can run programs.*refs\/pr\/N/,
    });
  });

  test('a repository of GGUF files asks for a choice', () => {
    const listed = list('config.json', 'a-Q4_0.gguf', 'a-Q8_0.gguf', 'pytorch_model.bin');
    assert.throws(() => selectFiles(listed, TARGET), {
      code: 'HUB_NOTHING_USABLE',
      message: /Choose one with --file: a-Q4_0\.gguf \(10 bytes\), a-Q8_0\.gguf \(10 bytes\)\./,
    });
  });

  test('what the engine cannot do without is named', () => {
    assert.throws(() => selectFiles(list('config.json', 'model.safetensors', 'tokenizer.model'), TARGET), {
      code: 'HUB_NOTHING_USABLE',
      message: /has no tokenizer\.json, .*AutoTokenizer/,
    });
    assert.throws(() => selectFiles(list('adapter_config.json', 'adapter_model.safetensors'), TARGET), {
      code: 'HUB_NOTHING_USABLE',
      message: /neither model\.safetensors nor/,
    });
    assert.throws(() => selectFiles(list('model.safetensors', 'tokenizer.json'), TARGET), {
      message: /has no config\.json, .*adapter is no model/,
    });
    assert.throws(() => selectFiles([], TARGET), { code: 'HUB_NOTHING_USABLE' });
  });
});

suite('parseTarget', () => {
  test('repository, revision by @ or option, file', () => {
    assert.deepEqual(parseTarget('Org/Na-me_1.5'), {
      repository: 'Org/Na-me_1.5',
      revision: 'main',
      file: null,
    });
    assert.equal(parseTarget('o/n@refs/pr/3').revision, 'refs/pr/3');
    assert.equal(parseTarget('o/n', { revision: 'v1.0' }).revision, 'v1.0');
    assert.equal(parseTarget('o/n@v1', { revision: 'v1' }).revision, 'v1');
    assert.equal(parseTarget('o/n', { file: 'a/b.Q4_0.gguf' }).file, 'a/b.Q4_0.gguf');
  });

  test('what names nothing is refused by its field', () => {
    const bad: [string, { revision?: string; file?: string }, string][] = [
      ...[
        'n',
        'a/b/c',
        '../x',
        'o/..',
        'o/.n',
        'o/n.git',
        'o/a--b',
        'o/n ',
        '/n',
        'o/',
        'o/ñ',
        `o/${'n'.repeat(100)}`,
      ].map((text): [string, object, string] => [text, {}, 'repository']),
      ...['', '../main', 'a b', '-x', '/main', 'a?b', 'x'.repeat(300)].map(
        (revision): [string, { revision: string }, string] => ['o/n', { revision }, 'revision'],
      ),
      ['o/n@a', { revision: 'b' }, 'revision'],
      ...['x.bin', '../x.gguf', 'a//x.gguf', '/x.gguf', 'a\\x.gguf', 'x-00001-of-00002.gguf'].map(
        (file): [string, { file: string }, string] => ['o/n', { file }, 'file'],
      ),
    ];
    for (const [text, options, field] of bad) {
      const what = `${text} ${JSON.stringify(options)}`;
      assert.throws(
        () => parseTarget(text, options),
        (error: Error & { code?: string; fields?: { field?: string } }) =>
          error.code === 'HUB_INPUT_INVALID' && error.fields?.field === field,
        what,
      );
    }
  });

  test('ids are names that findModelPath takes, each of one commit', () => {
    const commit = '0123456789abcdef0123456789abcdef01234567';
    assert.equal(modelIdOf(parseTarget('o/n'), commit), 'o--n--0123456789ab');
    assert.equal(
      modelIdOf(parseTarget('o/n', { file: 'q/n.Q4_0.gguf' }), commit),
      'o--n--0123456789ab--n.Q4_0',
    );
  });
});
