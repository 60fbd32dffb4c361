/**
 * Main of the engine's process. It only carries lines: requests from descriptor 3 to the native engine, its replies to
 * descriptor 4. Two rules matter: the process ends as soon as descriptor 3 closes, even in the middle of a training, so
 * that no orphan holds the device; and JavaScript never computes here, so that `cancel` is always heard.
 */
import { writeFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { BUILT_ADDON } from './addon-path.ts';
import { onEachLine } from '../../sdk/process/lines.ts';
import { BUILD_ENGINE } from '../../../schemas/errors/hints.ts';

interface NativeEngine {
  handle(requestJson: string): void;
}
interface NativeAddon {
  readonly Engine: new (onMessage: (line: string) => void) => NativeEngine;
}

const requests = new Socket({ fd: 3, readable: true, writable: false });
const replies = new Socket({ fd: 4, readable: false, writable: true });

/** SIGKILL instead of an orderly exit: a computing thread must not delay the end by one step. */
const die = (): void => {
  process.kill(process.pid, 'SIGKILL');
};

// The parent is gone: nobody is left to read, so there is nothing to finish.
requests.on('close', die);
requests.on('error', die);
replies.on('error', die);

// A terminal's Ctrl-C and a service manager's stop reach the whole group: the worker decides what they mean.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

// When memory runs out, the kernel should take this process and not the worker, which can start another.
try {
  writeFileSync('/proc/self/oom_score_adj', '500');
} catch {
  // Not Linux, or not allowed: the kernel then chooses by size, which is mostly this process too.
}

const send = (line: string): void => {
  replies.write(`${line}\n`);
};

try {
  const addonPath = process.env['ESCADA_ENGINE_ADDON'] ?? BUILT_ADDON;
  // Not `require`: a path that names a script must fail, not run.
  const addon = { exports: {} as NativeAddon };
  process.dlopen(addon, addonPath);
  const engine = new addon.exports.Engine(send);
  onEachLine(requests, (line) => engine.handle(line));
} catch (error) {
  const why = error instanceof Error ? error.message : String(error);
  const machine = `${process.platform}-${process.arch}`;
  const message = `the native engine cannot be loaded on ${machine}: ${why}. ${BUILD_ENGINE}`;
  send(JSON.stringify({ v: 1, id: null, error: { code: 'ENGINE_NOT_BUILT', message } }));
  replies.end(die);
}
