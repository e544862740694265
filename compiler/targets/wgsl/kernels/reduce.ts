/**
 * Reductions, each in an order that does not change from run to run.
 *
 * Elements are seen as `[outer, red, inner]`. Where `inner` is 1 a workgroup folds a row; else a thread folds a column, so
 * that neighbours read neighbours. Where too few results would leave a device idle, `red` is cut into a number of parts
 * fixed at compile time, made side by side and then added in order. No atomics anywhere.
 */
import type { Dim } from "../../../types/dim.js";
import { add, constantDim, constantOf, mul, printShape, product } from "../../../types/dim.js";
import type { Op, Tensor, Work } from "../graph.js";
import type { Draft, Limits } from "../kernel.js";
import { KernelWriter, linearEntry, rowEntry, up } from "../kernel.js";
import { partsDraft } from "./sums.js";

type Reduce = Extract<Work, { kind: "reduce" }>;
type How = Reduce["how"];

const one = constantDim(1);

/** A sum, mean or maximum. */
export function reduceDrafts(cx: Limits, op: Op, work: Reduce): Draft[] {
  const results = cx.bound(work.outer) * cx.bound(work.inner);
  const red = cx.bound(work.red);
  const rows = constantOf(work.inner) === 1;
  const busy = rows ? 64 : 16384;
  const parts = results >= busy || red < 256 ? 1 : Math.max(1, Math.min(Math.floor(red / 64), Math.ceil(busy / Math.max(1, results)), 256));
  if (parts === 1) return [foldDraft(op, { ...work, parts: 1, count: work.red })];
  const target = cx.scratch([work.outer, constantDim(parts), work.inner], "parts");
  const first = foldDraft(op, { ...work, how: work.how === "mean" ? "sum" : work.how, out: target, parts, count: work.red });
  return [first, foldDraft(op, { ...work, x: target, red: constantDim(parts), parts: 1, count: work.red })];
}

interface Fold {
  readonly how: How;
  readonly x: Tensor;
  readonly out: Tensor;
  readonly outer: Dim;
  readonly red: Dim;
  readonly inner: Dim;
  readonly parts: number;
  /** What a mean divides by. */
  readonly count: Dim;
}

const start: Readonly<Record<How, string>> = { sum: "0f", mean: "0f", max: "-3.4e38f" };
const step = (how: How, a: string, b: string): string => (how === "max" ? `max(${a}, ${b})` : `${a} + ${b}`);

/** One stage: `out[outer, parts, inner]`. */
function foldDraft(op: Op, f: Fold): Draft {
  return constantOf(f.inner) === 1 ? rowFold(op, f) : columnFold(op, f);
}

function rowFold(op: Op, f: Fold): Draft {
  const w = new KernelWriter(`reduce_rows_${f.how}`, `${f.how} of each row, a workgroup for a row; strides of 64 and then a tree, always in this order.`);
  const rows = mul(f.outer, constantDim(f.parts));
  const parts = constantDim(f.parts);
  const code = `${w.fold(f.how, 64, (a, b) => step(f.how, a, b))}

${rowEntry(w.size("rows", rows), 64)}
  let part = row % ${w.size("parts", parts)};
  let begin = part * ${w.size("chunk", up(f.red, f.parts))};
  let end = min(begin + p.chunk, ${w.size("red", f.red)});
  let at = (row / p.parts) * p.red;
  var total = ${start[f.how]};
  for (var j = begin + thread; j < end; j += 64u) { total = ${step(f.how, "total", w.read("x", f.x)("at + j"))}; }
  let result = all_${f.how}(thread, total);
  if (thread == 0u) { ${w.write("y", f.out)("row", `result${f.how === "mean" ? ` / f32(${w.size("count", f.count)})` : ""}`)} }
}`;
  return w.finish(code, [rows], op.origin, printShape([f.outer, f.red]));
}

