/**
 * Where measurement and verdict part, and why: one entry for each program, written by a person who looked.
 *
 * The judgement fails for a disagreement that has no entry, and for an entry whose program has come to agree.
 */

/** Explanations by id. */
export const explained: Readonly<Record<string, string>> = {};
