import { spawn } from 'node:child_process';
import { signalExitCode } from './exec.mjs';
import { withDirectLoopback } from './loopback.mjs';

/** @type {NodeJS.Signals[]} */
const PASSED_ON = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/**
 * Runs a program in the foreground with this terminal, passes signals on, and waits.
 * @param {string} program
 * @param {string[]} args
 * @param {{ env: import('./exec.mjs').Env, cwd: string }} options
 * @returns {Promise<number>} Its exit code, or 128 + the number of the signal that ended it.
 */
export function runProgram(program, args, { env, cwd }) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { env: withDirectLoopback(env), cwd, stdio: 'inherit' });
    const handlers = PASSED_ON.map((signal) => {
      const handler = () => {
        // A terminal's Ctrl-C reaches the whole process group: passing it on would count as pressing it twice.
        if (signal === 'SIGINT' && process.stdin.isTTY) return;
        child.kill(signal);
      };
      process.on(signal, handler);
      return () => process.off(signal, handler);
    });
    const release = () => handlers.forEach((off) => off());
    child.once('error', (error) => {
      release();
      reject(error);
    });
    child.once('exit', (code, signal) => {
      release();
      resolve(code ?? signalExitCode(signal));
    });
  });
}
