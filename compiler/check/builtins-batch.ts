/**
 * Built-ins that look across the batch or hold state: running statistics, centers, whitening, balanced codes, codebooks.
 *
 * What they have in common is that a row of the result depends on other rows, or on what earlier steps left behind, which
 * is why the collapse analysis must see them as ops of their own. Owns typing only; arithmetic is in `lower/batch-ops.ts`.
 */
// tidy: table
import { report } from "../messages/report.js";
import { constantDim, constantOf } from "../types/dim.js";
import { emit } from "./body.js";
import type { Builtin, Call, Tensor } from "./builtin-call.js";
import { count, tensor, within } from "./builtin-call.js";
import { shapeText } from "./expr.js";
import { poison } from "./values.js";

/**
 * `name: a state as wide as x`, for running statistics. The step writes to it, so that it must be a `state` of this very body:
 * not a value, not a parameter that learns, and within `repeat` not one of outside, which each round would want to move.
 */
function stateFor(call: Call, name: string, x: Tensor, other?: Tensor): Tensor | undefined {
  const vector = tensor(call, name);
  const width = x.type.shape.at(-1);
  if (vector === undefined || width === undefined) return undefined;
  const role = roleOf(call, vector);
  if (role !== "state" || other?.id === vector.id) {
    const found = role === "state" ? "that of another argument" : role === undefined ? "a value" : role === "outside" ? "declared outside of `repeat`" : `declared by \`${role}\``;
    const help = role === "outside" ? { help: "Let a module declare it, and repeat the module: each round then has its own." } : {};
    call.cx.diagnostics.add(report("JEP2010", call.args.get(name)?.span ?? call.at, { what: `\`${name}\` of \`${call.name}\``, expected: "a state such as `state running[width] ~ zeros`", found }, help));
    return undefined;
  }
  if (vector.type.shape.length === 1 && constantOf(vector.type.shape[0] ?? constantDim(0)) === constantOf(width)) return vector;
  call.cx.diagnostics.add(report("JEP3001", call.at, { op: call.name, left: shapeText(x.type), right: shapeText(vector.type) }));
  return undefined;
}

/** How a vector was declared in this body; undefined where it was not. */
function roleOf({ cx }: Call, vector: Tensor): string | undefined {
  const { op, attrs } = cx.nodes[vector.id] ?? { op: "input", attrs: {} };
  if (op === "param") return cx.params.get(attrs.path ?? "")?.role;
  return op === "input" && cx.kind === "repeat" && [...cx.captured.values()].includes(vector.id) ? "outside" : undefined;
}

const rounds = (call: Call, fallback: number): number | undefined => (call.args.has("iterations") ? count(call, "iterations") : fallback);

/** Built-ins over the batch, by name. */
export const batchBuiltins: Readonly<Record<string, Builtin>> = {
  standardize: {
    formals: ["x", "mean", "variance", "eps?", "momentum?"],
    run: (call) => {
      const x = tensor(call, "x");
      if (x === undefined) return poison;
      const mean = stateFor(call, "mean", x);
      const variance = mean === undefined ? undefined : stateFor(call, "variance", x, mean);
      const eps = within(call, "eps", 1e-5, 0, 1);
      const momentum = within(call, "momentum", 0.1, 0, 1);
      if (mean === undefined || variance === undefined || eps === undefined || momentum === undefined) return poison;
      return emit(call.cx, "batch_norm", [x.id, mean.id, variance.id], { eps, momentum }, x.type, call.at);
    },
  },
  recenter: {
    formals: ["x", "running", "momentum?"],
    run: (call) => {
      const x = tensor(call, "x");
      const running = x === undefined ? undefined : stateFor(call, "running", x);
      const momentum = within(call, "momentum", 0.9, 0, 1);
      return x === undefined || running === undefined || momentum === undefined ? poison : emit(call.cx, "center", [x.id, running.id], { momentum }, x.type, call.at);
    },
  },
  whiten: {
    formals: ["x", "eps?", "iterations?"],
    run: (call) => {
      const x = tensor(call, "x");
      const eps = within(call, "eps", 1e-3, 0, 1);
      const iterations = rounds(call, 7);
      return x === undefined || eps === undefined || iterations === undefined ? poison : emit(call.cx, "whiten", [x.id], { eps, iterations }, x.type, call.at);
    },
  },
  sinkhorn: {
    formals: ["x", "temperature?", "iterations?"],
    run: (call) => {
      const x = tensor(call, "x");
      const temperature = within(call, "temperature", 0.05, 1e-6, 1e6);
      const iterations = rounds(call, 3);
      if (x === undefined || temperature === undefined || iterations === undefined) return poison;
      return emit(call.cx, "sinkhorn", [x.id], { temperature, iterations }, { ...x.type, space: { kind: "logits" } }, call.at);
    },
  },
  assign: {
    formals: ["x", "codebook", "temperature?"],
    run: (call) => {
      const x = tensor(call, "x");
      const codebook = tensor(call, "codebook");
      const temperature = within(call, "temperature", 1, 1e-6, 1e6);
      if (x === undefined || codebook === undefined || temperature === undefined) return poison;
      const [codes, width] = codebook.type.shape;
      const own = x.type.shape.at(-1);
      if (codes === undefined || width === undefined || own === undefined || codebook.type.shape.length !== 2 || constantOf(width) !== constantOf(own)) {
        call.cx.diagnostics.add(report("JEP3001", call.at, { op: "assign", left: shapeText(x.type), right: shapeText(codebook.type) }));
        return poison;
      }
      return emit(call.cx, "assign", [x.id, codebook.id], { temperature }, { ...x.type, shape: [...x.type.shape.slice(0, -1), codes], space: { kind: "logits" } }, call.at);
    },
  },
};
