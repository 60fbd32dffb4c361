export { literal } from '../../schemas/pipeline/references.ts';
