/**
 * Kernels that move rows: gather and scatter by index, concatenation, padding, and the two that make index tensors.
 *
 * Scatter owns a row of the result per workgroup and walks the indices in order, so repeated indices and several copies of
 * an image are added in the same order every time, without atomics.
 */
import type { Dim } from "../../../types/dim.js";
import { add, constantDim, mul, printShape, product } from "../../../types/dim.js";
import type { Op, Work } from "../graph.js";
import type { Draft } from "../kernel.js";
import { KernelWriter, linearEntry, rowEntry, up } from "../kernel.js";

/** Rows of each image by index. */
export function gatherDraft(op: Op, work: Extract<Work, { kind: "gather" }>): Draft {
  const w = new KernelWriter("gather", "y[r, k] = x[r mod batch, indices[r, k]]: rows by index.");
  const n = product([work.indexRows, work.indexLength, work.width]);
  const code = `${linearEntry(w.size("n", n))}
  let slot = i / ${w.size("width", work.width)};
  let image = (slot / ${w.size("length", work.indexLength)}) % ${w.size("batch", work.batch)};
  let row = u32(${w.read("indices", work.indices)("slot")});
  ${w.write("y", work.out)("i", w.read("x", work.x)(`(image * ${w.size("rows", work.rows)} + row) * p.width + i % p.width`))}
}`;
  return w.finish(code, [up(n, 256)], op.origin, printShape([work.indexRows, work.indexLength, work.width]));
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
        if (${w.read("indices", work.indices)("slot")} == own) { total += ${w.read("dy", work.dy)("slot * p.width + column")}; }
      }
    }
    ${w.write("dx", work.out)("row * p.width + column", "total")}
  }
}`;
  return w.finish(code, [rows], op.origin, printShape(work.out.shape));
}

/** Operands one after another along an axis: a dispatch for each, so that any number of them fits. */
export function concatDrafts(op: Op, work: Extract<Work, { kind: "concat" }>): Draft[] {
  let before: Dim = constantDim(0);
  const whole = work.parts.map((p) => p.size).reduce(add);
  return work.parts.map((part) => {
    const w = new KernelWriter("concat", "Writes one operand of a concatenation into its place.");
    const n = product([work.outer, part.size, work.inner]);
    const code = `${linearEntry(w.size("n", n))}
  let piece = ${w.size("piece", mul(part.size, work.inner))};
  ${w.write("y", work.out)(`(i / piece) * ${w.size("whole", mul(whole, work.inner))} + ${w.size("before", mul(before, work.inner))} + i % piece`, w.read("x", part.x)("i"))}
}`;
    before = add(before, part.size);
    return w.finish(code, [up(n, 256)], op.origin, printShape([work.outer, part.size, work.inner]));
  });
}

/** Zeros around an operand. */
export function padDraft(op: Op, work: Extract<Work, { kind: "pad" }>): Draft {
  const w = new KernelWriter("pad", "Zeros before and after x along an axis.");
  const whole = add(add(work.before, work.size), work.after);
  const n = product([work.outer, whole, work.inner]);
  const code = `${linearEntry(w.size("n", n))}
  let inner = i % ${w.size("inner", work.inner)};
  let rest = i / p.inner;
  let j = rest % ${w.size("whole", whole)};
  let inside = j >= ${w.size("before", work.before)} && j < p.before + ${w.size("size", work.size)};
  var v = 0f;
  if (inside) { v = ${w.read("x", work.x)("((rest / p.whole) * p.size + j - p.before) * p.inner + inner")}; }
  ${w.write("y", work.out)("i", "v")}
}`;
  return w.finish(code, [up(n, 256)], op.origin, printShape(work.out.shape));
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
