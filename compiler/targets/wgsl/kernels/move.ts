/**
 * Kernels that move rows: gather and scatter by index, concatenation, padding, and the two that make index tensors.
 *
 * Scatter owns a row of the result per workgroup and walks the indices in order, so repeated indices and several copies of
 * an image are added in the same order every time, without atomics.
 */
import type { Dim } from "../../../types/dim.js";
import { add, constantDim, mul, printShape, product } from "../../../types/dim.js";
import type { Computed, Op, Work } from "../graph.js";
import { readsOf } from "../graph.js";
import type { Draft } from "../kernel.js";
import { KernelWriter, MAX_BUFFERS, linearEntry, rowEntry, up } from "../kernel.js";
import { readerFor } from "./elements.js";

/** Rows of each image by index. */
export function gatherDraft(op: Op, work: Extract<Work, { kind: "gather" }>): Draft {
  return copyDraft("gather", "y[r, k] = x[r mod batch, indices[r, k]]: rows by index.", op, work, product([work.indexRows, work.indexLength, work.width]), printShape([work.indexRows, work.indexLength, work.width]));
}

/** Every element by the function that readers of the result could call themselves. */
function copyDraft(name: string, doc: string, op: Op, work: Exclude<Computed, { kind: "map" }>, n: Dim, shape: string): Draft {
  const w = new KernelWriter(name, doc);
  const entry = linearEntry(w.size("n", n));
  const value = readerFor(w, "element", { ...work.out, computed: work });
  return w.finish(`${entry}\n  ${w.write("y", work.out)("i", value("i"))}\n}`, [up(n, 256)], op.origin, shape);
}

/** The gradient of gather. */
export function scatterDraft(op: Op, work: Extract<Work, { kind: "scatter" }>): Draft {
  const w = new KernelWriter("scatter", "Gradient of gather: each row of x gets the sum of the rows taken from it, in order.");
  const rows = mul(work.batch, work.rows);
  const code = `${rowEntry(w.size("all", rows), 64)}
  let image = row / ${w.size("rows", work.rows)};
  let own = i32(row % p.rows);
  for (var column = thread; column < ${w.size("width", work.width)}; column += 64u) {
    var total = 0f;
    for (var r = image; r < ${w.size("index_rows", work.indexRows)}; r += ${w.size("batch", work.batch)}) {
      for (var k = 0u; k < ${w.size("length", work.indexLength)}; k++) {
        let slot = r * p.length + k;
        if (${w.read("indices", work.indices)("slot")} == own) { total += ${readerFor(w, "dy", work.dy)("slot * p.width + column")}; }
      }
    }
    ${w.write("dx", work.out)("row * p.width + column", "total")}
  }
}`;
  return w.finish(code, [rows], op.origin, printShape(work.out.shape));
}

/** Operands one after another along an axis: one dispatch where they fit its bindings, else one for each. */
export function concatDrafts(op: Op, work: Extract<Work, { kind: "concat" }>): Draft[] {
  const whole = work.parts.map((p) => p.size).reduce(add);
  if (new Set(readsOf(work)).size < MAX_BUFFERS) return [copyDraft("concat", "Operands one after another along an axis.", op, work, product([work.outer, whole, work.inner]), printShape([work.outer, whole, work.inner]))];
  let before: Dim = constantDim(0);
  return work.parts.map((part) => {
    const w = new KernelWriter("concat_one", "Writes one operand of a concatenation into its place.");
    const n = product([work.outer, part.size, work.inner]);
    const code = `${linearEntry(w.size("n", n))}
  let piece = ${w.size("piece", mul(part.size, work.inner))};
  ${w.write("y", work.out)(`(i / piece) * ${w.size("whole", mul(whole, work.inner))} + ${w.size("before", mul(before, work.inner))} + i % piece`, readerFor(w, "x", part.x)("i"))}
}`;
    before = add(before, part.size);
    return w.finish(code, [up(n, 256)], op.origin, printShape([work.outer, part.size, work.inner]));
  });
}

/** Zeros around an operand. */
export function padDraft(op: Op, work: Extract<Work, { kind: "pad" }>): Draft {
  return copyDraft("pad", "Zeros before and after x along an axis.", op, work, product([work.outer, add(add(work.before, work.size), work.after), work.inner]), printShape(work.out.shape));
}

/** 0, 1, 2, ... */
export function iotaDraft(op: Op, work: Extract<Work, { kind: "iota" }>): Draft {
  const w = new KernelWriter("iota", "0, 1, 2, ...");
  const n = product(work.out.shape);
  return w.finish(`${linearEntry(w.size("n", n))}\n  ${w.write("y", work.out)("i", "i32(i)")}\n}`, [up(n, 256)], op.origin, printShape(work.out.shape));
}

/** 1 at the index, else 0. */
export function oneHotDraft(op: Op, work: Extract<Work, { kind: "one_hot" }>): Draft {
  const w = new KernelWriter("one_hot", "1 at the index, else 0.");
  const n = product(work.out.shape);
  const code = `${linearEntry(w.size("n", n))}
  ${w.write("y", work.out)("i", `select(0f, 1f, ${w.read("x", work.x)(`i / ${w.size("size", work.size)}`)} == i32(i % p.size))`)}
}`;
  return w.finish(code, [up(n, 256)], op.origin, printShape(work.out.shape));
}
