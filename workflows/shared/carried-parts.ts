/** What a run hands to the run that continues it: small parts as they are, large ones by way of the artifact store. */
import type { ArtifactRef } from '../../schemas/common/artifact-ref.ts';
import { utf8Bytes } from '../../schemas/common/plain-text.ts';
import { control } from './control-activities.ts';

/** Largest part that travels in the history; a run has a handful of them, and all go in one call to the server. */
const MAX_INLINE_BYTES = 128 * 1024;

/** Largest part that queries are answered from: in the history, it is there before the first query. */
export const MAX_SHOWN_BYTES = 512 * 1024;

/** Text in one piece: as JSON once more, in UTF-8, it stays far under what one call takes. */
const MAX_PIECE_CHARS = 256 * 1024;

/** One part of the state. */
export type Carried<T> = { readonly value: T } | { readonly pieces: readonly ArtifactRef[] };

/** Makes a part ready for the next run. */
export async function carry<T>(value: T, maxInlineBytes = MAX_INLINE_BYTES): Promise<Carried<T>> {
  const text = JSON.stringify(value);
  if (text.length <= maxInlineBytes && utf8Bytes(text) <= maxInlineBytes) return { value };
  const pieces: ArtifactRef[] = [];
  for (let start = 0; start < text.length; start += MAX_PIECE_CHARS) {
    const { piece } = await control.keepText({ text: text.slice(start, start + MAX_PIECE_CHARS) });
    pieces.push(piece);
  }
  return { pieces };
}

/** The part as it was. Throws `ARTIFACT_MISSING` or `ARTIFACT_DAMAGED` when the store has lost a piece. */
export async function uncarry<T>(carried: Carried<T>): Promise<T> {
  if ('value' in carried) return carried.value;
  let text = '';
  for (const piece of carried.pieces) text += (await control.readText({ piece })).text;
  return JSON.parse(text) as T;
}
