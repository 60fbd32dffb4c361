/** A colour as the supplier writes it and the names the house gives it, usual one first. */
export interface Colour {
  readonly supplier: string;
  readonly warm: boolean;
  readonly names: readonly string[];
}

/** Sixteen colours; warm ones and cool ones favour different openings (see describe.ts). */
export const colours: readonly Colour[] = [
  { supplier: 'gray', warm: false, names: ['pebble grey', 'rain-cloud grey', 'pigeon grey'] },
  { supplier: 'black', warm: false, names: ['soot black', 'liquorice black', 'stove black'] },
  { supplier: 'white', warm: false, names: ['chalk white', 'snowdrop white', 'gull white'] },
  { supplier: 'silver', warm: false, names: ['herring silver', 'frosted silver', 'spoon silver'] },
  { supplier: 'green', warm: false, names: ['fern green', 'pea-pod green', 'bottle green'] },
  { supplier: 'teal', warm: false, names: ['mallard teal', 'harbour teal', 'rockpool teal'] },
  { supplier: 'blue', warm: false, names: ['cornflower blue', 'denim blue', 'enamel blue'] },
  { supplier: 'navy', warm: false, names: ['midnight navy', 'guernsey navy', 'inkwell navy'] },
  { supplier: 'cream', warm: true, names: ['clotted cream', 'candle cream', 'old-paper cream'] },
  { supplier: 'beige', warm: true, names: ['oatcake beige', 'dune beige', 'biscuit beige'] },
  { supplier: 'brown', warm: true, names: ['conker brown', 'toast brown', 'bracken brown'] },
  { supplier: 'red', warm: true, names: ['brick red', 'rosehip red', 'pillar-box red'] },
  { supplier: 'orange', warm: true, names: ['marmalade orange', 'ember orange', 'fox orange'] },
  { supplier: 'yellow', warm: true, names: ['mustard yellow', 'gorse yellow', 'egg-yolk yellow'] },
  { supplier: 'pink', warm: true, names: ['rhubarb pink', 'foxglove pink', 'seashell pink'] },
  { supplier: 'purple', warm: true, names: ['damson purple', 'heather purple', 'beetroot purple'] },
];
