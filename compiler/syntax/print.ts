/**
 * From tree to text: expressions for messages, whole files for the formatter.
 *
 * Owns how each node is written: brackets by precedence (the tree has none), breaks at width 100, blocks. Comments and
 * blank lines are not in the tree; `format.ts` hands in a `Margin` that gives them out by place, and without one the same
 * code prints a tree that never was text. Definitions are not aligned at `=`: one renamed value would touch its
 * neighbours' lines. The values of a train block are, at a fixed column, which no edit can move.
 */
import { brokenGroup, group, hardLine, ifBroken, joinDocs, layout, line, nest, softLine, suffix } from "../base/doc.js";
import type { Doc } from "../base/doc.js";
import type { Span } from "../base/span.js";
import type * as ast from "./ast.js";
import { precedence } from "./expression.js";
import { infixWords, statementWords } from "./tokens.js";

/** The width that the formatter keeps. */
const lineWidth = 100;

/** Settings of a train block begin their values at this column of their block. */
const settingColumn = 15;

/** What stands around an element in the text it came from. */
export interface Around {
  /** A blank line stood before it (before its comments). */
  readonly blank: boolean;
  /** The comments before it, each on lines of its own; an empty text is a blank line. */
  readonly before: readonly string[];
  readonly after: string | undefined;
}

/** A pair of brackets in the text (or the file), from which comments are given out in order. */
export interface Region {
  /** Offset from which on comments are left. */
  from: number;
  readonly to: number;
}

/** Gives out comments and line breaks of the text by place; each comment once. */
export interface Margin {
  /** The whole text, up to `end`. */
  whole(end: number): Region;
  /** What stands between the first `open` after `header` and the first `close` after `last` (or after `open`). */
  inside(open: string, close: string, header: number, last: number | undefined): Region;
  /** The surroundings in `region` of the element at `span`, which `print` prints in between. */
  around(span: Span, region: Region, print: () => Doc): { readonly doc: Doc; readonly around: Around };
  /** Comments left in `region`, for its end. */
  rest(region: Region): Around;
  /** Comments between two operands, where a line ends there. */
  between(end: number, start: number): Omit<Around, "blank">;
  /** The comment behind the bracket that opens `region`, on its line. */
  behindOpen(region: Region): string | undefined;
  /** Whether what `region` holds was written on one line. */
  onOneLine(region: Region): boolean;
}

/** An expression on one line, for messages. */
export function printExpr(expr: ast.Expr): string {
  return layout(exprDoc(expr, 0, bare), Infinity);
}

/** A type on one line, for messages. */
export function printType(type: ast.TypeExpr): string {
  return layout(typeDoc(type, bare), Infinity);
}

/** A whole tree as text, in the formatter's style; without `margin`, comments are not known. */
export function printFile(file: ast.File, margin: Margin = bare): string {
  const docs: Doc[] = [];
  let previous: ast.Item | undefined;
  const region = margin.whole(file.span.end);
  for (const item of file.items) {
    const { doc, around } = margin.around(item.span, region, () => itemDoc(item, margin));
    const together = previous !== undefined && previous.kind === item.kind && item.kind !== "module" && item.kind !== "model" && !around.blank;
    if (previous !== undefined) docs.push(hardLine, ...(together ? [] : [hardLine]));
    docs.push(surround(doc, around));
    previous = item;
  }
  const rest = margin.rest(region);
  for (const [i, comment] of rest.before.entries()) {
    if (docs.length > 0) docs.push(hardLine);
    if (docs.length > 0 && i === 0 && rest.blank) docs.push(hardLine);
    docs.push(comment);
  }
  return docs.length === 0 ? "" : `${layout(docs, lineWidth)}\n`;
}

/** A margin without comments; every block has lines of its own. */
const bare: Margin = {
  whole: () => nowhere,
  inside: () => nowhere,
  around: (_span, _region, print) => ({ doc: print(), around: nothing }),
  rest: () => nothing,
  between: () => nothing,
  behindOpen: () => undefined,
  onOneLine: () => false,
};
const nowhere: Region = { from: 0, to: 0 };
const nothing: Around = { blank: false, before: [], after: undefined };

