import type { MaterialFamily } from './materials.ts';

/** A kind of product and the material families it is made in. */
export interface Kind {
  readonly supplier: string;
  /** The house's spelling, where it differs from the supplier's. */
  readonly house?: string;
  readonly families: readonly MaterialFamily[];
}

/** A department of the shop: its kinds and how the house hands a thing over. */
export interface Category {
  readonly name: string;
  readonly outdoor: boolean;
  readonly kinds: readonly Kind[];
  /** "…, reach for this milk pan": usual wording first. */
  readonly handovers: readonly string[];
}

const hard = ['wood', 'metal', 'clay'] as const;
const soft = ['cloth', 'woven'] as const;

/** The shop's eight departments, forty kinds. */
export const categories: readonly Category[] = [
  {
    name: 'kitchen',
    outdoor: false,
    kinds: [
      { supplier: 'milk pan', families: ['metal', 'clay'] },
      { supplier: 'bread bin', families: ['wood', 'metal', 'clay'] },
      { supplier: 'chopping board', families: ['wood'] },
      { supplier: 'spice rack', families: ['wood', 'metal'] },
      { supplier: 'mixing bowl', families: hard },
    ],
    handovers: ['reach for this', 'trust this', 'turn to this'],
  },
  {
    name: 'table',
    outdoor: false,
    kinds: [
      { supplier: 'serving tray', families: ['wood', 'metal', 'woven'] },
      { supplier: 'water jug', families: ['metal', 'clay'] },
      { supplier: 'salad bowl', families: hard },
      { supplier: 'butter dish', families: hard },
      { supplier: 'bread basket', families: soft },
    ],
    handovers: ['set out this', 'pass round this', 'begin with this'],
  },
  {
    name: 'study',
    outdoor: false,
    kinds: [
      { supplier: 'desk lamp', families: hard },
      { supplier: 'pen pot', families: ['wood', 'metal', 'clay', 'woven'] },
      { supplier: 'letter tray', families: ['wood', 'metal', 'woven'] },
      { supplier: 'book stand', families: ['wood', 'metal'] },
      { supplier: 'desk pad', families: soft },
    ],
    handovers: ['settle in beside this', 'clear a space for this', 'sit down to this'],
  },
  {
    name: 'bedroom',
    outdoor: false,
    kinds: [
      { supplier: 'bedside table', families: ['wood', 'metal'] },
      { supplier: 'bed throw', families: ['cloth'] },
      { supplier: 'night light', families: hard },
      { supplier: 'pillow cover', families: ['cloth'] },
      { supplier: 'jewelry box', house: 'jewellery box', families: ['wood', 'metal', 'woven'] },
    ],
    handovers: ['come home to this', 'wind down with this', 'nod off near this'],
  },
  {
    name: 'living room',
    outdoor: false,
    kinds: [
      { supplier: 'floor cushion', families: soft },
      { supplier: 'side table', families: ['wood', 'metal'] },
      { supplier: 'wall clock', families: hard },
      { supplier: 'photo frame', families: ['wood', 'metal', 'woven'] },
      { supplier: 'log basket', families: ['metal', 'woven', 'cloth'] },
    ],
    handovers: ['make room for this', 'gather round this', 'pull up this'],
  },
  {
    name: 'bathroom',
    outdoor: false,
    kinds: [
      { supplier: 'soap dish', families: hard },
      { supplier: 'towel rail', families: ['wood', 'metal'] },
      { supplier: 'bath mat', families: ['cloth', 'woven', 'wood'] },
      { supplier: 'wash bag', families: soft },
      { supplier: 'toothbrush cup', families: hard },
    ],
    handovers: ['look forward to this', 'step up to this', 'unwind with this'],
  },
  {
    name: 'garden',
    outdoor: true,
    kinds: [
      { supplier: 'plant pot', families: ['metal', 'clay', 'woven'] },
      { supplier: 'watering can', families: ['metal', 'clay'] },
      { supplier: 'kneeling pad', families: soft },
      { supplier: 'lantern', families: ['metal', 'clay', 'wood'] },
      { supplier: 'bird feeder', families: ['wood', 'metal', 'clay'] },
    ],
    handovers: ['carry out this', 'dig in with this', 'find a corner for this'],
  },
  {
    name: 'travel',
    outdoor: true,
    kinds: [
      { supplier: 'weekend bag', families: soft },
      { supplier: 'passport wallet', families: soft },
      { supplier: 'travel mug', families: ['metal', 'clay', 'wood'] },
      { supplier: 'luggage tag', families: ['woven', 'metal', 'cloth'] },
      { supplier: 'lunch box', families: ['wood', 'metal'] },
    ],
    handovers: ['pack this', 'bring along this', 'set off with this'],
  },
];
