/** A fact that a question can ask for: its wordings in a description, and the wordings of its questions. */
export interface Fact {
  readonly name: string;
  readonly values: readonly string[];
  /** Sentences of a description; `{it}` is the product's kind, `{value}` the fact. */
  readonly statements: readonly string[];
  /** Questions; `{name}` is the product. */
  readonly asked: readonly string[];
}

const each = (from: number, to: number, step: number, unit: string): string[] =>
  Array.from(
    { length: Math.floor((to - from) / step) + 1 },
    (_, i) => `${+(from + i * step).toFixed(1)} ${unit}`,
  );

/** Facts that any product has. An answer is the value, word for word as in the description. */
export const FACTS: readonly Fact[] = [
  {
    name: 'weight',
    values: each(310, 1970, 20, 'grams'),
    statements: [
      'The {it} weighs {value}.',
      'It weighs {value} on the scales.',
      'At {value}, the {it} is easy to carry.',
    ],
    asked: ['How much does the {name} weigh?', 'What is the weight of the {name}?'],
  },
  {
    name: 'town',
    values: [
      'Lugo',
      'Tartu',
      'Ghent',
      'Bergen',
      'Leiden',
      'Graz',
      'Turku',
      'Malaga',
      'Trieste',
      'Gdansk',
      'Nantes',
      'Odense',
    ],
    statements: [
      'The {it} is made in {value}.',
      'A small workshop in {value} makes it.',
      'It comes from a workshop in {value}.',
    ],
    asked: ['Where is the {name} made?', 'In which town is the {name} made?'],
  },
  {
    name: 'designer',
    values: [
      'Ida Brandt',
      'Tomas Reyes',
      'Greta Lindholm',
      'Paolo Ferri',
      'Nora Whitfield',
      'Emil Novak',
      'Clara Duarte',
      'Oskar Lehtinen',
    ],
    statements: ['The {it} was designed by {value}.', '{value} designed it.', 'Its designer is {value}.'],
    asked: ['Who designed the {name}?', 'Who is the designer of the {name}?'],
  },
  {
    name: 'year',
    values: Array.from({ length: 45 }, (_, index) => `${1951 + index}`),
    statements: [
      'The {it} was first sold in {value}.',
      'It has been in our shop since {value}.',
      'We first sold it in {value}.',
    ],
    asked: ['In which year was the {name} first sold?', 'Since when has the {name} been in the shop?'],
  },
  {
    name: 'material',
    values: [
      'walnut',
      'brass',
      'stoneware',
      'bamboo',
      'pewter',
      'larch',
      'granite',
      'copper',
      'cork',
      'slate',
    ],
    statements: [
      'Its body is made of {value}.',
      'The {it} is built from {value}.',
      'The main material is {value}.',
    ],
    asked: ['Which material is the {name} made of?', 'What is the {name} built from?'],
  },
];

/** Sentences that hold nothing one could ask for. */
export const FILLERS: readonly string[] = [
  'It fits into any kitchen cupboard.',
  'Wash it by hand and dry it with a soft cloth.',
  'Many of our customers buy a second one as a gift.',
  'The box can be folded and used again.',
  'Spare parts are in stock.',
  'Keep it away from open fire.',
  'It has been part of our range for years.',
  'The instructions come in four languages.',
];

export const KINDS: readonly string[] = [
  'kettle',
  'lamp',
  'clock',
  'scale',
  'grinder',
  'radio',
  'fan',
  'toaster',
  'lantern',
  'stool',
  'tray',
  'mixer',
];

const HEADS = [
  'Vel',
  'Bran',
  'Tor',
  'Lum',
  'Quin',
  'Mar',
  'Osk',
  'Fen',
  'Dra',
  'Pel',
  'Gri',
  'Zan',
  'Hol',
  'Wex',
];
const TAILS = ['mora', 'dle', 'vik', 'essa', 'tano', 'lund', 'wick', 'aro', 'bell', 'quist', 'nea', 'dorf'];

/** Names that no shop uses, so that no model can have read about them. */
export const NAMES: readonly string[] = HEADS.flatMap((head) => TAILS.map((tail) => `${head}${tail}`));
