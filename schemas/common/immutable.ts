/** A value that nobody may change, at any depth: what `z.infer` gives, as functions take it. */
export type Immutable<T> = T extends string | number | boolean | bigint | null | undefined
  ? T
  : T extends readonly (infer Member)[]
    ? readonly Immutable<Member>[]
    : { readonly [Key in keyof T]: Immutable<T[Key]> };
