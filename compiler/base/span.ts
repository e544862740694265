/**
 * Source positions.
 *
 * Owns the one representation of "where in a program text": a file name and two UTF-16 offsets. Everything that can be
 * blamed (tokens, AST nodes, graph nodes, IR nodes) carries one. Lines and columns are derived only when a diagnostic is
 * shown, because offsets survive edits to how text is displayed and are what fixes need.
 * Knows nothing of the language; does not read files.
 */

/** A half-open range `[start, end)` of UTF-16 offsets in `file`. */
export interface Span {
  readonly file: string;
  readonly start: number;
  readonly end: number;
}

/** A position as people count: both from 1; `column` in UTF-16 units. */
export interface LineColumn {
  readonly line: number;
  readonly column: number;
}

/** The smallest span that covers both; they must be in one file. */
export function join(a: Span, b: Span): Span {
  return { file: a.file, start: Math.min(a.start, b.start), end: Math.max(a.end, b.end) };
}

/**
 * A table from offset to line, built once per text so that rendering many diagnostics stays linear. Lines end with a line
 * feed, a carriage return or both, as the lexer counts them.
 */
export function lineTable(text: string): readonly number[] {
  const starts = [0];
  for (const found of text.matchAll(/\r\n?|\n/g)) starts.push(found.index + found[0].length);
  return starts;
}

/** Line and column of an offset; offsets past the end land on the last position. */
export function lineColumn(starts: readonly number[], offset: number): LineColumn {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const mid = (low + high + 1) >> 1;
    if ((starts[mid] ?? 0) <= offset) low = mid;
    else high = mid - 1;
  }
  return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
}
