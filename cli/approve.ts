import { Command } from 'commander';
import { userInfo } from 'node:os';
import { approvalOptions, chooseApproval, MIN_DIGEST_CHARACTERS } from './lib/approval-answer.ts';
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

export const approveCommand = new Command('approve')
  .description('Approve or reject a pending approval')
  .argument('<run>', 'workflow id')
  .option('--list', 'only show what is pending')
  .option('--id <id>', 'which one, when several are pending')
  .option(
    '--digest <sha256>',
    `what you looked at (its first ${MIN_DIGEST_CHARACTERS} characters or more); refused when something else is pending`,
  )
  .option('--reject', 'reject it')
  .option('--comment <text>', 'why')
  .option('--by <name>', 'who answers (default: the user name)')
  .action(async (run: string, options: Options) => {
    await withClient(async (client) => {
      await client.describe(run);
      const pending = await client.approvals(run);
      if (options.list === true) {
        for (const one of pending)
          print(
            `${one.id}: ${one.title}\n  subject ${one.subject.uri}\n  answer with ${approvalOptions(one)}`,
          );
        if (pending.length === 0) print('No pending approvals.');
        return;
      }
      const { approval, digest } = chooseApproval(pending, run, options);
      const { id, title } = approval;
      await client.approve(run, {
        id,
        digest,
        verdict: options.reject === true ? 'reject' : 'approve',
        by: options.by ?? userInfo().username,
        ...(options.comment === undefined ? {} : { comment: options.comment }),
      });
      print(`${options.reject === true ? 'rejected' : 'approved'}: ${title} (${id})`);
    });
  });
