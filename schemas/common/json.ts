/** A value that survives JSON. */
export type JsonValue =
  null | boolean | number | string | readonly JsonValue[] | { readonly [key: string]: JsonValue };

export type JsonObject = { readonly [key: string]: JsonValue };

/** T when every member of it survives JSON; no value has this type otherwise. */
export type Jsonable<T> = T extends JsonValue | undefined
  ? T
  : T extends (...parameters: never[]) => unknown
    ? never
    : T extends object
      ? { readonly [Name in keyof T]: Jsonable<T[Name]> }
      : never;
