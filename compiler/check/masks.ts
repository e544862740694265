/**
 * Mask declarations: `mask context = block(scale: 0.85..1.00) minus targets`.
 *
 * Owns reading a mask expression into a `Mask` and the checks that need nothing but its own numbers. Whether masks are
 * disjoint, can be empty, or hang the sampler is for the mask analysis, which also knows the grid.
 */
import type { Span } from "../base/span.js";
import { didYouMean } from "../messages/did-you-mean.js";
import { report } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import { printExpr } from "../syntax/print.js";
import type { Mask } from "../model/ir.js";
import type { BodyCx } from "./body.js";
import { evaluate } from "./expr.js";
import { createTaken, placeOf } from "./given.js";
import { asCount, asNumber, asRange } from "./static.js";
import { unknownName } from "./unknown.js";

type Draft = { -readonly [K in keyof Mask]: Mask[K] };

/** Kinds of masks. */
export const maskKinds = ["block", "random", "rasterized", "quadrant", "all"] as const;
/** Names of their arguments. */
export const maskOptions = ["scale", "aspect", "ratio", "min_keep", "sampler", "overlap", "trim", "trim_group"] as const;

/** The words that an option chooses from. */
export const maskChoices = { sampler: ["published", "corrected"], trim: ["tail", "random"] } as const;

/** Reads a mask statement; after a reported mistake, what could be read of it. */
export function readMask(cx: BodyCx, statement: ast.Mask): Mask {
  const draft: Draft = {
    name: statement.name.text, kind: "block", count: 1, scale: [0.15, 0.2], aspect: [0.75, 1.5], ratio: [0.6, 0.6], minKeep: 10,
    minus: [], sampler: "published", allowOverlap: false, trim: "tail", grid: undefined, origin: statement.span,
  };
  readExpr(cx, statement.value, draft);
  return draft;
}

function readExpr(cx: BodyCx, expr: ast.Expr, draft: Draft): boolean {
  switch (expr.kind) {
    case "hole": return false;
    case "minus": {
      const whole = readExpr(cx, expr.from, draft);
      return readRemoved(cx, expr.removed, draft) && whole;
    }
    case "of": {
      const count = asCount(evaluate(cx, expr.count), "the number of blocks", expr.count.span, cx.diagnostics, 1, 64);
      if (count === undefined) return false;
      draft.count = count;
      return readExpr(cx, expr.item, draft);
    }
    case "ref": return readKind(cx, expr.name, [], expr.span, draft);
    case "call":
      if (expr.callee.kind === "ref") return readKind(cx, expr.callee.name, expr.args, expr.callee.span, draft);
      break;
    default: break;
  }
  cx.diagnostics.add(report("JEP5001", expr.span, { known: maskKinds.join(", ") }));
  return false;
}

function readRemoved(cx: BodyCx, expr: ast.Expr, draft: Draft): boolean {
  const names = expr.kind === "list" ? expr.items : [expr];
  for (const name of names) {
    if (name.kind === "ref" && cx.env.masks.has(name.name)) draft.minus = [...draft.minus, name.name];
    // A mask with a mistake of its own, which has been told.
    else if (name.kind === "ref" && cx.scope.get(name.name)?.kind === "poison") return false;
    else if (name.kind !== "hole") {
      // Told already where another line needs it, or perhaps declared by a line that could not be read.
      if (name.kind === "ref" && (cx.env.unknown.has(name.name) || cx.env.lost.has(name.name))) return false;
      if (name.kind === "ref" && !cx.scope.has(name.name) && !cx.env.later.has(name.name)) {
        unknownName(cx, name.name, name.span, () => [...cx.env.masks.keys()], (extras) => report("JEP5002", name.span, {}, extras));
        return false;
      }
      cx.diagnostics.add(report("JEP5002", name.span, {}, didYouMean(name.kind === "ref" ? name.name : "", cx.env.masks.keys(), name.span)));
      return false;
    }
  }
  return true;
}

