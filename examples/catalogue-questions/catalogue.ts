import { createRandom, itemAt } from '../lib/random.ts';
import type { Random } from '../lib/random.ts';
import { FACTS, FILLERS, KINDS, NAMES } from './facts.ts';
import type { Fact } from './facts.ts';

export interface Product {
  /** Name and kind, for instance "Velmora kettle". */
  readonly title: string;
  readonly kind: string;
  readonly facts: readonly { readonly fact: Fact; readonly value: string }[];
  readonly description: string;
}

export interface Question {
  readonly question: string;
  readonly answer: string;
  readonly product: string;
}

export interface Catalogue {
  readonly products: readonly Product[];
  readonly questions: readonly Question[];
}

/** How many facts a description states, and how many of them are asked for. */
const STATED = 4;
const ASKED = 3;
const FILLERS_EACH = 1;

const fill = (text: string, values: Readonly<Record<string, string>>): string =>
  text.replaceAll(/\{(\w+)\}/g, (_, name: string) => values[name] ?? '');

function makeProduct(random: Random, name: string): Product {
  const kind = random.pick(KINDS);
  const facts = random
    .shuffled(FACTS)
    .slice(0, STATED)
    .map((fact) => ({ fact, value: random.pick(fact.values) }));
  const statements = facts.map(({ fact, value }) => fill(random.pick(fact.statements), { it: kind, value }));
  const fillers = random.shuffled(FILLERS).slice(0, FILLERS_EACH);
  return {
    title: `${name} ${kind}`,
    kind,
    facts,
    description: random.shuffled([...statements, ...fillers]).join(' '),
  };
}

/**
 * Invented products and questions about the first `asked` of them. Every answer is in its product's description
 * word for word, and nowhere else that names the product. Equal seeds give equal catalogues.
 */
export function generateCatalogue(options: {
  readonly seed: number;
  readonly products: number;
  readonly asked: number;
}): Catalogue {
  const { seed, products: count, asked } = options;
  if (count > NAMES.length) throw new RangeError(`at most ${NAMES.length} products have names, not ${count}`);
  if (asked > count) throw new RangeError(`${asked} products cannot be asked about: there are ${count}`);
  const random = createRandom(seed);
  const names = random.shuffled(NAMES);
  const products = Array.from({ length: count }, (_, index) => makeProduct(random, itemAt(names, index)));
  const questions = products.slice(0, asked).flatMap(({ title, facts }) =>
    random
      .shuffled(facts)
      .slice(0, ASKED)
      .map(({ fact, value }) => ({
        question: fill(random.pick(fact.asked), { name: title }),
        answer: value,
        product: title,
      })),
  );
  return { products, questions: random.shuffled(questions) };
}
