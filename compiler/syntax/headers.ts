/**
 * A `{` that was forgotten at the end of a line, put back.
 *
 * Without it the block's lines would be read as what they are not, its `}` would end the block outside, and all that follows
 * would be told of. Where a text has a `}` too many, indentation says which line it belongs to: people indent what they mean.
 * Owns that judgment and the report. Leaves the pairing of brackets that are there to `brackets.ts`.
 */
import { createTokenInstance } from "./chevrotain.js";
import type { IToken } from "./chevrotain.js";
import { report } from "../messages/report.js";
import { matchBrackets } from "./brackets.js";
import { endOf } from "./sink.js";
import type { Sink } from "./sink.js";
import { itemWords, T } from "./tokens.js";

/** Most braces that are put back: each is a walk through the text, and one that lacks more is not what somebody forgot. */
const MOST = 8;

/** The tokens, with a `{` behind the line that lacks one; as they are where nothing says so. */
export function openBlocks(tokens: readonly IToken[], sink: Sink): readonly IToken[] {
  let mended = tokens;
  for (let [surplus, put] = [surplusOf(mended), 0]; surplus > 0 && put < MOST; put++) {
    const at = headerEnd(mended);
    const last = at === undefined ? undefined : mended[at];
    if (at === undefined || last === undefined) break;
    const end = endOf(last);
    const { endLine = 1, endColumn = 1 } = last;
    const brace = createTokenInstance(T.LBrace, "{", end, end - 1, endLine, endLine, endColumn, endColumn);
    const next = [...mended.slice(0, at + 1), brace, ...mended.slice(at + 1)];
    const left = surplusOf(next);
    if (left >= surplus) break;
    mended = next;
    surplus = left;
    const span = { file: sink.file, start: end, end };
    const ends = tokens[tokens.indexOf(last) + 1]?.startLine !== endLine;
    sink.add(report("JEP1002", span, { expected: "`{`", found: ends ? "the end of the line" : "the block's first line" }, { fixes: [{ title: "write `{`", edits: [{ span, text: " {" }] }] }));
  }
  return mended;
}

function surplusOf(tokens: readonly IToken[]): number {
  let stray = 0;
  for (const token of matchBrackets(tokens).stray) if (token.tokenType === T.RBrace) stray += 1;
  return stray;
}

interface Line {
  readonly column: number;
  /** Indices of its first and last token. */
  readonly first: number;
  readonly last: number;
}

/** The index of the token behind which the first `{` is lacking: one whose `}` stands where no open block began. */
function headerEnd(tokens: readonly IToken[]): number | undefined {
  const lines = linesOf(tokens);
  const open: number[] = [];
  // Lines with deeper ones below them, and nothing else since: what a `}` in their column would close.
  const heads: Line[] = [];
  for (const [n, line] of lines.entries()) {
    const above = lines[n - 1];
    if (above !== undefined && above.column < line.column) heads.push(above);
    while ((heads.at(-1)?.column ?? 0) > line.column) heads.pop();
    const head = heads.at(-1)?.column === line.column ? heads.pop() : undefined;
    const outside = open.length;
    for (let i = line.first; i <= line.last; i++) {
      const type = tokens[i]?.tokenType;
      if (type === T.LBrace) open.push(line.column);
      if (type !== T.RBrace) continue;
      const leads = i === line.first;
      const own = leads ? open.at(-1) === line.column : open.length > outside;
      if (own) {
        open.pop();
        continue;
      }
      // A block of one line says by its own words where it begins.
      if (!leads) return blockHead(tokens, line, i);
      if (head !== undefined && !tokens.slice(head.first, head.last + 1).some((t) => t.tokenType === T.LBrace)) return head.last;
      open.pop();
    }
  }
  return undefined;
}

/** `train`, `probe` or an item with its name, or a call, before a block of one line. */
function blockHead(tokens: readonly IToken[], line: Line, close: number): number | undefined {
  const words: readonly string[] = itemWords;
  const word = tokens[line.first];
  if (word === undefined) return undefined;
  if (words.includes(word.image) && tokens[line.first + 1]?.tokenType !== T.LParen) {
    const isName = (i: number): boolean => i < close && tokens[i]?.tokenType === T.Ident;
    if (isName(line.first + 1) && tokens[line.first + 2]?.image === "of" && isName(line.first + 3)) return line.first + 3;
    // `train epochs 600 }` has no name, and `train small epochs 600 }` has one.
    return isName(line.first + 1) && (isName(line.first + 2) || line.first + 2 === close) ? line.first + 1 : line.first;
  }
  // `shapes(count: 64) flip(p: 0.5) }`: behind the first call.
  for (let i = line.first, depth = 0; i < close; i++) {
    const type = tokens[i]?.tokenType;
    depth += type === T.LParen ? 1 : type === T.RParen ? -1 : 0;
    if (type === T.RParen && depth === 0 && tokens[i + 1]?.tokenType === T.Ident) return i;
  }
  return undefined;
}

function linesOf(tokens: readonly IToken[]): readonly Line[] {
  const lines: Line[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const before = lines.at(-1);
    const token = tokens[i];
    if (token === undefined) continue;
    if (before !== undefined && tokens[before.last]?.endLine === token.startLine) lines[lines.length - 1] = { ...before, last: i };
    else lines.push({ column: token.startColumn ?? 1, first: i, last: i });
  }
  return lines;
}
