/** A colour as the supplier writes it and the names the house gives it, usual one first. */
export interface Colour {
  readonly supplier: string;
  readonly names: readonly string[];
}

/** Eight colours, three names each. */
export const colours: readonly Colour[] = [
  { supplier: 'gray', names: ['pebble grey', 'rain-cloud grey', 'pigeon grey'] },
  { supplier: 'white', names: ['chalk white', 'snowdrop white', 'gull white'] },
  { supplier: 'green', names: ['fern green', 'pea-pod green', 'bottle green'] },
  { supplier: 'blue', names: ['cornflower blue', 'denim blue', 'enamel blue'] },
  { supplier: 'beige', names: ['oatcake beige', 'dune beige', 'biscuit beige'] },
  { supplier: 'red', names: ['brick red', 'rosehip red', 'pillar-box red'] },
  { supplier: 'yellow', names: ['mustard yellow', 'gorse yellow', 'egg-yolk yellow'] },
  { supplier: 'pink', names: ['rhubarb pink', 'foxglove pink', 'seashell pink'] },
];
