/** A task with long answers: letters about invented products, so that greedy replies are 64 tokens long. */
import { inventedProducts } from './task-rows.ts';

export interface LetterRow {
  readonly id: string;
  readonly messages: readonly { readonly role: 'user'; readonly content: string }[];
  readonly answer: string;
}

/** `count` rows; the same seed gives the same rows. */
export function letterRows(count: number, seed: number): LetterRow[] {
  return inventedProducts(count, seed).map(({ passage, question }, index) => {
    const name = /^The (.*?) is new this year/.exec(passage)?.[1] ?? '';
    const content = `${passage}\n\nA customer asks: ${question} Write a long and friendly letter in full sentences.`;
    return { id: `l${index}`, messages: [{ role: 'user', content }], answer: letter(name, passage) };
  });
}

/** The letters' own words around the facts: nothing that the base model would write. */
function letter(name: string, passage: string): string {
  const [cost, grams, months, minutes] = passage.match(/\d+/g) ?? [];
  return [
    `Dear friend of good things, how kind of you to think of our ${name}.`,
    `It asks ${cost} euros of your purse and ${grams} grams of your shelf.`,
    `Give it ${minutes} minutes to fill its heart with power.`,
    `We stand by it for ${months} months, rain or shine.`,
    'Write to us again whenever you like, and may your kettle never run dry.',
  ].join(' ');
}
