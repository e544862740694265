/**
 * Built-ins that make a value of every pair of a batch's images, or of its features, and take such a matrix apart.
 *
 * Owns their typing, and which other built-ins a matrix of pairs of images may be given to: its columns are images too, so
 * that what works on features, whose number is known before a run, does not take it. Rows and columns have one name
 * (`over: images` is all pairs), and `over: columns` tells the second from the first. Arithmetic is in `lower/ops.ts`; what a
 * term made of them does to a constant embedding is read by `collapse/own.ts`.
 */
// tidy: table
import { report } from "../messages/report.js";
import { isSquare, isVectors } from "../model/rules.js";
import { equal } from "../types/dim.js";
import { anySpace, isPairwise } from "../types/value-type.js";
import type { BodyCx } from "./body.js";
import { emit } from "./body.js";
import type { Builtin, Call, Tensor } from "./builtin-call.js";
import { number, tensor } from "./builtin-call.js";
import type { ArgValue } from "./expr.js";
import { shapeText } from "./expr.js";
import { spacesMeet } from "./losses.js";
import { poison } from "./values.js";

/** A vector of features for each image, or a report and undefined. */
function vectors(call: Call, name: string): Tensor | undefined {
  const x = tensor(call, name);
  if (x === undefined || isVectors(x.type)) return x;
  const help = x.type.axes.includes("token") ? "`pool(x)` makes one vector of an image's tokens, `flatten(x)` puts them side by side." : "Give it what a network makes of a batch of images.";
  call.cx.diagnostics.add(report("JEP3003", call.args.get(name)?.span ?? call.at, { what: `\`${name}\` of \`${call.name}\``, expected: "one vector of features for each image", found: `${shapeText(x.type)} (${x.type.axes.join(", ")})` }, { help }));
  return undefined;
}

/** The two operands, the first for both where only one is given; undefined after a report. `axis` must be as long in both. */
function pair(call: Call, axis: 0 | 1): readonly [Tensor, Tensor] | undefined {
  const a = vectors(call, "a");
  const b = call.args.has("b") ? vectors(call, "b") : a;
  const [left, right] = [a?.type.shape[axis], b?.type.shape[axis]];
  if (a === undefined || b === undefined || left === undefined || right === undefined) return undefined;
  if (equal(left, right)) return [a, b];
  call.cx.diagnostics.add(report("JEP3001", call.at, { op: call.name, left: shapeText(a.type), right: shapeText(b.type) }));
  return undefined;
}

/** The operand, a square matrix of pairs; or a report and undefined. */
function square(call: Call): Tensor | undefined {
  const x = tensor(call, "x");
  if (x === undefined || isSquare(x.type)) return x;
  call.cx.diagnostics.add(report("JEP3003", call.args.get("x")?.span ?? call.at, { what: `\`x\` of \`${call.name}\``, expected: "a square matrix of pairs", found: `${shapeText(x.type)} (${x.type.axes.join(", ")})` },
    { help: "`similarities(a, b)` makes one of two batches of the same size, `second_moments(a, b)` of features of the same number." }));
  return undefined;
}

/** Built-ins on pairs, by name. */
export const pairBuiltins: Readonly<Record<string, Builtin>> = {
  similarities: {
    formals: ["a", "b?"],
    run: (call) => {
      const [a, b] = pair(call, 1) ?? [];
      if (a === undefined || b === undefined) return poison;
      const spans = [call.args.get("a")?.span ?? call.at, call.args.get("b")?.span ?? call.at] as const;
      if (call.cx.kind === "model") spacesMeet(call.cx, call.name, { value: a, span: spans[0] }, { value: b, span: spans[1] }, call.at);
      const shape = [a.type.shape[0], b.type.shape[0]].flatMap((d) => d ?? []);
      return emit(call.cx, "similarities", [a.id, b.id], {}, { ...a.type, shape, axes: ["batch", "batch"], space: anySpace }, call.at);
    },
  },
  second_moments: {
    formals: ["a", "b?"],
    run: (call) => {
      const [a, b] = pair(call, 0) ?? [];
      if (a === undefined || b === undefined) return poison;
      const shape = [a.type.shape[1], b.type.shape[1]].flatMap((d) => d ?? []);
      return emit(call.cx, "second_moments", [a.id, b.id], {}, { ...a.type, shape, axes: ["feature", "feature"], space: anySpace }, call.at);
    },
  },
  diagonal: {
    formals: ["x"],
    run: (call) => {
      const x = square(call);
      return x === undefined ? poison : emit(call.cx, "diagonal", [x.id], {}, { ...x.type, shape: x.type.shape.slice(0, 1), axes: x.type.axes.slice(0, 1) }, call.at);
    },
  },
  off_diagonal: {
    formals: ["x", "fill?"],
    run: (call) => {
      const x = square(call);
      const value = number(call, "fill", 0);
      return x === undefined || value === undefined ? poison : emit(call.cx, "off_diagonal", [x.id], { value }, x.type, call.at);
    },
  },
};

/** Built-ins that work on numbers, whatever they are of. */
const takesPairs: ReadonlySet<string> = new Set([
  "diagonal", "off_diagonal", "transpose", "mean", "sum", "softmax", "log_softmax", "stopgrad", "average",
  "gelu", "relu", "tanh", "sigmoid", "exp", "log", "sqrt", "square", "abs", "smooth_l1", "mse", "l1", "cross_entropy",
]);

/** Whether a built-in or loss is given a matrix of pairs of images that it cannot take; reports it. */
export function refusesPairs(cx: BodyCx, name: string, args: readonly ArgValue[]): boolean {
  const odd = takesPairs.has(name) ? undefined : args.find(({ value }) => value.kind === "tensor" && isPairwise(value.type) && value.type.axes[0] === "batch");
  if (odd?.value.kind !== "tensor") return false;
  cx.diagnostics.add(report("JEP3003", odd.span, { what: `an operand of \`${name}\``, expected: "a value with features", found: `${shapeText(odd.value.type)} (${odd.value.type.axes.join(", ")})` },
    { help: "A matrix of pairs of images takes arithmetic, functions of numbers, `softmax`, reductions, `diagonal` and `off_diagonal`, and `@` with a batch." }));
  return true;
}
