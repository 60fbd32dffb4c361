import { condition, defineQuery, defineUpdate, setHandler } from '@temporalio/workflow';
import type { Approval, ApprovalAnswer, ApprovalRecord } from '../../schemas/outcome/approval.ts';
import { MAX_COMMENT_CHARACTERS, QUERY_APPROVALS, UPDATE_APPROVE } from '../../schemas/plan/constants.ts';
import type { JsonValue } from '../../schemas/common/json.ts';
import { control } from './control-activities.ts';
import { fail } from './fail.ts';
import { guardHistory, guardPayload } from './payload.ts';
import { Permits } from './permits.ts';

export const approveUpdate = defineUpdate<ApprovalRecord['verdict'], [ApprovalAnswer]>(UPDATE_APPROVE);

export const approvalsQuery = defineQuery<readonly Approval[]>(QUERY_APPROVALS);

export interface ApprovalRequest {
  readonly id: string;
  readonly title: string;
  /** What is approved; its digest is part of the question and of the answer. */
  readonly subject: JsonValue;
  /** Null: no limit. */
  readonly timeoutSeconds: number | null;
}

interface Waiting extends Approval {
  answer: ApprovalAnswer | null;
}

/** The questions of one run, and the update that answers them. */
export class Approvals {
  /** Every question that was answered or given up, in that order. */
  readonly records: ApprovalRecord[] = [];
  readonly #waiting: Waiting[] = [];
  #asking = 0;
  /** One subject is sent at a time, so that many together do not outgrow a call to the server. */
  readonly #opening = new Permits(1);
  readonly #changed: () => void;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  /** Takes up the update and the query; to be called once, when the workflow starts. */
  listen(): void {
    setHandler(approvalsQuery, () => this.waiting(), { description: 'What waits for a person’s answer' });
    setHandler(approveUpdate, (answer) => this.#answer(answer), {
      validator: (answer) => void this.#find(answer),
      description:
        'Approve or reject what waits: {"id","digest","verdict":"approve"|"reject","by"?,"comment"?}',
    });
  }

  /** Takes up what runs before this one have asked. */
  restore(records: readonly ApprovalRecord[]): void {
    this.records.push(...records);
  }

  /** Whether anything is being asked, from the first thought of it to its record. */
  get asking(): boolean {
    return this.#asking > 0;
  }

  waiting(): readonly Approval[] {
    return this.#waiting
      .filter(({ answer }) => answer === null)
      .map(({ id, title, digest, subject }) => ({ id, title, digest, subject }));
  }

  /** Asks, and waits for the answer or the end of the time. */
  async ask(request: ApprovalRequest): Promise<ApprovalRecord> {
    this.#asking += 1;
    try {
      return await this.#ask(request);
    } finally {
      this.#asking -= 1;
    }
  }

  async #ask({ id, title, subject: value, timeoutSeconds }: ApprovalRequest): Promise<ApprovalRecord> {
    guardPayload(`${id}: the subject of the approval`, value);
    const { subject } = await this.#opening.run(async () => {
      guardHistory();
      return await control.openApproval({ subject: value });
    });
    const startedMs = Date.now();
    const waiting: Waiting = { id, title, digest: subject.sha256, subject, answer: null };
    this.#waiting.push(waiting);
    this.#changed();
    try {
      const answered = () => waiting.answer !== null;
      if (timeoutSeconds === null) await condition(answered);
      else await condition(answered, timeoutSeconds * 1000);
    } finally {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
      // A cancelled wait, too, is one that is over.
      this.#changed();
    }
    const record = recordOf(waiting, (Date.now() - startedMs) / 1000);
    this.records.push(record);
    this.#changed();
    return record;
  }

  #answer(answer: ApprovalAnswer): ApprovalRecord['verdict'] {
    // Another answer may have been accepted between the validator and this handler.
    this.#find(answer).answer = answer;
    this.#changed();
    return answer.verdict;
  }

  /** The question an answer is for. Throws `APPROVAL_INVALID`, `APPROVAL_UNKNOWN` or `APPROVAL_STALE`. */
  #find(answer: unknown): Waiting {
    const { id, digest } = checkShape(answer);
    const open = this.#waiting.filter((one) => one.answer === null);
    const asked = open.find((one) => one.id === id);
    if (asked === undefined) {
      const ids = open.length === 0 ? 'none' : open.map((one) => one.id).join(', ');
      throw fail('APPROVAL_UNKNOWN', `No approval "${id}" is pending here. Pending: ${ids}.`);
    }
    if (asked.digest !== digest) {
      const message = `digest: "${id}" asks about ${asked.digest}, the answer is about ${digest}. Read it again and send its digest.`;
      throw fail('APPROVAL_STALE', message);
    }
    return asked;
  }
}

function recordOf({ id, title, digest, answer }: Waiting, seconds: number): ApprovalRecord {
  const { verdict = 'timed-out', by = '', comment = '' } = answer ?? {};
  return { id, title, digest, verdict, by, comment, seconds };
}

const FIELDS = ['id', 'digest', 'verdict', 'by', 'comment'];

/** Updates come from anywhere, the UI's form too: nothing about their shape is certain. */
function checkShape(answer: unknown): ApprovalAnswer {
  const wrong = (why: string) =>
    fail('APPROVAL_INVALID', `${why} Send {"id": …, "digest": …, "verdict": "approve" or "reject"}.`);
  if (typeof answer !== 'object' || answer === null) throw wrong('The answer must be one JSON object.');
  const fields = answer as Record<string, unknown>;
  const unknown = Object.keys(fields).find((name) => !FIELDS.includes(name));
  if (unknown !== undefined) throw wrong(`${unknown}: is not a known field.`);
  for (const name of ['id', 'digest'])
    if (typeof fields[name] !== 'string' || fields[name] === '') throw wrong(`${name}: must be a text.`);
  if (fields['verdict'] !== 'approve' && fields['verdict'] !== 'reject')
    throw wrong('verdict: must be "approve" or "reject".');
  for (const name of ['by', 'comment']) {
    const text = fields[name];
    if (text === undefined) continue;
    if (typeof text !== 'string' || text.length > MAX_COMMENT_CHARACTERS)
      throw wrong(`${name}: must be a text of at most ${MAX_COMMENT_CHARACTERS} characters.`);
  }
  return answer as ApprovalAnswer;
}
