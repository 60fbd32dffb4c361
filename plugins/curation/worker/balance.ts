import { EscadaFailure } from '../../sdk/contracts/failure.ts';
import type { StepContext, StepKindV1 } from '../../sdk/contracts/step-kind.ts';
import { CURATION_KINDS } from '../contract.ts';
import type { CurationOptions } from '../options.ts';
import { balanceInputSchema, balanceOutputSchema } from './balance/options.ts';
import type { BalanceInput, BalanceOutput } from './balance/options.ts';
import { ratioOf, targetsOf } from './balance/targets.ts';
import { curationStep } from './curation-step.ts';
import { openDataset, putDroppedSamples } from './dataset.ts';
import type { OpenDataset } from './dataset.ts';
import { columnOf, openMade, publishWithMade, seededPlace } from './derived.ts';
import { withDatabase } from './step-database.ts';
import type { StepDatabase } from './step-database.ts';

/** More classes than this are texts, not labels. */
const MAX_CLASSES = 1000;
const MAX_CLASSES_SHOWN = 50;
const MAX_LABEL_CHARACTERS = 80;

interface LabelClass {
  readonly label: string;
  readonly rows: number;
}

/**
 * `curate.balance@1`: classes of more equal size. Seed and content decide which rows are dropped and which are repeated.
 * Throws `DATA_NOT_LABELS` when the chosen column holds no labels, `DATA_COLUMN_MISSING` when it is not there.
 */
export function balanceKind(options: CurationOptions): StepKindV1<BalanceInput, BalanceOutput> {
  return curationStep({
    kind: CURATION_KINDS.balance,
    title: 'Balance classes',
    withSchema: balanceInputSchema,
    outputSchema: balanceOutputSchema,
    summarize: () => 'make classes of more equal size',
    doRun: (input, context) =>
      withDatabase(context, options, async (database) => {
        const source = await openDataset(database, context, input.dataset);
        return await balance(database, context, source, input);
      }),
  });
}

async function balance(
  database: StepDatabase,
  context: StepContext,
  source: OpenDataset,
  input: BalanceInput,
): Promise<BalanceOutput> {
  const classes = await findClasses(database, source, input);
  const used = classes.map((one) => one.rows).filter((rows) => rows >= input.minRowsPerClass);
  const targets = targetsOf(used, input);
  const after = classes.map((_, index) => targets[index]?.after ?? 0);
  await chooseRows(database, classes, targets);
  const dropped = await database.number('SELECT count(*) FROM dropped');
  const made = await database.number('SELECT count(*) FROM made');
  const droppedSamples = await putDroppedSamples(database, context);
  const dataset = await publishWithMade(database, context, source, 'c');
  return {
    ...{ dataset, rows: source.rows + made - dropped, dropped, droppedSamples, sizeBytes: dataset.sizeBytes },
    made,
    classes: classes.length,
    ratioBefore: ratioOf(classes.map((one) => one.rows)),
    ratioAfter: ratioOf(targets.map((target) => target.after)),
    largest: classes.slice(0, MAX_CLASSES_SHOWN).map(({ label, rows }, index) => ({
      label: [...label].slice(0, MAX_LABEL_CHARACTERS).join(''),
      before: rows,
      after: after[index] ?? 0,
      made: (targets[index]?.after ?? 0) - (targets[index]?.keep ?? 0),
    })),
  };
}

/** Makes `labelled(row, class, rank)`, ranks from 0 in each class; classes come largest first. */
async function findClasses(
  database: StepDatabase,
  source: OpenDataset,
  input: BalanceInput,
): Promise<LabelClass[]> {
  database.phase = 'counting classes';
  const column = columnOf(source, input.label);
  await database.run(
    `CREATE TABLE keyed AS SELECT row, text_key(${column}) AS label, ${seededPlace(input.seed)} AS place FROM src
     WHERE ${column} IS NOT NULL AND NOT is_blank(${column})`,
  );
  await database.run(
    `INSERT INTO dropped SELECT row, 'it has no label' FROM src ANTI JOIN keyed USING (row)`,
  );
  const classes = await database.number('SELECT count(DISTINCT label) FROM keyed');
  if (classes > MAX_CLASSES) throw notLabels(input, classes);
  await database.run(
    `CREATE TABLE classes AS SELECT (row_number() OVER (ORDER BY count(*) DESC, label) - 1)::INTEGER AS class, label,
     count(*) AS rows FROM keyed GROUP BY label`,
  );
  await database.run(
    `CREATE TABLE labelled AS SELECT row, class,
     (row_number() OVER (PARTITION BY class ORDER BY place, row) - 1)::INTEGER AS rank FROM keyed JOIN classes USING (label)`,
  );
  const rows = await database.rows('SELECT label, rows FROM classes ORDER BY class');
  return rows.map((row) => ({ label: String(row['label']), rows: Number(row['rows']) }));
}

/** Fills `dropped` and `made`. Classes come largest first, so those without a target, the too small ones, come last. */
async function chooseRows(
  database: StepDatabase,
  classes: readonly LabelClass[],
  targets: readonly { readonly keep: number; readonly after: number }[],
): Promise<void> {
  database.phase = 'choosing rows';
  await database.run('CREATE TABLE targets (class INTEGER, keep INTEGER, target INTEGER)');
  const appender = await database.appender('targets');
  for (const index of classes.keys()) {
    appender.appendInteger(index);
    appender.appendInteger(targets[index]?.keep ?? 0);
    appender.appendInteger(targets[index]?.after ?? 0);
    appender.endRow();
  }
  appender.closeSync();
  await database.run(
    `INSERT INTO dropped SELECT row, 'class "' || left(label, ${MAX_LABEL_CHARACTERS}) || '" has ' || rows || ' rows, '
       || CASE keep WHEN 0 THEN 'too few' ELSE keep || ' are kept' END
     FROM labelled JOIN targets USING (class) JOIN classes USING (class) WHERE rank >= keep`,
  );
  await openMade(database);
  await database.run(
    `INSERT INTO made SELECT row, unnest(range(1, target // rows + (rank < target % rows)::INTEGER))::INTEGER, NULL
     FROM labelled JOIN targets USING (class) JOIN classes USING (class) WHERE target > rows`,
  );
}

function notLabels({ label }: BalanceInput, classes: number): EscadaFailure {
  const message = `The ${label} holds ${classes} different texts; at most ${MAX_CLASSES} are taken for labels. Choose another column with "label" (output, group or category), or leave the step out.`;
  return new EscadaFailure({ code: 'DATA_NOT_LABELS', message, fields: { label, classes } });
}