function columnFold(op: Op, f: Fold): Draft {
  const w = new KernelWriter(`reduce_columns_${f.how}`, `${f.how} over the middle axis of [outer, red, inner], a thread for a result, in order.`);
  const n = product([f.outer, constantDim(f.parts), f.inner]);
  const code = `${linearEntry(w.size("n", n), 64)}
  let column = i % ${w.size("inner", f.inner)};
  let rest = i / p.inner;
  let part = rest % ${w.size("parts", constantDim(f.parts))};
  let at = (rest / p.parts) * ${w.size("red", f.red)};
  let begin = part * ${w.size("chunk", up(f.red, f.parts))};
  let end = min(begin + p.chunk, p.red);
  var total = ${start[f.how]};
  for (var j = begin; j < end; j++) { total = ${step(f.how, "total", w.read("x", f.x)("(at + j) * p.inner + column"))}; }
  ${w.write("y", f.out)("i", `total${f.how === "mean" ? ` / f32(${w.size("count", f.count)})` : ""}`)}
}`;
  return w.finish(code, [up(n, 64)], op.origin, printShape([f.outer, f.red, f.inner]));
}

/** The mean of smooth L1 over all elements and, in the same sweep, its derivative by the first operand. */
export function lossDrafts(cx: Limits, op: Op, work: Extract<Work, { kind: "smooth_l1_mean" }>, wantsSlope: boolean): Draft[] {
  const n = product(work.slope.shape);
  const parts = Math.max(1, Math.min(256, Math.ceil(cx.bound(n) / 1024)));
  const target = cx.scratch([constantDim(parts)], "parts");
  const w = new KernelWriter(wantsSlope ? "smooth_l1_slope" : "smooth_l1", `Sums of smooth L1 over parts of the elements${wantsSlope ? ", and the derivative of its mean" : ""}.`);
  const [a, b] = [w.read("a", work.a), w.read("b", work.b)];
  const slope = wantsSlope ? `\n    ${w.write("slope", work.slope)("j", `clamp(d / beta, -1f, 1f) / f32(${w.size("n", n)})`)}` : "";
  const code = `const beta = ${work.beta}f;

${w.fold("sum", 256, (x, y) => `${x} + ${y}`)}

${rowEntry(w.size("parts", constantDim(parts)), 256)}
  let begin = row * ${w.size("chunk", up(n, parts))};
  let end = min(begin + p.chunk, ${w.size("n", n)});
  var total = 0f;
  for (var j = begin + thread; j < end; j += 256u) {
    let d = ${a("j")} - ${b("j")};
    total += smooth_l1(d, beta);${slope}
  }
  let result = all_sum(thread, total);
  if (thread == 0u) { ${w.write("y", target)("row", "result")} }
}`;
  const first = w.finish(code, [constantDim(parts)], op.origin, printShape(work.slope.shape));
  return [first, foldDraft(op, { how: "mean", x: target, out: work.loss, outer: one, red: constantDim(parts), inner: one, parts: 1, count: n })];
}

/** Gradients of a norm's scale and offset: column sums of `dout * y` and of `dout`, in blocks of rows that are then added. */
export function affineDrafts(cx: Limits, op: Op, work: Extract<Work, { kind: "norm_grad_affine" }>): Draft[] {
  const { rows, width } = work;
  const parts = Math.max(1, Math.min(64, Math.ceil(cx.bound(rows) / 64)));
  const stride = add(width, width);
  const target = cx.scratch([constantDim(parts), stride], "parts");
  const w = new KernelWriter("norm_grad_affine", "Gradients of a norm's scale and offset: column sums of dout * y and of dout over blocks of rows.");
  const n = mul(constantDim(parts), width);
  const code = `${linearEntry(w.size("n", n), 64)}
  let column = i % ${w.size("width", width)};
  let part = i / p.width;
  let begin = part * ${w.size("chunk", up(rows, parts))};
  let end = min(begin + p.chunk, ${w.size("rows", rows)});
  var scale = 0f;
  var offset = 0f;
  for (var j = begin; j < end; j++) {
    let d = ${w.read("dout", work.dout)("j * p.width + column")};
    scale += d * ${w.read("x", work.y)("j * p.width + column")};
    offset += d;
  }
  ${w.write("y", target)("part * 2u * p.width + column", "scale")}
  ${w.write("y", target)("(part * 2u + 1u) * p.width + column", "offset")}
}`;
  return [w.finish(code, [up(n, 64)], op.origin, printShape([rows, width])), partsDraft(op, { x: target, parts, stride, size: width, first: work.dscale, second: work.doffset })];
}
