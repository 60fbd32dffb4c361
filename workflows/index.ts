/** The only bundle entry: what Temporal runs in the sandbox. */
export { adaptModel } from './adapt/adapt-model.ts';
export { trainModel } from './train/train-model.ts';
export { runPipeline } from './pipeline/run-pipeline.ts';
export { unknownWorkflow as default } from './default-workflow.ts';
