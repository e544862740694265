/**
 * The looks of emitted code: line width, comments that point into the program, doc comments.
 *
 * Emitted code is written statement by statement as one long line each; `wrap` breaks what is too long at the commas of
 * its outermost brackets. It knows of brackets and strings and nothing else, which is all that emitted code needs.
 */
import type { Span } from "../../base/span.js";
import { lineColumn, lineTable } from "../../base/span.js";
import { commentText } from "./names.js";

/** The width that no emitted line of code exceeds where it can be broken. */
export const width = 110;

/** The line as one or several, each indented. */
export function wrap(line: string, indent: string): string[] {
  if (indent.length + line.length <= width) return [indent + line];
  const group = outermost(line);
  if (group === undefined) return [indent + line];
  const head = line.slice(0, group.open + 1);
  const pieces = splitCommas(line.slice(group.open + 1, group.close)).map((piece) => piece.trim());
  // Round brackets that stand for themselves, as around the object that an arrow gives, allow no comma at their end.
  const comma = line[group.open] === "(" && !/[\w$)\]]$/.test(line.slice(0, group.open)) ? "" : ",";
  const together = `${indent}  ${pieces.join(", ")}${comma}`;
  if (line[group.open] === "(" && together.length <= width) return [indent + head, together, ...wrap(line.slice(group.close), indent)];
  return [
    indent + head,
    ...pieces.flatMap((piece, i) => wrap(`${piece}${i < pieces.length - 1 ? "," : comma}`, `${indent}  `)),
    ...wrap(line.slice(group.close), indent),
  ];
}

/** The widest bracket pair at the top level, braces of arrow bodies included. */
function outermost(line: string): { open: number; close: number } | undefined {
  let best: { open: number; close: number } | undefined;
  let open = -1;
  let depth = 0;
  scan(line, (ch, i) => {
    if ("([{".includes(ch) && depth++ === 0) open = i;
    if (!")]}".includes(ch) || --depth > 0) return;
    if (i > open + 1 && (best === undefined || i - open > best.close - best.open)) best = { open, close: i };
  });
  return best;
}

function splitCommas(text: string): string[] {
  const pieces: string[] = [];
  let from = 0;
  let depth = 0;
  scan(text, (ch, i) => {
    if ("([{".includes(ch)) depth++;
    if (")]}".includes(ch)) depth--;
    if (ch !== "," || depth > 0) return;
    pieces.push(text.slice(from, i));
    from = i + 1;
  });
  const rest = text.slice(from);
  return rest.trim() === "" ? pieces : [...pieces, rest];
}

/** Visits the characters outside of string literals. */
function scan(text: string, visit: (ch: string, i: number) => void): void {
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '"') {
      for (i++; i < text.length && text[i] !== '"'; i++) if (text[i] === "\\") i++;
      continue;
    }
    visit(text[i] ?? "", i);
  }
}

/** A doc comment of these lines, each made safe. */
export function docComment(lines: readonly string[]): string[] {
  const safe = lines.map(commentText);
  const [only] = safe;
  if (safe.length === 1 && only !== undefined && only.length < width - 8) return [`/** ${only} */`];
  return ["/**", ...safe.flatMap((line) => fill(line, width - 3)).map((line) => ` * ${line}`.trimEnd()), " */"];
}

/** Words over lines of at most `limit`. */
function fill(text: string, limit: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > limit) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** Finds the line that a span starts on; tables are built once per file. */
export class Lines {
  readonly #sources: ReadonlyMap<string, string>;
  readonly #tables = new Map<string, readonly number[]>();

  constructor(sources: ReadonlyMap<string, string>) {
    this.#sources = sources;
  }

  /** `ijepa.jepa:24  z_hat = predict(...)`, or undefined where the source is not at hand. */
  at(span: Span | undefined): string | undefined {
    if (span === undefined) return undefined;
    const text = this.#sources.get(span.file);
    if (text === undefined) return undefined;
    const table = this.#tables.get(span.file) ?? lineTable(text);
    this.#tables.set(span.file, table);
    const { line } = lineColumn(table, span.start);
    const start = table[line - 1] ?? 0;
    const end = text.indexOf("\n", start);
    const content = commentText(text.slice(start, end < 0 ? undefined : end));
    const file = commentText(span.file.split(/[\\/]/).at(-1) ?? span.file);
    const label = `${file}:${line}  ${content}`;
    return label.length > width - 6 ? `${label.slice(0, width - 9)}...` : label;
  }
}
