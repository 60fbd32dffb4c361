import assert from 'node:assert/strict';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { cargoEnv, cargoTargetFolder } from '../../../runtime/bootstrap/cargo-target.mjs';
import { runOrFail } from '../../../runtime/bootstrap/exec.mjs';
import { scratch } from './support.ts';

test('cargo builds into the user cache unless the environment names another folder', () => {
  assert.equal(cargoTargetFolder({ ESCADA_CACHE_DIR: '/c' }), '/c/cargo-target');
  assert.equal(cargoTargetFolder({ ESCADA_CACHE_DIR: '/c', CARGO_TARGET_DIR: '/t' }), '/t');
});

test('a checkout with older files gets what its own sources say, not what another one built', async (t) => {
  const room = await scratch(t);
  const env = { ...process.env, CARGO_TARGET_DIR: path.join(room, 'target') };
  const checkout = async (name: string): Promise<string> => {
    const root = path.join(room, name);
    await mkdir(path.join(root, 'one/src'), { recursive: true });
    await writeFile(path.join(root, 'Cargo.toml'), '[workspace]\nresolver = "2"\nmembers = ["one"]\n');
    await writeFile(
      path.join(root, 'one/Cargo.toml'),
      '[package]\nname = "one"\nversion = "0.1.0"\nedition = "2021"\n',
    );
    const source = path.join(root, 'one/src/main.rs');
    await writeFile(source, `fn main() { print!("${name} {}", env!("CARGO_MANIFEST_DIR")); }`);
    await utimes(source, 1_000_000_000, 1_000_000_000);
    return root;
  };
  const says = async (root: string): Promise<string> =>
    runOrFail('cargo run', 'cargo', ['run', '--quiet', '--offline'], {
      cwd: root,
      env: await cargoEnv({ root, env }),
    });
  const [first, second] = [await checkout('first'), await checkout('second')];
  assert.equal(await says(first), `first ${first}/one`);
  assert.equal(await says(second), `second ${second}/one`);
  assert.equal(await says(first), `first ${first}/one`);
});
