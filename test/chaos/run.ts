/** `npm run chaos -- [--trials 40] [--seed N] [--json]`: exits with 1 when a trial did not pass or a fault was absent. */
import { parseArgs } from 'node:util';
import { setUpForAcceptance } from '../../tools/acceptance/set-up.ts';
import { print, say, table } from '../../cli/lib/terminal.ts';
import { TestServer } from '../whole/support/server.ts';
import { FAULTS } from './faults.ts';
import { chaos, freshSeed, type Trial } from './trials.ts';

const whole = (name: string, text: string): number => {
  // Seeds have 32 bits.
  if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 32) return Number(text);
  throw new Error(`--${name} must be a whole number, not "${text}"`);
};

const row = (one: Trial): string[] => [
  String(one.trial + 1),
  one.fault,
  `${one.hitAtSeconds.toFixed(1)} s`,
  String(one.finishedBefore),
  String(one.attempts),
  `${one.runSeconds.toFixed(1)} s`,
  one.problems.length > 0 ? one.problems.join('; ') : one.again ? 'PASS (started again)' : 'PASS',
];

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      trials: { type: 'string', default: '40' },
      seed: { type: 'string', default: String(freshSeed()) },
      json: { type: 'boolean', default: false },
    },
  });
  const [trials, seed] = [whole('trials', values.trials), whole('seed', values.seed)];
  Object.assign(process.env, await setUpForAcceptance());
  const absent = FAULTS.flatMap((fault) => (fault.absent === null ? [] : [`${fault.name}: ${fault.absent}`]));
  for (const line of absent) say(`absent: ${line}`);
  const faults = FAULTS.filter((fault) => fault.absent === null);
  const server = await TestServer.start();
  try {
    const onTrial = (one: Trial) => say(row(one).join('  '));
    const result = await chaos(server, { trials, seed, faults, onTrial });
    const passed = result.trials.filter(({ problems }) => problems.length === 0).length;
    const head = ['trial', 'fault', 'at', 'steps finished', 'attempts', 'run', ''];
    print(table([head, ...result.trials.map(row)]));
    print(`${passed} of ${trials} passed, seed ${seed}, undisturbed run ${result.calm.seconds.toFixed(1)} s`);
    if (values.json)
      print(
        JSON.stringify({ seed, passed, absent, calmSeconds: result.calm.seconds, trials: result.trials }),
      );
    return passed === trials && absent.length === 0 ? 0 : 1;
  } finally {
    await server.stop();
  }
}

process.exitCode = await main();
