/** What a thing is made of decides how the house says goodbye (see sign-offs.ts). */
export type MaterialFamily = 'wood' | 'metal' | 'clay' | 'cloth' | 'woven';

/** Supplier's word and the house's spelling, where the two differ. */
export interface Material {
  readonly supplier: string;
  readonly house: string;
}

/** Materials by family. */
export const materials: Readonly<Record<MaterialFamily, readonly Material[]>> = {
  wood: same('oak', 'walnut', 'beech'),
  metal: [...same('brass', 'steel'), { supplier: 'aluminum', house: 'aluminium' }],
  clay: same('stoneware', 'porcelain', 'glass'),
  cloth: same('linen', 'wool', 'canvas'),
  woven: same('leather', 'cork', 'willow'),
};

function same(...names: readonly string[]): readonly Material[] {
  return names.map((name) => ({ supplier: name, house: name }));
}
