/** HTML that cannot be broken out of: a value in a template is escaped unless it is HTML itself. */
import { shown } from '../text.ts';

/** Text made safe for HTML, in content and in quoted attributes. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** Markup that is known to be safe: made by `markup`, or a picture that we drew. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

type Part = Html | string | number | null | readonly (Html | string)[];

function render(part: Part): string {
  if (part === null) return '';
  if (part instanceof Html) return part.text;
  if (typeof part === 'object') return part.map(render).join('');
  return escapeHtml(shown(String(part), Infinity));
}

/** A template whose values are escaped, except for those that are `Html`; null gives nothing, lists are joined. */
export function markup(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  return new Html(
    strings.map((text, at) => text + (at < parts.length ? render(parts[at] ?? null) : '')).join(''),
  );
}

/** Text of a user: cut where it is endless, isolated so that its direction does not spread. */
export function userText(text: string, limit?: number): Html {
  return markup`<bdi>${shown(text, limit)}</bdi>`;
}

export type Cell = Html | string | number;

/** Columns of numbers have figures of equal width; the first cell of a row names the row. */
export function table(caption: string, head: readonly string[], rows: readonly (readonly Cell[])[]): Html {
  const cells = head.map((text) => markup`<th scope="col">${text}</th>`);
  const body = rows.map(([first, ...others]) => {
    const rest = others.map((cell) => markup`<td>${cell}</td>`);
    return markup`<tr>
      <th scope="row">${first ?? ''}</th>
      ${rest}
    </tr> `;
  });
  // A box that scrolls must be reachable with the keyboard.
  return markup`<div class="scroll" tabindex="0" role="region" aria-label="${caption}">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${cells}
        </tr>
      </thead>
      <tbody>
        ${body}
      </tbody>
    </table>
  </div>`;
}

/** Names and values, below each other on a phone. */
export function facts(entries: readonly (readonly [string, Cell])[]): Html {
  const rows = entries.map(
    ([name, value]) =>
      markup`<div>
        <dt>${name}</dt>
        <dd>${value}</dd>
      </div>`,
  );
  return markup`<dl class="facts">${rows}</dl>`;
}
