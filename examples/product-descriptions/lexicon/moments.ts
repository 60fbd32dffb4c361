/** An occasion as the supplier tags it and the moments the house opens with. */
export interface Moment {
  readonly supplier: string;
  readonly openings: readonly string[];
}

/** Sixteen occasions; every opening speaks to the reader. */
export const moments: readonly Moment[] = [
  moment(
    'early mornings',
    'When you are up before the birds',
    'Before your street has woken',
    'On days you beat the alarm clock',
  ),
  moment(
    'late reading',
    'When you promise yourself one more chapter',
    'After your last page but ten',
    'On nights you read past all sense',
  ),
  moment(
    'long weekends',
    'Once your Friday has finally let go',
    'When you have three days and no plan',
    'As your diary falls quiet',
  ),
  moment(
    'rainy walks',
    'When you come in soaked and happy',
    'After your coat has had enough',
    'On days you go out regardless',
  ),
  moment(
    'slow breakfasts',
    'Once your second pot is brewing',
    'When you give the toast its due',
    'On mornings you refuse to hurry',
  ),
  moment(
    'busy weeknights',
    'When you have a hungry crowd to feed',
    'After your day has run long',
    'On evenings you cook from memory',
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
    'garden suppers',
    'When you eat by the last of the light',
    'Once your table has moved outdoors',
    'On evenings you let the swifts talk',
  ),
  moment(
    'train journeys',
    'When you have the window seat',
    'As your platform slides away',
    'Before you reach the second tunnel',
  ),
  moment(
    'weekend baking',
    'When you have flour to the elbows',
    'While your dough takes its time',
    'On Sundays you measure by eye',
  ),
  moment(
    'house guests',
    'When you hear the bell and smile',
    'Before your friends find the spare room',
    'On nights you lay one more place',
  ),
  moment(
    'bath nights',
    'When you lock the door and run the taps',
    'After your worries have drained away',
    'Once you are pink to the ears',
  ),
  moment(
    'winter evenings',
    'When you draw the curtains at four',
    'As your windows start to mist',
    'On nights you can hear the frost',
  ),
  moment(
    'market days',
    'When you go for bread and stay for gossip',
    'Before your favourite stall sells out',
    'On Saturdays you carry home too much',
  ),
  moment(
    'school runs',
    'When you have one shoe and no time',
    'Before your gate swings shut at nine',
    'On mornings you count heads twice',
  ),
];

function moment(supplier: string, ...openings: readonly string[]): Moment {
  return { supplier, openings };
}
