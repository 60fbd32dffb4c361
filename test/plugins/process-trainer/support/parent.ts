/** A worker in miniature for the orphan test: trains with these faults and says when the second step is done. */
import { train, trainerWith } from './train.ts';

const [outDir = '', ...faults] = process.argv.slice(2);
const onProgress = ({ step }: { readonly step: number }): void => {
  if (step === 2) process.stdout.write('trains\n');
};
await train(trainerWith(faults), { outDir, onProgress });
