/**
 * Plain-text tables for the terminal.
 *
 * Owns column widths and alignment, nothing else: cells come in as text, the first column is set left, the rest right.
 * There is one look for every table the runtime prints.
 */

/** A table as lines of text; `header` and every row have the same number of cells. */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((cell, column) => Math.max(cell.length, ...rows.map((row) => (row[column] ?? "").length)));
  const line = (cells: readonly string[]): string =>
    cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  ").trimEnd();
  const rule = widths.map((width) => "─".repeat(width)).join("  ");
  return [line(header), rule, ...rows.map(line)].join("\n");
}
