/**
 * Words of the language that look like names in the tree.
 *
 * Owns which expressions are no names of a program's: kinds of masks, transforms, probes, data, optimizers and schedules,
 * starts of parameters, spaces, and the choices of arguments and settings. A module may be called `block` or `linear`; a
 * mask's `block(…)` and a probe's `linear(…)` are not about it.
 */
import { settingChoices, sourceChoices } from "../check/train.js";
import { lossKind, lossNames } from "../model/losses.js";
import type * as ast from "../syntax/ast.js";
import { walk } from "../syntax/visit.js";

/** Arguments that take a word and no value: the `mean` of `pool: mean` is not the program's. */
const wordArguments: ReadonlySet<string> = new Set([
  "pool", "sampler", "overlap", "trim", "over", "causal", "tune", ...Object.keys(sourceChoices), ...lossNames().flatMap((name) => Object.keys(lossKind(name).words)),
]);

/** The expressions inside an item that are words: a word alone, or the callee of a call. */
export function wordsIn(item: ast.Item): ReadonlySet<ast.Expr> {
  const words = new Set<ast.Expr>();
  const add = (expr: ast.Expr | undefined): void => {
    if (expr?.kind === "ref") words.add(expr);
    if (expr?.kind === "call") add(expr.callee);
  };
  walk(item, (node, parents) => {
    switch (node.kind) {
      case "mask": return add(maskKind(node.value));
      case "probe": return node.entries.forEach(add);
      case "setting":
        if (Object.hasOwn(settingChoices, node.name.text)) node.values.forEach(add);
        return node.block?.forEach(add);
      case "loss": return add(node.space);
      case "learn": return add(node.init);
      case "module": return [...node.config, ...node.inputs].map((f) => f.type).concat(node.result).forEach((type) => add(type?.space));
      case "call":
        // In a recipe there are no modules: `cosine(…)` is a schedule, whatever a model calls one.
        if (parents.some((p) => p.kind === "setting")) add(node.callee);
        for (const { name, value } of node.args) if (name !== undefined && wordArguments.has(name.text)) add(value);
        return node.block?.forEach(add);
      default: return undefined;
    }
  });
  return words;
}

/** The kind of a mask, without how many there are and what is taken away. */
function maskKind(expr: ast.Expr): ast.Expr {
  return expr.kind === "minus" ? maskKind(expr.from) : expr.kind === "of" ? maskKind(expr.item) : expr;
}