// ------------------------------------------------------------------------------------------------------- items

function itemDoc(item: ast.Item, margin: Margin): Doc {
  switch (item.kind) {
    case "use": return ["use ", item.path.kind === "file" ? quote(item.path.text) : item.path.names.map((n) => n.text).join(".")];
    case "model": return ["model ", item.name.text, " ", bodyDoc(item.body, item.name.span.end, margin)];
    case "variant": return ["variant ", item.name.text, " of ", item.base.text, " ", bodyDoc(item.body, item.base.span.end, margin)];
    case "module": return moduleDoc(item, margin);
    case "train": return trainDoc(item, margin);
    case "probe": return ["probe ", ...named(item.model), exprBlock(item.entries, item.model?.span.end ?? item.span.start, margin)];
    case "sweep": {
      // A line of a sweep ends where an operator's word would begin the next one.
      const unbroken = withoutBetween(margin);
      const axes = item.axes.map((axis) => ({
        span: axis.span, print: () => group(axis.path.map((n) => n.text).join("."), " in ", exprDoc(axis.values, 4, unbroken)),
      }));
      return ["sweep ", item.name.text, " of ", item.base.text, " ", block(axes, item.base.span.end, margin, true)];
    }
  }
}

function named(name: ast.Name | undefined): Doc[] {
  return name === undefined ? [] : [name.text, " "];
}

function moduleDoc(item: ast.Module, margin: Margin): Doc {
  const configured = item.config.at(-1)?.span.end;
  const config = item.config.length > 0 ? [formalsDoc(item.config, item.name.span.end, margin), " "] : [];
  const lists: Doc[] = [...config, formalsDoc(item.inputs, configured ?? item.name.span.end, margin)];
  const result: Doc = item.result === undefined ? "" : [" -> ", typeDoc(item.result, margin)];
  const header = item.result?.span.end ?? item.inputs.at(-1)?.span.end ?? item.config.at(-1)?.span.end ?? item.name.span.end;
  return ["module ", item.name.text, item.config.length > 0 ? "" : " ", ...lists, result, " ", bodyDoc(item.body, header, margin)];
}

function formalsDoc(formals: readonly ast.Formal[], header: number, margin: Margin): Doc {
  return bracketed("(", ")", formals.map((formal) => ({
    span: formal.span,
    print: () => {
      const type: Doc = formal.type === undefined ? "" : [": ", typeDoc(formal.type, margin)];
      const value: Doc = formal.default === undefined ? "" : [" = ", exprDoc(formal.default, 0, margin)];
      return [formal.name.text, type, value];
    },
  })), header, margin);
}

function typeDoc(type: ast.TypeExpr, margin: Margin): Doc {
  const args = type.args.length === 0 ? "" : bracketed("[", "]", type.args.map((a) => ({ span: a.span, print: () => exprDoc(a, 0, margin) })), type.name.span.end, margin);
  return [type.name.text, args, type.space === undefined ? "" : [" in ", exprDoc(type.space, endsInBlock(type.space) ? 1 : 0, margin)]];
}

function trainDoc(item: ast.Train, margin: Margin): Doc {
  const header = item.model?.span.end ?? item.span.start;
  const settings = item.settings.map((setting) => ({ span: setting.span, print: () => settingDoc(setting, margin) }));
  return ["train ", ...named(item.model), block(settings, header, margin, true)];
}

function settingDoc(setting: ast.Setting, margin: Margin): Doc {
  const values = setting.values.map((v) => exprDoc(v, endsInBlock(v) ? 1 : 0, margin));
  const after: Doc[] = setting.block === undefined ? values : [...values, exprBlock(setting.block, setting.values.at(-1)?.span.end ?? setting.name.span.end, margin)];
  if (after.length === 0) return setting.name.text;
  // Told by the block's own group: a block on one line has no columns.
  const gap = ifBroken(" ".repeat(Math.max(1, settingColumn - setting.name.text.length)), " ");
  return [setting.name.text, gap, group(joinDocs(after, " "))];
}

// -------------------------------------------------------------------------------------------------- statements

