/**
 * What the library's files are called in spans.
 *
 * Owns one convention: `jepac:std/vit.jepa`. No file of a program has such a name (a path with this beginning is refused by
 * `load.ts`), so a program's own `std/vit.jepa` and the library's are two files.
 */
const prefix = "jepac:";

/** The name that the library file of `use std.<name>` has in spans and messages. */
export const libraryName = (name: string): string => `${prefix}std/${name}.jepa`;

/** Whether a file name in a span is kept for the library. */
export const isLibraryName = (file: string): boolean => file.startsWith(prefix);
