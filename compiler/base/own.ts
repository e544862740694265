/**
 * Looking a word of a program up in a table of the compiler.
 *
 * Owns the one safe way: tables are plain objects, and a plain object also answers to `constructor`, `toString` and
 * `__proto__`, which are words that a program may contain.
 */

/** The row that `table` itself has under `key`; undefined for everything it merely inherits. */
export function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}
