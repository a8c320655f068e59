/** An object type whose fields that may be undefined are optional instead. */
type Compact<T> = { readonly [K in keyof T as MayLack<T[K]> extends true ? never : K]: T[K] } & {
  readonly [K in keyof T as MayLack<T[K]> extends true ? K : never]?: Exclude<T[K], undefined>;
};

/** `any` may not: who says it wants no check of types. */
type MayLack<T> = 0 extends 1 & T ? false : undefined extends T ? true : false;

/**
 * The object without the fields that are undefined: what `exactOptionalPropertyTypes` asks of optional fields. For an
 * object literal of ours: a key `__proto__` of a stranger would set the prototype. A loop, for it runs once a service.
 */
export function compact<const T extends object>(fields: T): Compact<T> {
  const kept: Partial<T> = {};
  for (const key in fields) if (fields[key] !== undefined) kept[key] = fields[key];
  return kept as unknown as Compact<T>;
}
