/**
 * Values by the names of a program: reading and making records whose keys a person has chosen.
 *
 * Owns the one safe way to read them: a plain object also answers to `constructor` and `toString`, and assigning to
 * `__proto__` makes no key at all, while all of these may be the name of an encoder. Records are made with
 * `Object.fromEntries`, which makes own keys of every name.
 */

/** The value that `record` itself has under `key`; undefined for everything it merely inherits. */
export function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
