/** How long texts are cut into passages; lengths in words, that is runs between white space. */
export interface ChunkOptions {
  readonly maxWords: number;
  /** Words at the end of a passage that the next one repeats, in whole sentences. */
  readonly overlapWords: number;
}

const sentences = new Intl.Segmenter('en', { granularity: 'sentence' });

const countWords = (text: string): number => text.match(/\S+/gu)?.length ?? 0;

/** Sentences of a text; one that is longer than a passage is cut into pieces. */
function* pieces(text: string, maxWords: number): Generator<string> {
  for (const { segment } of sentences.segment(text)) {
    const sentence = segment.trim();
    if (sentence === '') continue;
    const words = sentence.split(/\s+/u);
    if (words.length <= maxWords) yield sentence;
    else
      for (let from = 0; from < words.length; from += maxWords)
        yield words.slice(from, from + maxWords).join(' ');
  }
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
  // A passage that is all overlap would be repeated without end.
  return kept.length < passage.length ? kept : [];
}

/**
 * Cuts a text into passages of at most `maxWords` words at ends of sentences, where there are any; one by one, since a text
 * may be a whole book.
 */
export function* chunks(text: string, { maxWords, overlapWords }: ChunkOptions): Generator<string> {
  let open: string[] = [];
  let openWords = 0;
  let fresh = 0;
  for (const piece of pieces(text, maxWords)) {
    const words = countWords(piece);
    if (fresh > 0 && openWords + words > maxWords) {
      yield open.join(' ');
      open = tail(open, Math.min(overlapWords, maxWords - words));
      openWords = open.reduce((sum, sentence) => sum + countWords(sentence), 0);
      fresh = 0;
    }
    open.push(piece);
    openWords += words;
    fresh += 1;
  }
  if (fresh > 0) yield open.join(' ');
}
