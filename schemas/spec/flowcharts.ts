/** Flowcharts as data. Pure constants. */
import type { Flowchart, FlowchartNode } from './flowchart.ts';

/** Asks whether the target is met, and if so ends. */
const enough = (no: string): FlowchartNode => ({
  form: 'ask',
  title: 'Is the target met, on the corrected lower bound?',
  all: [{ fact: 'best.low', op: '>=', value: { fact: 'target' } }],
  yes: 'target-met',
  no,
});

/** Asks whether a rung may be climbed and whether the budget covers it; an ineligible rung is passed over. */
const worth = (rung: string, yes: string, skip: string): Record<string, FlowchartNode> => ({
  [`${rung}-eligible`]: {
    form: 'ask',
    title: `Does the profile allow ${rung}?`,
    all: [{ fact: `rungs.${rung}.eligible`, op: '==', value: true }],
    yes: `${rung}-affordable`,
    no: skip,
  },
  [`${rung}-affordable`]: {
    form: 'ask',
    title: `Does the budget cover ${rung}?`,
    all: [{ fact: 'budget.secondsLeft', op: '>=', value: { fact: `rungs.${rung}.estimateSeconds` } }],
    yes,
    no: 'budget-exhausted',
  },
});

/**
 * The order of Meta's guide to adapting language models: prompt first, show examples, look facts up, tune weights last, and stop
 * as soon as the target is met.
 */
export const STANDARD_FLOWCHART: Flowchart = {
  name: 'standard',
  start: 'try-zero-shot',
  nodes: {
    'try-zero-shot': {
      form: 'try',
      title: 'Ask with instructions only',
      rung: 'zero-shot',
      next: 'zero-shot-enough',
    },
    'zero-shot-enough': enough('icl-eligible'),
    ...worth('icl', 'try-icl', 'rag-eligible'),
    'try-icl': { form: 'try', title: 'Show examples in the prompt', rung: 'icl', next: 'icl-enough' },
    'icl-enough': enough('rag-eligible'),
    ...worth('rag', 'try-rag', 'peft-eligible'),
    'try-rag': {
      form: 'try',
      title: 'Look facts up and put them in the prompt',
      rung: 'rag',
      next: 'rag-enough',
    },
    'rag-enough': enough('peft-eligible'),
    ...worth('peft', 'try-peft', 'target-not-met'),
    'try-peft': { form: 'try', title: 'Tune adapters (QLoRA)', rung: 'peft', next: 'peft-enough' },
    'peft-enough': enough('target-not-met'),
    'target-met': { form: 'end', title: 'Target met', verdict: 'target-met' },
    'target-not-met': { form: 'end', title: 'Every eligible rung was climbed', verdict: 'target-not-met' },
    'budget-exhausted': {
      form: 'end',
      title: 'The budget covers no further rung',
      verdict: 'budget-exhausted',
    },
  },
};
