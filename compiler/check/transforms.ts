/**
 * Augmentations in programs: `random_resized_crop(scale: 0.3..1.0)`, `flip(p: 0.5)`, …
 *
 * Owns their names, arguments and ranges; the arithmetic is the runtime's. A transform that the runtime does not have
 * cannot be written.
 */
import { own } from "../base/own.js";
import type { Span } from "../base/span.js";
import { didYouMean } from "../messages/did-you-mean.js";
import { report } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import { printExpr } from "../syntax/print.js";
import type { View } from "../model/ir.js";
import type { BodyCx } from "./body.js";
import { evaluate } from "./expr.js";
import { createTaken, placeOf } from "./given.js";
import { bounds } from "./static.js";
import { describe } from "./values.js";

export type Transforms = View["transforms"];

/** What an argument takes: one number, or a range whose ends lie between `low` and `high`. */
interface Formal {
  readonly range: boolean;
  readonly low: number;
  readonly high: number;
}

const one = (low: number, high: number): Formal => ({ range: false, low, high });
const range = (low: number, high: number): Formal => ({ range: true, low, high });
const p = one(0, 1);

const known: Readonly<Record<string, Readonly<Record<string, Formal>>>> = {
  random_resized_crop: { scale: range(1e-6, 1), aspect: range(1e-3, 1e3) }, random_crop: {}, resize: {}, center_crop: {}, flip: { p },
  color_jitter: { brightness: one(0, 10), contrast: one(0, 10), saturation: one(0, 10), hue: one(0, 0.5), p },
  grayscale: { p }, blur: { p, radius: range(1e-3, 100) }, solarize: { p, threshold: one(0, 1) },
};

/** Names of all transforms with those of their arguments. */
export function transformKinds(): Readonly<Record<string, readonly string[]>> {
  return Object.fromEntries(Object.entries(known).map(([name, formals]) => [name, Object.keys(formals)]));
}

/** A transform as it is written, with the text that goes where it is removed: the comma or the line's end beside it included. */
export interface WrittenTransform {
  readonly expr: ast.Expr;
  readonly whole: Span;
}

/** The transforms of a block. */
export function inBlock(block: readonly ast.Expr[]): readonly WrittenTransform[] {
  return block.map((expr, i) => {
    const { file, start, end } = expr.span;
    const next = block[i + 1];
    return { expr, whole: { file, start: next === undefined ? block[i - 1]?.span.end ?? start : start, end: next?.span.start ?? end } };
  });
}

/** Arguments behind the first, which is what they are applied to. */
export function behindFirst(args: readonly ast.Arg[]): readonly (WrittenTransform & { readonly arg: ast.Arg })[] {
  return args.slice(1).map((arg, i) => ({ arg, expr: arg.value, whole: { ...arg.span, start: args[i]?.span.end ?? arg.span.start } }));
}

/**
 * Reads a list of transforms for pictures of so many channels. Those with mistakes are reported and left out, as is what does
 * nothing to pictures that are not in color: a view that only that would change is the picture itself.
 */
export function readTransforms(cx: BodyCx, written: readonly WrittenTransform[], channels: number | undefined): Transforms {
  return written.flatMap(({ expr, whole }) => {
    const one = readTransform(cx, expr);
    if (one === undefined) return [];
    return channels === undefined || channels === 3 ? [one] : withoutColor(cx, one, expr, whole, `${channels} channel${channels === 1 ? "" : "s"}`);
  });
}

/** What is left of a transform on pictures that are not in color. */
function withoutColor(cx: BodyCx, one: Transforms[number], expr: ast.Expr, whole: Span, channels: string): Transforms {
  if (one.name === "grayscale") {
    // A guess: where it is written for a model in color, of which this is the gray variant, it does something.
    cx.diagnostics.add(report("JEP6021", expr.span, { what: one.name, channels }, { fixes: [{ title: "remove it", guess: true, edits: [{ span: whole, text: "" }] }] }));
    return [];
  }
  if (one.name !== "color_jitter") return [one];
  // They were read in the order that they are written in, with a name or without.
  Object.entries(one.args).forEach(([what, value], i) => {
    const arg = expr.kind === "call" ? expr.args[i] : undefined;
    if (arg !== undefined && (what === "saturation" || what === "hue") && value !== 0) cx.diagnostics.add(report("JEP6021", arg.span, { what, channels }));
  });
  return [{ name: one.name, args: { ...one.args, saturation: 0, hue: 0 } }];
}

function readTransform(cx: BodyCx, expr: ast.Expr): Transforms[number] | undefined {
  const name = expr.kind === "ref" ? expr.name : expr.kind === "call" && expr.callee.kind === "ref" ? expr.callee.name : undefined;
  const formals = name === undefined ? undefined : own(known, name);
  if (name === undefined || formals === undefined) {
    if (expr.kind === "hole") return undefined;
    const word = expr.kind === "call" ? expr.callee.span : expr.span;
    cx.diagnostics.add(report("JEP6004", expr.span, { found: name ?? "this" }, didYouMean(name ?? "", Object.keys(known), word, `There are ${Object.keys(known).join(", ")}.`)));
    return undefined;
  }
  const names = Object.keys(formals);
  const args: [string, number | readonly number[]][] = [];
  const taken = createTaken(name, cx.diagnostics);
  let whole = true;
  for (const arg of expr.kind === "call" ? expr.args : []) {
    const key = arg.name?.text ?? names.find((f) => !taken.has(f)) ?? "";
    const formal = own(formals, key);
    if (formal === undefined) {
      if (arg.name === undefined && names.length > 0) cx.diagnostics.add(report("JEP2006", expr.span, { callee: name, most: names.length, found: expr.kind === "call" ? expr.args.length : 0 }));
      else cx.diagnostics.add(report("JEP2004", arg.name?.span ?? arg.span, { callee: name, name: arg.name?.text ?? printExpr(arg.value), known: names.map((f) => `\`${f}\``).join(", ") || "no arguments" }, didYouMean(key, names, arg.name?.span ?? arg.span)));
      return undefined;
    }
    const value = taken.take(key, placeOf(arg)) ? readArgument(cx, key, formal, arg) : undefined;
    if (value === undefined) whole = false;
    else args.push([key, value]);
  }
  return whole ? { name, args: Object.fromEntries(args) } : undefined;
}

/** A number or a range inside what the transform can do; anything else is reported. */
function readArgument(cx: BodyCx, key: string, formal: Formal, arg: ast.Arg): number | readonly number[] | undefined {
  const value = evaluate(cx, arg.value);
  if (value.kind === "poison") return undefined;
  const ends = value.kind === "range" && formal.range ? [value.low, value.high] : value.kind === "static" && typeof value.value === "number" ? [value.value] : undefined;
  const [low, high = low] = ends ?? [];
  if (ends === undefined || low === undefined || high === undefined) {
    cx.diagnostics.add(report("JEP2010", arg.span, { what: `\`${key}\``, expected: formal.range ? "a number or a range" : "a number", found: describe(value) }));
    return undefined;
  }
  if (!(formal.low <= low && low <= high && high <= formal.high)) {
    cx.diagnostics.add(report("JEP2011", arg.span, { what: `\`${key}\``, bounds: bounds(formal.low, formal.high), found: ends.join("..") }));
    return undefined;
  }
  return ends.length === 1 ? low : ends;
}
