/**
 * Built-ins that put values together and take them apart: batches, features, moments of time, masked tokens.
 *
 * Owns their typing. The rows of a union are the rows of its operands one after the other, so a statistic over the union
 * is one over all views; `separate` gives the parts back. `earlier` and `later` pair each moment with the one after it.
 */
// tidy: table
import { report } from "../messages/report.js";
import { constantDim, constantOf, divide, equalShapes, total } from "../types/dim.js";
import type { ValueType } from "../types/value-type.js";
import { isPairwise, samePositions } from "../types/value-type.js";
import { emit } from "./body.js";
import type { Builtin, Call, Tensor } from "./builtin-call.js";
import { count, maskName, sides, tensor } from "./builtin-call.js";
import { shapeText } from "./expr.js";
import { replaceAt, tubes } from "./positions.js";
import { describe, poison } from "./values.js";
import type { Value } from "./values.js";

function tensors(call: Call): Tensor[] | undefined {
  const found: Tensor[] = [];
  for (const arg of call.rest) {
    if (arg.value.kind === "tensor") found.push(arg.value);
    else {
      if (arg.value.kind !== "poison") call.cx.diagnostics.add(report("JEP2010", arg.span, { what: `an operand of \`${call.name}\``, expected: "a tensor", found: describe(arg.value) }));
      return undefined;
    }
  }
  if (found.length > 0) return found;
  call.cx.diagnostics.add(report("JEP2005", call.at, { callee: call.name, name: "x" }));
  return undefined;
}

/** Whether operands agree in all but one axis; reports where not. */
function agree(call: Call, items: readonly Tensor[], strip: (type: ValueType) => ValueType["shape"]): boolean {
  const first = items[0];
  if (first === undefined) return false;
  for (const item of items) {
    if (item.type.axes.join() === first.type.axes.join() && equalShapes(strip(item.type), strip(first.type)) && samePositions(item.type.positions, first.type.positions)) continue;
    call.cx.diagnostics.add(report("JEP3001", call.at, { op: call.name, left: shapeText(first.type), right: shapeText(item.type) }));
    return false;
  }
  return true;
}

const shifted = (which: "earlier" | "later"): Builtin => ({
  formals: ["x", "by?"],
  run: (call) => {
    const x = tensor(call, "x");
    const by = call.args.has("by") ? count(call, "by") : 1;
    if (x === undefined || by === undefined) return poison;
    const axis = x.type.axes.indexOf("time");
    const length = x.type.shape[axis];
    const moments = length === undefined ? undefined : constantOf(length);
    if (moments === undefined || by >= moments) {
      call.cx.diagnostics.add(report("JEP3004", call.at, { op: `${call.name} by ${by}`, axis: "time", axes: `${x.type.axes.join(", ")} of ${shapeText(x.type)}` }, { help: moments === undefined ? "Only what has moments has others beside them: frames of a `Video` under an encoder of pictures, or rows of `Action[moments, size]`." : `There are ${moments} moments: give \`by\` at most ${moments - 1}.` }));
      return poison;
    }
    const type = { ...x.type, shape: x.type.shape.map((d, i) => (i === axis ? constantDim(moments - by) : d)) };
    return emit(call.cx, "slice_time", [x.id], { start: which === "later" ? by : 0, size: moments - by }, type, call.at);
  },
});

/** Built-ins that join and part values, by name. */
export const joinBuiltins: Readonly<Record<string, Builtin>> = {
  union: {
    formals: ["..."],
    run: (call) => {
      const items = tensors(call);
      const first = items?.[0];
      if (items === undefined || first === undefined || !agree(call, items, (t) => t.shape.slice(1))) return poison;
      if (first.type.axes[0] !== "batch") {
        call.cx.diagnostics.add(report("JEP3003", call.at, { what: "an operand of `union`", expected: "a batch", found: shapeText(first.type) }));
        return poison;
      }
      const rows = total(items.map((x) => x.type.shape[0] ?? constantDim(0)));
      return emit(call.cx, "union", items.map((x) => x.id), {}, { ...first.type, shape: [rows, ...first.type.shape.slice(1)] }, call.at);
    },
  },
  separate: {
    formals: ["x", "into"],
    run: (call) => {
      const x = tensor(call, "x");
      const into = count(call, "into");
      if (x === undefined || into === undefined) return poison;
      const rows = x.type.shape[0] === undefined || x.type.axes[0] !== "batch" || into > 1024 ? undefined : divide(x.type.shape[0], constantDim(into));
      if (rows === undefined) {
        call.cx.diagnostics.add(report("JEP3003", call.at, { what: "the operand of `separate`", expected: `a union of ${into} batches`, found: shapeText(x.type) }));
        return poison;
      }
      const type = { ...x.type, shape: [rows, ...x.type.shape.slice(1)] };
      return { kind: "list", items: Array.from({ length: into }, (_, index): Value => emit(call.cx, "slice_batch", [x.id], { index, count: into }, type, call.at)) };
    },
  },
  join: {
    formals: ["..."],
    run: (call) => {
      const items = tensors(call);
      const first = items?.[0];
      if (items === undefined || first === undefined || !agree(call, items, (t) => t.shape.slice(0, -1))) return poison;
      const width = total(items.map((x) => x.type.shape.at(-1) ?? constantDim(0)));
      return emit(call.cx, "join_features", items.map((x) => x.id), {}, { ...first.type, shape: [...first.type.shape.slice(0, -1), width] }, call.at);
    },
  },
  average: {
    formals: ["..."],
    run: (call) => {
      const items = tensors(call);
      const first = items?.[0];
      if (items === undefined || first === undefined || !agree(call, items, (t) => t.shape)) return poison;
      const sum = items.slice(1).reduce<Tensor>((acc, x) => emit(call.cx, "add", [acc.id, x.id], {}, acc.type, call.at), first);
      return items.length === 1 ? first : emit(call.cx, "scale", [sum.id], { value: 1 / items.length }, first.type, call.at);
    },
  },
  earlier: shifted("earlier"),
  later: shifted("later"),
  tubes: {
    formals: ["video", "patch", "frames"],
    run: (call) => {
      const video = tensor(call, "video");
      const patch = sides(call, "patch");
      const frames = count(call, "frames");
      return video === undefined || patch === undefined || frames === undefined ? poison : tubes(call.cx, video, patch, frames, call.at);
    },
  },
  transpose: {
    formals: ["x"],
    run: (call) => {
      const x = tensor(call, "x");
      if (x === undefined) return poison;
      if (x.type.shape.length === 2 && (isPairwise(x.type) || !x.type.axes.includes("batch"))) return emit(call.cx, "transpose", [x.id], {}, { ...x.type, shape: [...x.type.shape].reverse() }, call.at);
      call.cx.diagnostics.add(report("JEP3003", call.at, { what: "the operand of `transpose`", expected: "a matrix of parameters or of pairs", found: shapeText(x.type) }));
      return poison;
    },
  },
  replace: {
    formals: ["x", "vector", "at"],
    run: (call) => {
      const x = tensor(call, "x");
      const vector = tensor(call, "vector");
      const mask = maskName(call, "at");
      return x === undefined || vector === undefined || mask === undefined ? poison : replaceAt(call.cx, x, vector, mask, call.at);
    },
  },
};
