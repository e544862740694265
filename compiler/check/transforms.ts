/**
 * Augmentations in programs: `random_resized_crop(scale: 0.3..1.0)`, `flip(p: 0.5)`, …
 *
 * Owns their names, arguments and ranges; the arithmetic is the runtime's. A transform that the runtime does not have
 * cannot be written.
 */
import { own } from "../base/own.js";
import { didYouMean } from "../messages/did-you-mean.js";
import { report } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import type { View } from "../model/ir.js";
import type { BodyCx } from "./body.js";
import { evaluate } from "./expr.js";
import { describe } from "./values.js";

export type Transforms = View["transforms"];

const known: Readonly<Record<string, readonly string[]>> = {
  random_resized_crop: ["scale", "aspect"], resize: [], center_crop: [], flip: ["p"],
  color_jitter: ["brightness", "contrast", "saturation", "hue", "p"], grayscale: ["p"], blur: ["p", "radius"], solarize: ["p", "threshold"],
};

/** Reads a list of transforms; those with mistakes are reported and left out. */
export function readTransforms(cx: BodyCx, exprs: readonly ast.Expr[]): Transforms {
  return exprs.flatMap((expr) => {
    const one = readTransform(cx, expr);
    return one === undefined ? [] : [one];
  });
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
  const args: Record<string, number | string | boolean | readonly number[]> = {};
  for (const [i, arg] of (expr.kind === "call" ? expr.args : []).entries()) {
    const key = arg.name?.text ?? formals[i] ?? "";
    if (!formals.includes(key)) {
      cx.diagnostics.add(report("JEP2004", arg.name?.span ?? arg.span, { callee: name, name: key, known: formals.map((f) => `\`${f}\``).join(", ") || "no arguments" }, didYouMean(key, formals, arg.name?.span ?? arg.span)));
      return undefined;
    }
    const value = evaluate(cx, arg.value);
    if (value.kind === "range") args[key] = [value.low, value.high];
    else if (value.kind === "static") args[key] = value.value;
    else {
      if (value.kind !== "poison") cx.diagnostics.add(report("JEP2010", arg.span, { what: `\`${key}\``, expected: "a number or a range", found: describe(value) }));
      return undefined;
    }
  }
  return { name, args };
}
