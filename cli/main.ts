#!/usr/bin/env node
/** The `escada` command. One file per verb; this one only lists them and turns failures into messages and exit codes. */
import { Command } from 'commander';
import { readSettings } from '../runtime/settings.ts';
import { approveCommand } from './approve.ts';
import { cancelCommand } from './cancel.ts';
import { cleanCommand } from './clean.ts';
import { decisionsCommand } from './decisions.ts';
import { doctorCommand } from './doctor.ts';
import { engineCommand } from './engine.ts';
import { exportCommand } from './export.ts';
import { exitCodeFor, explainError } from './lib/explain.ts';
import { useHomeServer } from './lib/home-server.ts';
import { say } from './lib/terminal.ts';
import { modelCommand } from './model.ts';
import { quickstartCommand } from './quickstart.ts';
import { reportCommand } from './report.ts';
import { serverCommand } from './server.ts';
import { startCommand } from './start.ts';
import { statusCommand } from './status.ts';
import { trainCommand } from './train.ts';
import { workerCommand } from './worker.ts';
import { withDirectLoopback } from '../runtime/bootstrap/loopback.mjs';

const program = new Command('escada')
  .description('Finds the cheapest way to make a language model do your task well.')
  .addCommand(quickstartCommand)
  .addCommand(startCommand)
  .addCommand(trainCommand)
  .addCommand(statusCommand)
  .addCommand(decisionsCommand)
  .addCommand(approveCommand)
  .addCommand(cancelCommand)
  .addCommand(reportCommand)
  .addCommand(exportCommand)
  .addCommand(doctorCommand)
  .addCommand(cleanCommand)
  .addCommand(serverCommand)
  .addCommand(workerCommand)
  .addCommand(modelCommand)
  .addCommand(engineCommand);

// Before any connection is opened: gRPC asks the environment for a proxy even for this machine's own server.
Object.assign(process.env, withDirectLoopback(process.env));

// Those two start a server, or find the one that runs, by themselves.
const OPEN_SERVERS = new Set(['quickstart', 'server']);
program.hook('preAction', async (_program, command) => {
  if (!OPEN_SERVERS.has(command.name())) await useHomeServer(readSettings());
});

/** Whatever fails, wherever: a person reads a message, not a stack trace. */
function giveUp(error: unknown): void {
  say(`\nescada: ${explainError(error)}`);
  process.exitCode = exitCodeFor(error);
}

process.on('uncaughtException', (error) => {
  giveUp(error);
  process.exit();
});
await program.parseAsync().catch(giveUp);
