import type { MaterialFamily } from './materials.ts';

/** What a product can do: the supplier's dull words, and the benefit in the house's wordings. */
export interface Feature {
  readonly name: string;
  readonly families: readonly MaterialFamily[];
  /** Departments it makes sense in; all of them where absent. */
  readonly categories?: readonly string[];
  readonly dull: readonly string[];
  readonly benefits: readonly string[];
}

const any: readonly MaterialFamily[] = ['wood', 'metal', 'clay', 'cloth', 'woven'];
const hard: readonly MaterialFamily[] = ['wood', 'metal', 'clay'];
const soft: readonly MaterialFamily[] = ['cloth', 'woven'];

/** Twelve features; the usual wording comes first. */
export const features: readonly Feature[] = [
  {
    name: 'folds',
    families: ['wood', 'metal', 'cloth', 'woven'],
    dull: ['folds flat', 'foldable', 'can be folded'],
    benefits: [
      'It slips behind a door when asked',
      'Tuck it away and the room is yours',
      'One push and it is thin as a book',
    ],
  },
  {
    name: 'stacks',
    families: hard,
    dull: ['stackable', 'stacks with others', 'can be stacked'],
    benefits: [
      'A second one sits neatly on top',
      'Several make a tidy tower',
      'It shares a shelf without grumbling',
    ],
  },
  {
    name: 'washes',
    families: ['cloth'],
    dull: ['machine washable', 'washes at 40', 'can go in the washer'],
    benefits: [
      'Spills are only a cycle away from gone',
      'The drum holds no fear for it',
      'Muddy paws may do their worst',
    ],
  },
  {
    name: 'dishwasher',
    families: ['metal', 'clay'],
    categories: ['kitchen', 'table', 'bathroom', 'travel'],
    dull: ['dishwasher safe', 'ok in dishwasher', 'dishwasher proof'],
    benefits: [
      'Nobody has to stand at the sink',
      'The top rack treats it kindly',
      'Supper clears itself while you sit',
    ],
  },
  {
    name: 'non-slip',
    families: any,
    categories: ['kitchen', 'table', 'study', 'bathroom', 'hallway', 'garden'],
    dull: ['non-slip base', 'anti-slip bottom', 'does not slip'],
    benefits: [
      'It stays put through wild gestures',
      'Elbows and kittens cannot shift it',
      'Where it lands, it remains',
    ],
  },
  {
    name: 'spares',
    families: any,
    dull: ['spare parts available', 'parts can be replaced', 'replacement parts sold'],
    benefits: [
      'We keep every screw and stitch in stock',
      'Should a piece fail, we post another',
      'Nothing on it is beyond repair',
    ],
  },
  {
    name: 'drawer',
    families: any,
    dull: ['fits in a drawer', 'small size', 'compact'],
    benefits: [
      'It takes no more room than a paperback',
      'Even the narrowest flat has a place for it',
      'Small spaces take to it at once',
    ],
  },
  {
    name: 'hand finished',
    families: any,
    dull: ['hand finished', 'finished by hand', 'handmade finish'],
    benefits: [
      'No two leave the bench alike',
      'Someone called Joan checked every edge',
      'You can see where the maker paused',
    ],
  },
  {
    name: 'pocket',
    families: soft,
    categories: ['travel', 'bathroom', 'laundry', 'living room', 'study'],
    dull: ['inside pocket', 'has hidden pocket', 'extra pocket inside'],
    benefits: [
      'A secret place keeps your keys',
      'Tickets vanish safely inside',
      'There is a nook for what matters',
    ],
  },
  {
    name: 'light',
    families: any,
    dull: ['very light', 'lightweight', 'low weight'],
    benefits: [
      'You will forget you are holding it',
      'A child could carry two',
      'It weighs about as much as a pear',
    ],
  },
  {
    name: 'steady',
    families: hard,
    categories: ['study', 'bedroom', 'living room', 'hallway', 'garden', 'kitchen'],
    dull: ['heavy base', 'weighted base', 'stable base'],
    benefits: [
      'It stands firm on the wonkiest floor',
      'Nothing short of a dance tips it',
      'Low and solid, like a good aunt',
    ],
  },
  {
    name: 'gift box',
    families: any,
    dull: ['in gift box', 'comes gift boxed', 'gift packaging'],
    benefits: [
      'It comes dressed for a birthday',
      'Ribbon and tissue are already done',
      'All that is missing is a name',
    ],
  },
];
