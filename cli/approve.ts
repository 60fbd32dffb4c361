import { Command } from 'commander';
import { userInfo } from 'node:os';
import { EscadaFailure } from '../plugins/api/failure.ts';
import type { Approval } from '../schemas/pipeline/approval.ts';
import { print } from './lib/terminal.ts';
import { withClient } from './lib/with-client.ts';

interface Options {
  readonly id?: string;
  readonly digest?: string;
  readonly reject?: boolean;
  readonly comment?: string;
  readonly by?: string;
  readonly list?: boolean;
}

/** The approval that is meant: the named one, or the only one. Throws `APPROVAL_UNKNOWN`. */
function pick(waiting: readonly Approval[], run: string, id: string | undefined): Approval {
  const found = id === undefined && waiting.length === 1 ? waiting[0] : waiting.find((one) => one.id === id);
  if (found !== undefined) return found;
  const ids = waiting.map((one) => one.id).join(', ');
  const message =
    waiting.length === 0
      ? `Nothing waits for approval in "${run}".`
      : `Name one of the approvals that wait in "${run}" with --id: ${ids}.`;
  throw new EscadaFailure({ code: 'APPROVAL_UNKNOWN', message });
}

export const approveCommand = new Command('approve')
  .description('Answer what a run asks: approve it, or reject it')
  .argument('<run>', 'workflow id')
  .option('--list', 'only show what waits')
  .option('--id <id>', 'which one, when several wait')
  .option('--digest <sha256>', 'what you looked at; refused when it is no longer what waits')
  .option('--reject', 'say no')
  .option('--comment <text>', 'why')
  .option('--by <name>', 'who answers (default: the user name)')
  .action(async (run: string, options: Options) => {
    await withClient(async (client) => {
      await client.describe(run);
      const waiting = await client.approvals(run);
      if (options.list === true) {
        for (const one of waiting)
          print(`${one.id}: ${one.title}\n  digest ${one.digest}\n  subject ${one.subject.uri}`);
        if (waiting.length === 0) print('nothing waits');
        return;
      }
      const { id, title, digest } = pick(waiting, run, options.id);
      await client.approve(run, {
        id,
        digest: options.digest ?? digest,
        verdict: options.reject === true ? 'reject' : 'approve',
        by: options.by ?? userInfo().username,
        ...(options.comment === undefined ? {} : { comment: options.comment }),
      });
      print(`${options.reject === true ? 'rejected' : 'approved'}: ${title} (${id})`);
    });
  });
