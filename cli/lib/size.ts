import { InvalidArgumentError } from 'commander';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
};

/** Bytes of a size such as `5GB`, `200MiB` or `1000000`, as transformers writes them. Throws `InvalidArgumentError`. */
export function sizeBytes(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?) ?([KMG]i?B|)$/i.exec(text.trim()) ?? [];
  const bytes = Math.floor(Number(digits) * (UNITS[unit?.toUpperCase() ?? ''] ?? Number.NaN));
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw new InvalidArgumentError('a size is wanted: 5GB, 200MiB or bytes');
}

/** A size for people: "12.3 MB". */
export function megabytes(size: number): string {
  return size >= 1e9 ? `${(size / 1e9).toFixed(1)} GB` : `${(size / 1e6).toFixed(1)} MB`;
}
