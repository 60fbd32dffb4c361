/** The file of vectors that the engine writes: safetensors with `embeddings [rows, C] f32` and `tokens [rows] u32`. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { EscadaFailure } from '../../sdk/contracts/failure.ts';

/** One vector a row, and the tokens it was made of. */
export interface EmbeddingRows {
  readonly embeddings: readonly Float32Array[];
  readonly tokens: readonly number[];
}

/** Bytes of the length in front of the header. */
const LENGTH_BYTES = 8;
const VALUE_BYTES = 4;

const count = z.int().nonnegative();

function tensor<D extends 'F32' | 'U32', S extends z.ZodType>(
  dtype: D,
  shape: S,
): z.ZodObject<{ dtype: z.ZodLiteral<D>; shape: S; data_offsets: z.ZodTuple<[z.ZodInt, z.ZodInt]> }> {
  return z.object({ dtype: z.literal(dtype), shape, data_offsets: z.tuple([count, count]) });
}

const headerSchema = z.object({
  embeddings: tensor('F32', z.tuple([count, count])),
  tokens: tensor('U32', z.tuple([count])),
});

/** Reads a file of vectors. Throws `ENGINE_IO` when it is not one of `rows` rows. */
export async function readEmbeddings(path: string, rows: number): Promise<EmbeddingRows> {
  const file = await readFile(path);
  const { header, data } = parts(path, file);
  const [vectors, width] = header.embeddings.shape;
  if (vectors !== rows || header.tokens.shape[0] !== rows)
    throw unreadable(path, `it holds ${vectors} vectors for ${rows} texts`);
  // A copy of each tensor: a view needs an aligned start.
  const bytesOf = (name: keyof typeof header, values: number): ArrayBuffer => {
    const [from, to] = header[name].data_offsets;
    if (to - from !== values * VALUE_BYTES || to > data.byteLength)
      throw unreadable(path, `tensor ${name} ends elsewhere`);
    return Uint8Array.from(data.subarray(from, to)).buffer;
  };
  const values = new Float32Array(bytesOf('embeddings', rows * width));
  return {
    embeddings: Array.from({ length: rows }, (_, row) => values.subarray(row * width, (row + 1) * width)),
    tokens: [...new Uint32Array(bytesOf('tokens', rows))],
  };
}

function parts(path: string, file: Buffer): { header: z.infer<typeof headerSchema>; data: Uint8Array } {
  const length = file.byteLength < LENGTH_BYTES ? -1n : file.readBigUInt64LE();
  if (length < 0n || length > BigInt(file.byteLength - LENGTH_BYTES))
    throw unreadable(path, 'it has no header');
  const start = LENGTH_BYTES + Number(length);
  try {
    const header = headerSchema.parse(JSON.parse(file.toString('utf8', LENGTH_BYTES, start)));
    return { header, data: file.subarray(start) };
  } catch (cause) {
    throw unreadable(path, 'its header is of another shape', cause);
  }
}

function unreadable(path: string, why: string, cause?: unknown): EscadaFailure {
  return new EscadaFailure({ code: 'ENGINE_IO', message: `${path}: not a file of vectors: ${why}`, cause });
}
