/** How long texts are cut into passages; lengths in words, that is runs between white space. */
export interface ChunkOptions {
  readonly maxWords: number;
  /** Words at the end of a passage that the next one repeats, in whole sentences. */
  readonly overlapWords: number;
}

const sentences = new Intl.Segmenter('en', { granularity: 'sentence' });

const countWords = (text: string): number => text.match(/\S+/gu)?.length ?? 0;

/** Sentences of a text; one that is longer than a passage is cut into pieces. */
function pieces(text: string, maxWords: number): string[] {
  return [...sentences.segment(text)].flatMap(({ segment }) => {
    const sentence = segment.trim();
    if (sentence === '') return [];
    const words = sentence.split(/\s+/u);
    if (words.length <= maxWords) return [sentence];
    const parts = Math.ceil(words.length / maxWords);
    return Array.from({ length: parts }, (_, part) =>
      words.slice(part * maxWords, (part + 1) * maxWords).join(' '),
    );
  });
}

/** The last sentences of a passage, as many as fit into `overlapWords`. */
function tail(passage: readonly string[], overlapWords: number): string[] {
  const kept: string[] = [];
  let words = 0;
  for (const sentence of [...passage].reverse()) {
    words += countWords(sentence);
    if (words > overlapWords) break;
    kept.unshift(sentence);
  }
  // A passage that is all overlap would be repeated for ever.
  return kept.length < passage.length ? kept : [];
}

/** Cuts a text into passages of at most `maxWords` words at ends of sentences, where there are any. */
export function chunk(text: string, { maxWords, overlapWords }: ChunkOptions): string[] {
  const passages: string[] = [];
  let open: string[] = [];
  let fresh = 0;
  for (const piece of pieces(text, maxWords)) {
    const words = countWords(piece);
    if (fresh > 0 && countWords(open.join(' ')) + words > maxWords) {
      passages.push(open.join(' '));
      open = tail(open, Math.min(overlapWords, maxWords - words));
      fresh = 0;
    }
    open.push(piece);
    fresh += 1;
  }
  if (fresh > 0) passages.push(open.join(' '));
  return passages;
}
