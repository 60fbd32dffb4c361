/**
 * Degenerate outputs of a model in training, found in a few greedy replies after an epoch: replies that begin alike, are
 * alike, repeat themselves, are empty or do not end, where the answers do none of this. Thresholds are shares of the
 * replies: with few of them a degeneration has to be plain before it becomes a warning.
 */
import type { TrainingSample } from '../../sdk/contracts/trainer.ts';
import type { TrainingWarning } from '../../../schemas/outcome/warning.ts';

/** Words that make an opening. */
const OPENING_WORDS = 3;
/** Share of the replies that have to be alike, or begin alike; and by how much it exceeds that of the answers. */
const ALIKE_SHARE = 0.5;
const ALIKE_EXCESS = 0.3;
/** Fewer replies say nothing about what they share. */
const MIN_REPLIES = 4;
/** Share of replies that loop, or are empty. */
const FAULTY_SHARE = 0.25;
/** Share of replies that do not end, and how much longer than its answer one is by then. */
const ENDLESS_SHARE = 0.5;
const ENDLESS_FACTOR = 1.5;
/** A loop: a unit of at most so many words (characters), so often in a row, so long in all. */
const WORD_LOOP = { unit: 12, times: 3, length: 6 };
const CHARACTER_LOOP = { unit: 30, times: 4, length: 20 };
const SHOWN_CHARACTERS = 60;

/** The degenerate outputs of each epoch, as warnings. */
export function findDegeneration(samples: readonly TrainingSample[]): TrainingWarning[] {
  const steps = [...new Set(samples.map(({ step }) => step))];
  return steps.flatMap((step) => degenerationAfter(samples.filter((sample) => sample.step === step)));
}

function degenerationAfter(samples: readonly TrainingSample[]): TrainingWarning[] {
  const { epoch = 0, step = 0 } = samples[0] ?? {};
  const collapse = collapseOf(samples);
  const found = [
    // The same reply begins the same way.
    collapse ?? openingOf(samples),
    faulty('go in circles', samples, FAULTY_SHARE, loops),
    faulty('are empty', samples, FAULTY_SHARE, isEmpty),
    faulty('do not end', samples, ENDLESS_SHARE, isEndless),
  ].filter((degeneration) => degeneration !== null);
  return found.map(({ what, rows }) => ({
    kind: 'degenerate-output',
    step,
    message: `after epoch ${epoch} ${rows.length} of ${samples.length} replies ${what}`,
    rows,
  }));
}

interface Degeneration {
  readonly what: string;
  readonly rows: string[];
}

function collapseOf(samples: readonly TrainingSample[]): Degeneration | null {
  const alike = alikeBy(samples, (text) => wordsOf(text).join(' '));
  if (alike === null) return null;
  return {
    what: `are the same, "${brief(alike.text)}" (at most ${alike.amongReferences} of the answers)`,
    rows: alike.rows,
  };
}

function openingOf(samples: readonly TrainingSample[]): Degeneration | null {
  const alike = alikeBy(samples, (text) => {
    const words = wordsOf(text);
    return words.length < OPENING_WORDS ? '' : words.slice(0, OPENING_WORDS).join(' ');
  });
  if (alike === null) return null;
  return {
    what: `begin with "${brief(alike.text)}" (at most ${alike.amongReferences} of the answers)`,
    rows: alike.rows,
  };
}

/** What too many replies to different prompts have in common; an empty key has nothing in common with any. */
function alikeBy(
  samples: readonly TrainingSample[],
  keyOf: (text: string) => string,
): { readonly text: string; readonly amongReferences: number; readonly rows: string[] } | null {
  const different = [...new Map(samples.map((sample) => [sample.input, sample])).values()];
  if (different.length < MIN_REPLIES) return null;
  const replies = mostFrequent(different, ({ reply }) => keyOf(reply));
  const amongReferences = mostFrequent(different, (sample) => keyOf(sample.reference)).among.length;
  const share = replies.among.length / different.length;
  if (share < ALIKE_SHARE || share - amongReferences / different.length < ALIKE_EXCESS) return null;
  return { text: replies.key, amongReferences, rows: replies.among.map(({ id }) => id) };
}

function mostFrequent(
  samples: readonly TrainingSample[],
  keyOf: (sample: TrainingSample) => string,
): { readonly key: string; readonly among: readonly TrainingSample[] } {
  const groups = new Map<string, TrainingSample[]>();
  for (const sample of samples) {
    const key = keyOf(sample);
    if (key !== '') groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  const sorted = [...groups].sort(([, one], [, other]) => other.length - one.length);
  return { key: sorted[0]?.[0] ?? '', among: sorted[0]?.[1] ?? [] };
}

function faulty(
  what: string,
  samples: readonly TrainingSample[],
  least: number,
  isFaulty: (sample: TrainingSample) => boolean,
): Degeneration | null {
  const rows = samples.filter(isFaulty).map(({ id }) => id);
  return rows.length > 0 && rows.length >= least * samples.length ? { what, rows } : null;
}

const isEmpty = ({ reply, reference }: TrainingSample): boolean =>
  reply.trim() === '' && reference.trim() !== '';

/** A reply that was cut off sooner may still have ended well. */
const isEndless = ({ finish, replyTokens, referenceTokens }: TrainingSample): boolean =>
  finish === 'length' && replyTokens >= ENDLESS_FACTOR * referenceTokens;

const loops = ({ reply, reference }: TrainingSample): boolean => hasLoop(reply) && !hasLoop(reference);

/** Whether a text repeats a word, a phrase or a few characters over and over. */
export function hasLoop(text: string): boolean {
  return repeats(wordsOf(text), WORD_LOOP) || repeats([...text.replaceAll(/\s+/g, ' ')], CHARACTER_LOOP);
}

function repeats(items: readonly string[], limit: typeof WORD_LOOP): boolean {
  for (let unit = 1; unit <= limit.unit; unit += 1) {
    const threshold = Math.max(limit.times * unit, limit.length);
    let run = unit;
    for (let at = unit; at < items.length; at += 1) {
      run = items[at] === items[at - unit] ? run + 1 : unit;
      if (run >= threshold) return true;
    }
  }
  return false;
}

/** Words in lower case; characters, where a script puts no spaces between words. */
const WORD =
  /[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}]|(?:(?![\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}])[\p{L}\p{N}\p{M}'’])+/gu;

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(WORD) ?? [];
}

function brief(text: string): string {
  return text.length > SHOWN_CHARACTERS ? `${text.slice(0, SHOWN_CHARACTERS)}…` : text;
}