function bodyDoc(body: readonly ast.Statement[], header: number, margin: Margin): Doc {
  const entries = body.map((s) => ({ span: s.span, print: () => statementDoc(s, margin) }));
  return block(entries, header, margin, body.length <= 1);
}

function statementDoc(s: ast.Statement, margin: Margin): Doc {
  const expr = (e: ast.Expr): Doc => exprDoc(e, 0, margin);
  const define = (head: string, value: ast.Expr): Doc => group(head, " = ", expr(value));
  switch (s.kind) {
    case "param": case "mask": case "part": return define(`${s.kind} ${s.name.text}`, s.value);
    case "instance": return define(`${s.role} ${s.name.text}`, s.value);
    case "view": return define(`view ${s.names.map((n) => n.text).join(", ")}`, s.value);
    case "binding": return define(s.names.map((n) => n.text).join(", "), s.value);
    case "input": return group("input ", s.name.text, ": ", typeDoc(s.type, margin));
    case "learn": {
      const shape = s.shape.length === 0 ? "" : bracketed("[", "]", s.shape.map((e) => ({ span: e.span, print: () => expr(e) })), s.name.span.end, margin);
      return group(`${s.role} `, s.name.text, shape, " ~ ", expr(s.init));
    }
    case "loss": {
      const name = s.name === undefined ? "" : `${s.name.text} = `;
      const value = s.name === undefined && beginsWith(s.value, infixWords) ? inBrackets(expr(s.value)) : expr(s.value);
      return group("loss ", name, value, s.space === undefined ? "" : [nest(line), "in ", afterWord(s.space, 0, margin)]);
    }
    case "repeat": {
      const count = s.count;
      const bare = count !== undefined && !endsInBlock(count) && !beginsWith(count, infixWords);
      const head: Doc = s.over !== undefined ? `${s.over.element.text} in ${s.over.list.text}`
        : count === undefined ? "" : bare ? expr(count) : inBrackets(expr(count));
      return ["repeat ", head, " ", bodyDoc(s.body, s.over?.list.span.end ?? s.count?.span.end ?? s.span.start, margin)];
    }
    case "result": return group(standsAlone(s.value) ? expr(s.value) : inBrackets(expr(s.value)));
    case "allow": return group("allow ", s.what.text, s.reason === undefined ? "" : ["(", expr(s.reason), ")"]);
    case "train": case "probe": return itemDoc(s, margin);
  }
}

/** Whether an expression may begin a line: its first word is neither an operator nor the beginning of a statement. */
function standsAlone(expr: ast.Expr): boolean {
  if (expr.kind === "ref" && statementWords.some((w) => w === expr.name)) return false;
  return !beginsWith(expr, infixWords) && !beginsWith(expr, ["loss", "repeat"]);
}

function beginsWith(expr: ast.Expr, words: readonly string[]): boolean {
  let first: ast.Expr = expr;
  for (let next = leftmost(first); next !== undefined; next = leftmost(first)) first = next;
  return first.kind === "ref" && words.includes(first.name);
}

/** The right operand of an operator that is a word; a sign before it would be taken for a subtraction from the word. */
function afterWord(expr: ast.Expr, least: number, margin: Margin): Doc {
  let first: ast.Expr = expr;
  for (let next = leftmost(first); next !== undefined; next = leftmost(first)) first = next;
  return first.kind === "negate" ? inBrackets(exprDoc(expr, 0, margin)) : exprDoc(expr, least, margin);
}

function inBrackets(doc: Doc): Doc {
  return ["(", doc, ")"];
}

function leftmost(expr: ast.Expr): ast.Expr | undefined {
  switch (expr.kind) {
    case "call": return expr.callee;
    case "member": return expr.object;
    case "range": return expr.low;
    case "arrow": return expr.points[0];
    case "binary": return expr.left;
    case "at": return expr.value;
    case "of": return expr.count;
    case "minus": return expr.from;
    default: return undefined;
  }
}

// ------------------------------------------------------------------------------------------------- expressions

