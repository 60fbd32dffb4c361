import type { Charts } from '../charts/index.ts';
import { profileTables, samplingNote } from '../profile.ts';
import type { ReportData } from '../report-data.ts';
import { markup, table, userText, type Html } from './markup.ts';
import { figure } from './sections.ts';

/** What the rows look like: classes and lengths of every split. Null where no step computed it. */
export function profileSection({ profile }: ReportData, { profile: picture }: Charts): Html | null {
  const tables = profileTables(profile).map(({ title, head, rows }) =>
    table(
      title,
      head,
      rows.map(([name = '', ...numbers]) => [userText(name, 80), ...numbers]),
    ),
  );
  if (tables.length === 0) return null;
  const caption =
    profile.splits?.train.classes == null
      ? 'Lengths of inputs and outputs: the bar holds the middle 80 % of the rows, the mark is the median.'
      : 'How often each class occurs in each split.';
  const note = samplingNote(profile);
  return markup`<h2>Profile of the data</h2>
    ${picture === null ? null : figure(picture, caption)} ${tables}
    ${note === null ? null : markup`<p class="muted">${note}</p>`}`;
}
