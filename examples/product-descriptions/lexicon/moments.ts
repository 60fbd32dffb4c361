/** An occasion as the supplier tags it and the moments the house opens with. */
export interface Moment {
  readonly supplier: string;
  readonly openings: readonly string[];
}

/** Eight occasions; every opening speaks to the reader. */
export const moments: readonly Moment[] = [
  moment(
    'early mornings',
    'When you are up before the birds',
    'Before your street has woken',
    'On days you beat the alarm clock',
  ),
  moment(
    'long weekends',
    'Once your Friday has finally let go',
    'When you have three days and no plan',
    'As your diary falls quiet',
  ),
  moment(
    'slow breakfasts',
    'Once your second pot is brewing',
    'When you give the toast its due',
    'On mornings you refuse to hurry',
  ),
  moment(
    'working from home',
    'When your commute is six steps',
    'Before you open the first email',
    'On days you share a chair with the cat',
  ),
  moment(
    'a first flat',
    'When you finally hold your own keys',
    'As your boxes come up the stairs',
    'Once you own more than a mattress',
  ),
  moment(
    'train journeys',
    'When you have the window seat',
    'As your platform slides away',
    'Before you reach the second tunnel',
  ),
  moment(
    'house guests',
    'When you hear the bell and smile',
    'Before your friends find the spare room',
    'On nights you lay one more place',
  ),
  moment(
    'winter evenings',
    'When you draw the curtains at four',
    'As your windows start to mist',
    'On nights you can hear the frost',
  ),
];

function moment(supplier: string, ...openings: readonly string[]): Moment {
  return { supplier, openings };
}
