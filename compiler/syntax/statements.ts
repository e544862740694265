/**
 * Mistakes of grammar by statement: which of several is the cause, and which statements are not what was meant.
 *
 * Owns the rule that a lost bracket is told alone in its statement (what follows from it there is no mistake of its own), and
 * the list of statements that were read in part, for whoever judges meaning. Where a statement begins is layout's to say.
 */
import type { IToken } from "./chevrotain.js";
import type { Span } from "../base/span.js";
import type { Code } from "../messages/catalogue.js";
import type { Diagnostic } from "../messages/report.js";
import type * as ast from "./ast.js";
import { T } from "./tokens.js";

/** The stretches of a text that `starts` divide it into. */
export function statementsOf(file: string, starts: readonly number[], length: number): readonly Span[] {
  const at = [...new Set([0, ...starts])].sort((a, b) => a - b);
  return at.map((start, i) => ({ file, start, end: at[i + 1] ?? length }));
}

/** What a lost bracket has for consequences in its statement: something else expected, and signs read as others. */
const consequences: ReadonlySet<Code> = new Set(["JEP1002", "JEP1009", "JEP1014"]);

/** Reports without those that follow from a bracket which their statement lacks; `broken` as in `Sink`. */
export function causes(list: readonly Diagnostic[], parts: readonly Span[], broken: readonly number[]): readonly Diagnostic[] {
  const offsets = new Set(broken);
  const lost = new Set(list.flatMap((d) => {
    const bracket = d.code === "JEP1005" ? d.span : d.code === "JEP1004" ? d.related.at(-1)?.span : undefined;
    return bracket !== undefined && offsets.has(bracket.start) ? [place(parts, bracket.start)] : [];
  }));
  return list.filter((d) => !consequences.has(d.code) || !lost.has(place(parts, d.span.start)));
}

/** Statements that hold one of the offsets, those in a row as one, with the names before their `=`. Linear in the text. */
export function brokenIn(parts: readonly Span[], tokens: readonly IToken[], offsets: readonly number[]): readonly ast.Broken[] {
  const hit = new Uint8Array(parts.length);
  for (const offset of offsets) hit[place(parts, offset)] = 1;
  const found: { span: Span; names: string[] }[] = [];
  let next = 0;
  for (let i = 0; i < parts.length; i++) {
    const span = parts[i];
    if (span === undefined) continue;
    const own: IToken[] = [];
    for (let token = tokens[next]; token !== undefined && token.startOffset < span.end; token = tokens[++next]) if (hit[i] === 1) own.push(token);
    if (hit[i] !== 1) continue;
    const last = found.at(-1);
    const entry = last !== undefined && hit[i - 1] === 1 ? last : { span, names: [] };
    if (entry !== last) found.push(entry);
    entry.span = { ...entry.span, end: span.end };
    const sign = own.findIndex((t) => t.tokenType === T.Equals);
    for (const t of own.slice(0, Math.max(0, sign))) if (t.tokenType === T.Ident) entry.names.push(t.image);
  }
  return found;
}

/** The part that holds an offset; the last one for what lies behind the end. */
function place(parts: readonly Span[], offset: number): number {
  let low = 0;
  let high = parts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((parts[middle]?.start ?? Infinity) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
