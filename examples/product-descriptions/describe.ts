import type { Category, Kind } from './lexicon/categories.ts';
import type { Colour } from './lexicon/colours.ts';
import type { Feature } from './lexicon/features.ts';
import type { Material, MaterialFamily } from './lexicon/materials.ts';
import type { Moment } from './lexicon/moments.ts';
import { itemAt } from '../lib/random.ts';
import type { Random } from '../lib/random.ts';
import { signOffs } from './lexicon/sign-offs.ts';

/** Everything that is true of one product. */
export interface Product {
  readonly category: Category;
  readonly kind: Kind;
  readonly family: MaterialFamily;
  readonly material: Material;
  readonly colour: Colour;
  readonly moment: Moment;
  readonly feature: Feature;
}

/** How often the usual wording of an idea is taken, then the second, the third, the fourth. */
const habit: readonly number[] = [0.7, 0.16, 0.09, 0.05];

const fillers = ['Good quality.', 'New.', 'For home use.', 'In stock.', '', ''] as const;

/**
 * What the supplier sends, in American spelling: structured attributes, then a dull description, which
 * is the only place that names the feature.
 */
export function inputOf(product: Product, random: Random): string {
  const fact = capitalise(random.pick(product.feature.dull));
  const dull = [`${fact}.`, random.pick(fillers)].filter((part) => part !== '').join(' ');
  return `${attributesOf(product)}; about: ${dull}`;
}

/** The structured part of the input. */
export function attributesOf(product: Product): string {
  const { category, kind, material, colour, moment } = product;
  return `dept: ${category.name}; kind: ${kind.supplier}; material: ${material.supplier}; color: ${colour.supplier}; for: ${moment.supplier}`;
}

/**
 * The house's text. Which wording is usual depends on the attributes (department, occasion, colour,
 * feature, material family, indoors or out) and can be learnt; whether the usual one is taken is free and cannot.
 */
export function houseTextOf(product: Product, random: Random): string {
  const { category, kind, family, material, colour, moment, feature } = product;
  const opening = wording(moment.openings, 0, random);
  const handover = wording(category.handovers, 0, random);
  const shade = wording(colour.names, 0, random);
  const benefit = wording(feature.benefits, 0, random);
  const signOff = wording(signOffs[family], category.outdoor ? 1 : 0, random);
  const thing = `${kind.house ?? kind.supplier} in ${shade} ${material.house}`;
  return `${opening}, ${handover} ${thing}. ${benefit}. ${signOff}.`;
}

function wording(choices: readonly string[], turn: number, random: Random): string {
  const weights = choices.map((_, index) => itemAt(habit, index));
  return itemAt(choices, (random.weighted(weights) + turn) % choices.length);
}

function capitalise(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}
