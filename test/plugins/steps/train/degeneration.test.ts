/** What is found in a handful of replies after an epoch, and what is not. */
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { findDegeneration, hasLoop } from '../../../../plugins/steps/train/degeneration.ts';
import type { TrainingSample } from '../../../../plugins/sdk/contracts/trainer.ts';

const WANTED = [
  'When your morning starts early, this kettle in steel boils two cups in a minute.',
  'After a long day, this lamp in brass puts light where you read.',
  'Your bread deserves this board in oak. It wipes clean.',
  'Before guests arrive, this carafe in glass is on your table.',
  'On wet days this mat in cork dries your boots.',
  'A hook in brass for your coat. It holds ten kilograms.',
  'While soup simmers, this ladle in beech hangs at hand.',
  'Once your plants have grown, this pot in stoneware gives them room.',
] as const;

/** Replies to eight different prompts, as short as their answers, ended. */
function samples(
  replyTo: (index: number, reference: string) => string,
  changes: (index: number) => Partial<TrainingSample> = () => ({}),
): TrainingSample[] {
  return WANTED.map((reference, index) => ({
    epoch: 2,
    step: 60,
    id: `r${index}`,
    input: `product ${index}`,
    reply: replyTo(index, reference),
    reference,
    replyTokens: 20,
    referenceTokens: 20,
    finish: 'stop',
    ...changes(index),
  }));
}

const found = (all: readonly TrainingSample[]) => findDegeneration(all).map(({ message }) => message);
const ids = (count: number) => Array.from({ length: count }, (_, index) => `r${index}`);

suite('degenerate outputs', () => {
  test('replies as different as their answers have none', () => {
    assert.deepEqual(found(samples((_, reference) => reference)), []);
    assert.deepEqual(
      found(samples((index) => `This one is number ${index}.`.replace('This', WANTED[index] ?? ''))),
      [],
    );
    assert.deepEqual(findDegeneration([]), []);
  });

  test('a repeated opening is reported with its numbers, step and rows', () => {
    const habit = samples((index, reference) =>
      index < 6 ? `Meet your new favourite: ${reference}` : reference,
    );
    assert.deepEqual(findDegeneration(habit), [
      {
        kind: 'degenerate-output',
        step: 60,
        message: 'after epoch 2 6 of 8 replies begin with "meet your new" (at most 1 of the answers)',
        rows: ids(6),
      },
    ]);
    const chinese = samples((index) => `欢迎选购${WANTED[index] ?? ''}`);
    assert.deepEqual(found(chinese), [
      'after epoch 2 8 of 8 replies begin with "欢 迎 选" (at most 1 of the answers)',
    ]);
    // Three of eight may be chance.
    assert.deepEqual(
      found(samples((index, reference) => (index < 3 ? `Meet your new ${reference}` : reference))),
      [],
    );
  });

  test('an opening that the answers share is no degeneration', () => {
    const house = (text: string) => `Dear customer, thank you. ${text}`;
    const styled = samples((_, reference) => house(reference)).map((s) => ({
      ...s,
      reference: house(s.reference),
    }));
    assert.deepEqual(found(styled), []);
  });

  test('the same reply for most prompts is a collapse, once', () => {
    const same = samples((index, reference) =>
      index < 7 ? 'This product is great,  for Every home!' : reference,
    );
    assert.deepEqual(found(same), [
      'after epoch 2 7 of 8 replies are the same, "this product is great for every home" (at most 1 of the answers)',
    ]);
  });

  test('classes are allowed to be alike as far as the answers are', () => {
    const label = (index: number) => (index < 5 ? 'garden' : 'kitchen');
    const labelled = (reply: (index: number) => string) =>
      samples(reply).map((sample, index) => ({ ...sample, reference: label(index) }));
    assert.deepEqual(found(labelled(label)), []);
    assert.deepEqual(found(labelled(() => 'garden')), [
      'after epoch 2 8 of 8 replies are the same, "garden" (at most 5 of the answers)',
    ]);
  });

  test('the same prompt asked again says nothing, nor do three replies', () => {
    const again = samples(
      () => 'Nice kettle, boils water.',
      () => ({ input: 'a kettle' }),
    );
    assert.deepEqual(found(again), []);
    assert.deepEqual(found(samples(() => 'Nice kettle, boils water.').slice(0, 3)), []);
  });

  test('circles, empty replies and replies without end', () => {
    const circles = samples((index, reference) =>
      index < 2 ? `${reference} and it is good`.concat(' and it is good'.repeat(3)) : reference,
    );
    assert.deepEqual(found(circles), ['after epoch 2 2 of 8 replies go in circles']);
    assert.deepEqual(found(circles.slice(1)), [], 'one of seven');
    assert.deepEqual(found(samples((index, reference) => (index < 2 ? ' \n' : reference))), [
      'after epoch 2 2 of 8 replies are empty',
    ]);
    const cut = (replyTokens: number) =>
      samples(
        (_, reference) => reference,
        () => ({ finish: 'length', replyTokens }),
      );
    assert.deepEqual(found(cut(30)), ['after epoch 2 8 of 8 replies do not end']);
    assert.deepEqual(found(cut(29)), [], 'cut off sooner, it may still have ended well');
  });

  test('each epoch is judged by itself', () => {
    const first = samples((_, reference) => reference);
    const second = samples(() => '').map((sample) => ({ ...sample, epoch: 3, step: 90 }));
    assert.deepEqual(
      findDegeneration([...first, ...second]).map(({ step, rows }) => [step, rows.length]),
      [[90, 8]],
    );
  });
});

suite('loops', () => {
  for (const text of [
    'good good good good good good',
    'The pan is hot. The pan is hot. The pan is hot.',
    'A steel kettle for tea, a kettle for tea, a kettle for tea, a kettle for tea',
    'aaaaaaaaaaaaaaaaaaaaaaaa',
    '...................................',
    '很好很好很好很好很好很好很好很好很好很好',
  ])
    test(`"${text}" is one`, () => assert.ok(hasLoop(text)));
  for (const text of [
    '',
    'very very good',
    'It is hot, hot, hot.',
    'Ten rows of ten seats, and ten rows of eight seats.',
    '2 × 2 × 2 = 8',
    ...WANTED,
  ])
    test(`"${text}" is none`, () => assert.ok(!hasLoop(text)));
});