function readKind(cx: BodyCx, name: string, args: readonly ast.Arg[], span: Span, draft: Draft): boolean {
  const kind = maskKinds.find((k) => k === name);
  if (kind === undefined) {
    cx.diagnostics.add(report("JEP5001", span, { known: maskKinds.join(", ") }, didYouMean(name, maskKinds, span)));
    return false;
  }
  draft.kind = kind === "quadrant" ? "rasterized" : kind;
  const taken = createTaken(kind, cx.diagnostics);
  const first = kind === "random" ? "ratio" : "scale";
  let whole = true;
  for (const arg of args) {
    const key = arg.name?.text ?? first;
    const help = arg.name === undefined ? `A value without a name is \`${first}\`: name the other one${kind === "block" ? ", as in `aspect: 0.75..1.5`" : ""}, or take it away.` : undefined;
    // One option with a mistake does not hide the next one's.
    if (!taken.take(key, placeOf(arg), help) || !readOption(cx, key, arg, draft)) whole = false;
  }
  return whole;
}

function readOption(cx: BodyCx, key: string, arg: ast.Arg, draft: Draft): boolean {
  const word = arg.value.kind === "ref" ? arg.value.name : arg.value.kind === "string" ? arg.value.value : undefined;
  const choose = (what: string, allowed: readonly string[]): boolean => {
    if (word !== undefined && allowed.includes(word)) return true;
    cx.diagnostics.add(report("JEP2010", arg.value.span, { what: `\`${what}\``, expected: allowed.map((a) => `\`${a}\``).join(" or "), found: `\`${word ?? printExpr(arg.value)}\`` }));
    return false;
  };
  const whole = (least: number, bounds: string): number | undefined => {
    const value = asNumber(evaluate(cx, arg.value), `\`${key}\``, arg.value.span, cx.diagnostics);
    if (value === undefined || (Number.isSafeInteger(value) && value >= least)) return value;
    cx.diagnostics.add(report("JEP2011", arg.value.span, { what: `\`${key}\``, bounds, found: value }));
    return undefined;
  };
  switch (key) {
    case "scale": case "aspect": case "ratio": {
      const range = asRange(evaluate(cx, arg.value), `\`${key}\``, arg.value.span, cx.diagnostics);
      if (range === undefined) return false;
      const top = key === "aspect" ? 100 : 1;
      if (range[0] <= 0 || range[1] > top) {
        // Sixty percent, or sixty of the positions: a mask is a share.
        const share = top === 1 && range[1] > 1 && range[1] <= 100 ? { help: `It is a share of the grid: ${range[0]} percent is \`${range[0] / 100}\`.` } : {};
        cx.diagnostics.add(report("JEP5003", arg.value.span, { option: key, top, range: range[0] === range[1] ? `${range[0]}` : `${range[0]}..${range[1]}` }, share));
        return false;
      }
      draft[key] = range;
      return true;
    }
    case "min_keep": {
      const value = whole(0, "a number of positions, 0 or more");
      if (value === undefined) return false;
      draft.minKeep = value;
      return true;
    }
    case "trim_group": {
      const value = whole(1, "a number of images, 1 or more");
      if (value === undefined) return false;
      draft.trimGroup = value;
      return true;
    }
    case "sampler":
      if (!choose("sampler", maskChoices.sampler)) return false;
      draft.sampler = word === "corrected" ? "corrected" : "published";
      if (draft.sampler === "corrected") draft.trim = "random";
      return true;
    case "overlap": {
      const value = evaluate(cx, arg.value);
      if (value.kind !== "static" || typeof value.value !== "boolean") return choose("overlap", ["true", "false"]);
      draft.allowOverlap = value.value;
      return true;
    }
    case "trim":
      if (!choose("trim", maskChoices.trim)) return false;
      draft.trim = word === "random" ? "random" : "tail";
      return true;
    default: {
      cx.diagnostics.add(report("JEP2004", arg.name?.span ?? arg.span, { callee: draft.kind, name: key, known: maskOptions.map((o) => `\`${o}\``).join(", ") }, didYouMean(key, maskOptions, arg.name?.span ?? arg.span)));
      return false;
    }
  }
}
