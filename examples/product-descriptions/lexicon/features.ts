import type { MaterialFamily } from './materials.ts';

/** What a product can do: in the supplier's dull words and as the house tells it. */
export interface Feature {
  readonly name: string;
  readonly families: readonly MaterialFamily[];
  /** Departments it makes sense in; all of them where absent. */
  readonly categories?: readonly string[];
  readonly dull: readonly string[];
  readonly told: readonly string[];
}

const any: readonly MaterialFamily[] = ['wood', 'metal', 'clay', 'cloth', 'woven'];
const hard: readonly MaterialFamily[] = ['wood', 'metal', 'clay'];
const soft: readonly MaterialFamily[] = ['cloth', 'woven'];

/** Twenty-four features; the usual telling comes first. */
export const features: readonly Feature[] = [
  {
    name: 'folds',
    families: ['wood', 'metal', 'cloth', 'woven'],
    dull: ['folds flat', 'foldable', 'can be folded'],
    told: [
      'It slips behind a door when asked',
      'Tuck it away and the room is yours',
      'One push and it is thin as a book',
    ],
  },
  {
    name: 'stacks',
    families: hard,
    dull: ['stackable', 'stacks with others', 'can be stacked'],
    told: [
      'A second one sits neatly on top',
      'Several make a tidy tower',
      'It shares a shelf without grumbling',
    ],
  },
  {
    name: 'washes',
    families: ['cloth'],
    dull: ['machine washable', 'washes at 40', 'can go in the washer'],
    told: [
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
    told: [
      'Nobody has to stand at the sink',
      'The top rack treats it kindly',
      'Supper clears itself while you sit',
    ],
  },
  {
    name: 'hangs',
    families: any,
    dull: ['has a hanging loop', 'can be hung up', 'loop to hang it'],
    told: ['Any old nail will hold it', 'It waits on a peg until wanted', 'Walls turn into storage for once'],
  },
  {
    name: 'non-slip',
    families: any,
    categories: ['kitchen', 'table', 'study', 'bathroom', 'hallway', 'garden'],
    dull: ['non-slip base', 'anti-slip bottom', 'does not slip'],
    told: [
      'It stays put through wild gestures',
      'Elbows and kittens cannot shift it',
      'Where it lands, it remains',
    ],
  },
  {
    name: 'lid',
    families: ['wood', 'metal', 'clay', 'woven'],
    categories: ['kitchen', 'table', 'bathroom', 'laundry', 'travel', 'bedroom'],
    dull: ['soft-close lid', 'lid closes softly', 'slow closing lid'],
    told: [
      'The top comes down like a whisper',
      'Not even the baby hears it shut',
      'It never snaps at fingers',
    ],
  },
  {
    name: 'rechargeable',
    families: ['wood', 'metal', 'clay'],
    categories: ['study', 'bedroom', 'living room', 'garden'],
    dull: ['with rechargeable light', 'light charges by USB', 'built-in USB light'],
    told: [
      'Its small glow lasts a whole week',
      'There is no flex to trip over',
      'It borrows an hour and shines for days',
    ],
  },
  {
    name: 'refillable',
    families: ['clay', 'metal'],
    categories: ['kitchen', 'table', 'bathroom', 'garden'],
    dull: ['refillable', 'can be refilled', 'refills available'],
    told: ['Top it up instead of throwing it out', 'Empty is never the end of it', 'The bin goes hungry'],
  },
  {
    name: 'spares',
    families: any,
    dull: ['spare parts available', 'parts can be replaced', 'replacement parts sold'],
    told: [
      'We keep every screw and stitch in stock',
      'Should a piece fail, we post another',
      'Nothing on it is beyond repair',
    ],
  },
  {
    name: 'drawer',
    families: any,
    dull: ['fits in a drawer', 'small size', 'compact'],
    told: [
      'It takes no more room than a paperback',
      'Even the narrowest flat has a place for it',
      'Small spaces take to it at once',
    ],
  },
  {
    name: 'hand finished',
    families: any,
    dull: ['hand finished', 'finished by hand', 'handmade finish'],
    told: [
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
    told: [
      'A secret place keeps your keys',
      'Tickets vanish safely inside',
      'There is a nook for what matters',
    ],
  },
  {
    name: 'drains',
    families: ['wood', 'metal', 'clay'],
    categories: ['kitchen', 'bathroom', 'garden', 'hallway'],
    dull: ['has drain holes', 'water drains off', 'drainage holes'],
    told: ['Puddles find their own way out', 'It is dry again by teatime', 'Damp never gets a foothold'],
  },
  {
    name: 'airtight',
    families: ['wood', 'metal', 'clay'],
    categories: ['kitchen', 'table', 'travel', 'laundry'],
    dull: ['airtight seal', 'seals airtight', 'has rubber seal'],
    told: [
      'What goes in stays fresh as gossip',
      'Stale is a word it never learnt',
      'The weather is kept firmly outside',
    ],
  },
  {
    name: 'magnet',
    families: any,
    categories: ['study', 'bedroom', 'travel', 'laundry', 'bathroom'],
    dull: ['magnetic clasp', 'closes by magnet', 'magnet closure'],
    told: [
      'It shuts with a click you will love',
      'One hand is all it wants',
      'The two halves find each other',
    ],
  },
  {
    name: 'adjusts',
    families: ['wood', 'metal'],
    categories: ['study', 'bedroom', 'living room', 'laundry', 'bathroom', 'hallway'],
    dull: ['adjustable height', 'height can be changed', 'three heights'],
    told: [
      'It rises to meet the tall and the tiny',
      'Raise it, lower it, call it done',
      'Your back will send its thanks',
    ],
  },
  {
    name: 'rainproof',
    families: any,
    dull: ['rainproof', 'water resistant', 'resists rain'],
    told: [
      'Showers roll off like idle remarks',
      'Leave it out and sleep soundly',
      'Wet Tuesdays do not trouble it',
    ],
  },
  {
    name: 'light',
    families: any,
    dull: ['very light', 'lightweight', 'low weight'],
    told: [
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
    told: [
      'It stands firm on the wonkiest floor',
      'Nothing short of a dance tips it',
      'Low and solid, like a good aunt',
    ],
  },
  {
    name: 'rounded',
    families: hard,
    dull: ['rounded edges', 'no sharp corners', 'round corners'],
    told: [
      'Hips and toddlers pass unharmed',
      'There is not a bruise in it',
      'Every corner has been calmed down',
    ],
  },
  {
    name: 'lining',
    families: soft,
    categories: ['travel', 'bathroom', 'laundry', 'living room', 'table'],
    dull: ['removable lining', 'lining comes out', 'lining can be removed'],
    told: [
      'Its inner layer lifts out for a rinse',
      'Turn it inside out and begin again',
      'Crumbs have nowhere to hide',
    ],
  },
  {
    name: 'set',
    families: any,
    dull: ['set of two', 'comes as a pair', '2 pieces'],
    told: [
      'Its twin comes along for a friend',
      'You get one to keep and one to lend',
      'They arrive as company for each other',
    ],
  },
  {
    name: 'gift box',
    families: any,
    dull: ['in gift box', 'comes gift boxed', 'gift packaging'],
    told: [
      'It comes dressed for a birthday',
      'Ribbon and tissue are already done',
      'All that is missing is a name',
    ],
  },
];
