import type { MaterialFamily } from './materials.ts';

/** Short last sentences by material family. */
export const signOffs: Readonly<Record<MaterialFamily, readonly string[]>> = {
  wood: ['Oil it once a year', 'Grown slowly, made slowly', 'Scratches only add to it', 'It ages as you do'],
  metal: ['Polish it, or never', 'Dents are welcome', 'Made to be handed down', 'It keeps its nerve'],
  clay: ['Fired twice, used daily', 'Chips tell stories', 'Straight from our kiln', 'Shaped on a slow wheel'],
  cloth: ['Softer every wash', 'Creases are allowed', 'Mended free, for good', 'Spun not far from here'],
  woven: [
    'It wears in, never out',
    'Better at ten than one',
    'Tough as old friends',
    'Left to dry in the sun',
  ],
};
