import type { NormaliseOutputInput } from './options.ts';

const NEWLINE = String.raw`\r\n|[\r\x{85}\x{2028}\x{2029}]`;
const BLANK = String.raw`[\t\x0b\x0c\p{Zs}]`;
/** One block and nothing around it; its opening line may name a language. */
const ONE_BLOCK = '(?s)^\\s*```[^\\n`]*\\n(.*?)\\n?```\\s*$';

/** Typographic signs by what they are typed as. */
const TYPED: readonly (readonly [string, string])[] = [
  [String.raw`[\x{2018}\x{2019}\x{201a}\x{2032}]`, "''"],
  [String.raw`[\x{201c}\x{201d}\x{201e}\x{2033}]`, '"'],
  [String.raw`[\x{2010}-\x{2015}\x{2212}]`, '-'],
  [String.raw`\x{2026}`, '...'],
  [String.raw`[\x{a0}\x{2007}\x{202f}]`, ' '],
];

const replace = (text: string, pattern: string, by: string): string =>
  `regexp_replace(${text}, '${pattern}', ${by}, 'g')`;

interface Stage {
  readonly name:
    'lineEnds' | 'unicode' | 'punctuation' | 'trailingSpaces' | 'codeFences' | 'blankLines' | 'edges';
  /** SQL for the text after the stage. */
  readonly sql: (text: string, options: NormaliseOutputInput) => string;
}

/** The rules in the order in which they are applied. Applying all of them again changes nothing. */
export const OUTPUT_STAGES: readonly Stage[] = [
  { name: 'lineEnds', sql: (text) => replace(text, NEWLINE, 'chr(10)') },
  { name: 'unicode', sql: (text, { unicode }) => (unicode === 'nfc' ? `nfc_normalize(${text})` : text) },
  {
    name: 'punctuation',
    sql: (text, { punctuation }) =>
      punctuation === 'keep'
        ? text
        : TYPED.reduce((inner, [signs, typed]) => replace(inner, signs, `'${typed}'`), text),
  },
  {
    name: 'trailingSpaces',
    sql: (text) => replace(text, `${BLANK}+(\\n|$)`, String.raw`'\1'`),
  },
  { name: 'codeFences', sql: (text, { codeFences }) => (codeFences === 'unwrap' ? unwrapped(text) : text) },
  {
    name: 'blankLines',
    // Inside a fenced block blank lines belong to the code.
    sql: (text, { maxBlankLines }) =>
      `CASE WHEN contains(${text}, '\`\`\`') THEN ${text}
       ELSE ${replace(text, `\\n{${maxBlankLines + 2},}`, `repeat(chr(10), ${maxBlankLines + 1})`)} END`,
  },
  {
    name: 'edges',
    sql: (text, { finalNewline }) => {
      const plain = replace(text, String.raw`^\n+|\s+$`, "''");
      return finalNewline === 'none' ? plain : `${plain} || chr(10)`;
    },
  },
];

function unwrapped(text: string): string {
  // Three parts: the two fences of one block.
  const alone = `regexp_matches(${text}, '${ONE_BLOCK}') AND len(string_split(${text}, '\`\`\`')) = 3`;
  return `CASE WHEN ${alone} THEN regexp_replace(${text}, '${ONE_BLOCK}', '\\1') ELSE ${text} END`;
}

/** SQL for the output after the first `stages` rules. */
export function normalisedOutput(options: NormaliseOutputInput, stages = OUTPUT_STAGES.length): string {
  return OUTPUT_STAGES.slice(0, stages).reduce((text, stage) => stage.sql(text, options), 'output');
}

/** SQL for the form of a text, one of `OUTPUT_FORMATS`. */
export function formatOf(text: string): string {
  const item = String.raw`(?:[-*\x{2022}]|\d{1,3}[.)])[ \t]+[^\n]+`;
  return `CASE WHEN regexp_matches(${text}, '^\\s*[{\\[]') AND json_valid(${text}) THEN 'json'
    WHEN contains(${text}, '\`\`\`') THEN 'code'
    WHEN regexp_full_match(${text}, '\\s*${item}(?:\\n+[ \\t]*${item})+\\s*') THEN 'list'
    WHEN contains(trim(${text}, chr(10)), chr(10)) THEN 'lines'
    WHEN regexp_matches(${text}, '[.!?\\x{2026}\\x{3002}\\x{ff01}\\x{ff1f}][\\p{Pe}\\p{Pf}"\\x27]*\\s*$') THEN 'sentence'
    ELSE 'phrase' END`;
}