/** How tightly an expression holds together; brackets are written where the place asks for more. */
function tightness(expr: ast.Expr): number {
  switch (expr.kind) {
    case "minus": case "at": case "of": return precedence[expr.kind];
    case "arrow": return precedence["->"];
    case "range": return precedence[".."];
    case "binary": return precedence[expr.op];
    case "negate": return precedence.negate;
    case "call": return expr.block === undefined ? 10 : 0;
    default: return 10;
  }
}

function endsInBlock(expr: ast.Expr): boolean {
  return expr.kind === "call" && expr.block !== undefined;
}

function exprDoc(expr: ast.Expr, least: number, margin: Margin): Doc {
  const inner = plainDoc(expr, margin);
  return tightness(expr) < least ? inBrackets(inner) : inner;
}

function plainDoc(expr: ast.Expr, margin: Margin): Doc {
  const sub = (e: ast.Expr, least: number): Doc => exprDoc(e, least, margin);
  switch (expr.kind) {
    case "number": return expr.text;
    case "string": return quote(expr.value);
    case "bool": return String(expr.value);
    case "ref": return expr.name;
    case "hole": return "…";
    case "unit": return [sub(expr.value, 10), " ", expr.unit.text];
    case "member": return [sub(expr.object, 10), ".", expr.member.text];
    case "list": return bracketed("[", "]", expr.items.map((e) => ({ span: e.span, print: () => sub(e, 0) })), expr.span.start, margin);
    case "call": return callDoc(expr, margin);
    case "negate": return ["-", expr.operand.kind === "negate" ? sub(expr.operand, 0) : sub(expr.operand, precedence["^"])];
    case "range": return [sub(expr.low, 6), "..", sub(expr.high, 6)];
    case "arrow": return chain(expr.points.map((p) => ({ sign: "->", span: p.span, print: () => sub(p, 5) })), margin);
    case "minus": return infix("minus", expr.from, 1, expr.removed, 2, margin);
    case "at": return infix("at", expr.value, 2, expr.positions, 3, margin);
    case "of": return infix("of", expr.count, 4, expr.item, 3, margin);
    case "binary": {
      const level = precedence[expr.op];
      if (expr.op === "^") return [sub(expr.left, 10), "^", expr.right.kind === "negate" ? sub(expr.right, 0) : sub(expr.right, level)];
      return sumDoc(expr, level, margin);
    }
  }
}

function infix(sign: string, left: ast.Expr, least: number, right: ast.Expr, leastRight: number, margin: Margin): Doc {
  return chain([
    { sign: "", span: left.span, print: () => exprDoc(left, least, margin) },
    { sign, span: right.span, print: () => afterWord(right, leastRight, margin) },
  ], margin);
}

/** An operand with the sign before it; the first one's is not written. */
interface Operand {
  readonly sign: string;
  readonly span: Span;
  readonly print: () => Doc;
}

/** Operands with a sign between them; too long, or with a comment at the end of a line, each sign begins a line. */
function chain(operands: readonly Operand[], margin: Margin): Doc {
  let commented = false;
  const docs = operands.map(({ sign, span, print }, i): Doc => {
    const last = operands[i - 1];
    if (last === undefined) return print();
    const { before, after } = margin.between(last.span.end, span.start);
    if (before.length > 0 || after !== undefined) commented = true;
    return [after === undefined ? "" : suffix(` ${after}`), line, ...before.flatMap((comment): Doc[] => [comment, hardLine]), sign, " ", print()];
  });
  const [first = "", ...others] = docs;
  return commented ? brokenGroup(first, nest(others)) : group(first, nest(others));
}

/** `a + b - c` as one row, so that a long sum breaks at all of its signs alike. */
function sumDoc(expr: ast.Binary, level: number, margin: Margin): Doc {
  const row: Operand[] = [];
  let left: ast.Expr = expr;
  while (left.kind === "binary" && precedence[left.op] === level) {
    const { op, right } = left;
    row.unshift({ sign: op, span: right.span, print: () => exprDoc(right, level + 1, margin) });
    left = left.left;
  }
  const first = left;
  return chain([{ sign: "", span: first.span, print: () => exprDoc(first, level, margin) }, ...row], margin);
}

