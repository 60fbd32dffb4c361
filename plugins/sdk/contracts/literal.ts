export { literal } from '../../../schemas/plan/references.ts';