function callDoc(call: ast.Call, margin: Margin): Doc {
  const callee = exprDoc(call.callee, 10, margin);
  const args = bracketed("(", ")", call.args.map((arg) => ({
    span: arg.span,
    print: (): Doc => [arg.name === undefined ? "" : `${arg.name.text}: `, exprDoc(arg.value, 0, margin)],
  })), call.callee.span.end, margin);
  return call.block === undefined ? [callee, args] : [callee, args, " ", exprBlock(call.block, call.args.at(-1)?.span.end ?? call.callee.span.end, margin)];
}

function exprBlock(entries: readonly ast.Expr[], header: number, margin: Margin): Doc {
  const entry = (e: ast.Expr): Doc => (beginsWith(e, infixWords) ? inBrackets(exprDoc(e, 0, margin)) : exprDoc(e, 0, margin));
  return block(entries.map((e) => ({ span: e.span, print: () => entry(e) })), header, margin, true);
}

/** The same margin, for lines that may not break between operands. */
function withoutBetween(margin: Margin): Margin {
  return {
    whole: (end) => margin.whole(end),
    inside: (open, close, header, last) => margin.inside(open, close, header, last),
    around: (span, region, print) => margin.around(span, region, print),
    rest: (region) => margin.rest(region),
    between: () => nothing,
    behindOpen: (region) => margin.behindOpen(region),
    onOneLine: (region) => margin.onOneLine(region),
  };
}

function quote(text: string): string {
  return `"${text.replace(/[\\"]/g, "\\$&").replaceAll("\n", "\\n").replaceAll("\t", "\\t")}"`;
}

// ------------------------------------------------------------------------------------------------------ shapes

interface Entry {
  readonly span: Span;
  readonly print: () => Doc;
}

/** `( a, b )`: on one line, or one element per line with a comma after the last. */
function bracketed(open: string, close: string, entries: readonly Entry[], header: number, margin: Margin): Doc {
  const region = margin.inside(open, close, header, entries.at(-1)?.span.end);
  let commented = false;
  const docs = entries.map((entry, i) => {
    const { doc, around } = margin.around(entry.span, region, entry.print);
    if (around.before.length > 0 || around.after !== undefined) commented = true;
    const comma: Doc = i < entries.length - 1 ? "," : ifBroken(",");
    return surround([doc, comma], around);
  });
  const rest = margin.rest(region).before;
  docs.push(...rest);
  if (docs.length === 0) return [open, close];
  const inside = [nest(softLine, ...joinDocs(docs, line)), softLine];
  return commented || rest.length > 0 ? brokenGroup(open, ...inside, close) : group(open, ...inside, close);
}

/** `{ … }`: one element per line; on one line if it was written so, fits, and `mayFlow`. */
function block(entries: readonly Entry[], header: number, margin: Margin, mayFlow: boolean): Doc {
  const region = margin.inside("{", "}", header, entries.at(-1)?.span.end);
  const brace = margin.behindOpen(region);
  const docs: Doc[] = [];
  let commented = brace !== undefined;
  for (const [i, entry] of entries.entries()) {
    const { doc, around } = margin.around(entry.span, region, entry.print);
    if (around.before.length > 0 || around.after !== undefined) commented = true;
    if (i > 0) docs.push(ifBroken("", ","), line, around.blank ? blankLine : "");
    docs.push(surround(doc, around));
  }
  const rest = margin.rest(region);
  for (const [i, comment] of rest.before.entries()) {
    commented = true;
    if (docs.length > 0) docs.push(hardLine, i === 0 && rest.blank ? blankLine : "");
    docs.push(comment);
  }
  const note: Doc = brace === undefined ? "" : suffix(` ${brace}`);
  if (docs.length === 0) return commented ? ["{", note, hardLine, "}"] : "{}";
  const inside: Doc[] = ["{", note, nest(line, ...docs), line, "}"];
  return mayFlow && !commented && margin.onOneLine(region) ? group(...inside) : brokenGroup(...inside);
}

/** A blank line inside a broken group. */
const blankLine: Doc = softLine;

function surround(doc: Doc, around: Around): Doc {
  const before = around.before.flatMap((comment): Doc[] => [comment, hardLine]);
  return [...before, doc, around.after === undefined ? "" : suffix(` ${around.after}`)];
}
