/**
 * The mean of smooth L1 and its derivative in one sweep, with the target made on the way where only the loss reads it.
 *
 * Elements, or rows of the target, are cut into parts fixed at compile time; each leaves a sum, and the sums are folded in a
 * tree, so the loss has the same bits in every run. The derivative needs no second sweep because it does not depend on the
 * mean.
 */
import { constantDim, printShape, product } from "../../../types/dim.js";
import type { Op, TargetRows, Tensor, Work } from "../graph.js";
import type { Draft, Limits } from "../kernel.js";
import { KernelWriter, rowEntry, rowThreads, up } from "../kernel.js";
import { literal } from "../lowering.js";
import { readerFor } from "./elements.js";
import { foldDraft } from "./reduce.js";

type Loss = Extract<Work, { kind: "smooth_l1_mean" }>;

const one = constantDim(1);

/** The sweep, how many parts it leaves, and where. */
interface LossParts {
  readonly first: Draft;
  readonly parts: number;
  readonly sums: Tensor;
}

/** The mean of smooth L1 over all elements and, in the same sweep, its derivative by the first operand. */
export function lossDrafts(cx: Limits, op: Op, work: Loss, wantsSlope: boolean): Draft[] {
  const n = product(work.slope.shape);
  const { first, parts, sums } = work.target === undefined ? elementLoss(cx, op, work, wantsSlope) : targetLoss(cx, op, work, work.target, wantsSlope);
  return [first, foldDraft(cx, op, { how: "mean", x: sums, out: work.loss, outer: one, red: constantDim(parts), inner: one, parts: 1, count: n })];
}

function elementLoss(cx: Limits, op: Op, work: Loss, wantsSlope: boolean): LossParts {
  const threads = rowThreads(cx, 256);
  const n = product(work.slope.shape);
  const parts = Math.max(1, Math.min(256, Math.ceil(cx.bound(n) / 1024)));
  const target = cx.scratch([constantDim(parts)], "parts");
  const w = new KernelWriter(wantsSlope ? "smooth_l1_slope" : "smooth_l1", `Sums of smooth L1 over parts of the elements${wantsSlope ? ", and the derivative of its mean" : ""}.`);
  const [a, b] = [readerFor(w, "a", work.a), readerFor(w, "b", work.b)];
  const slope = wantsSlope ? `\n    ${w.write("slope", work.slope)("j", `clamp(d / beta, -1f, 1f) / f32(${w.size("n", n)})`)}` : "";
  const code = `const beta = ${work.beta}f;

${w.fold("sum", threads, (x, y) => `${x} + ${y}`)}

${rowEntry(w.size("parts", constantDim(parts)), threads)}
  let begin = row * ${w.size("chunk", up(n, parts))};
  let end = min(begin + p.chunk, ${w.size("n", n)});
  var total = 0f;
  for (var j = begin + thread; j < end; j += ${threads}u) {
    let d = ${a("j")} - ${b("j")};
    total += smooth_l1(d, beta);${slope}
  }
  let result = all_sum(thread, total);
  if (thread == 0u) { ${w.write("y", target)("row", "result")} }
}`;
  return { first: w.finish(code, [constantDim(parts)], op.origin, printShape(work.slope.shape)), parts, sums: target };
}

/** The same over rows of a target that is normalized here, and picked by index. */
function targetLoss(cx: Limits, op: Op, work: Loss, { eps, pick }: TargetRows, wantsSlope: boolean): LossParts {
  const threads = rowThreads(cx, 128);
  const n = product(work.slope.shape);
  const rows = product(work.slope.shape.slice(0, -1));
  const parts = Math.max(1, Math.min(512, Math.ceil(cx.bound(rows) / 8)));
  const sums = cx.scratch([constantDim(parts)], "parts");
  const w = new KernelWriter(wantsSlope ? "target_smooth_l1_slope" : "target_smooth_l1",
    `Smooth L1 of a and the rows of b, each normalized${pick === undefined ? "" : " and picked by index"}: sums over blocks of rows${wantsSlope ? ", and the derivative of the mean" : ""}.`);
  const [a, b] = [readerFor(w, "a", work.a), w.read("b", work.b)];
  const source = pick === undefined ? "r" : `((r / ${w.size("length", pick.indexLength)}) % ${w.size("batch", pick.batch)}) * ${w.size("rows", pick.rows)} + u32(${w.read("indices", pick.indices)("r")})`;
  const slope = wantsSlope ? `\n      ${w.write("slope", work.slope)("r * p.width + j", `clamp(d / beta, -1f, 1f) / f32(${w.size("n", n)})`)}` : "";
  const each = (text: string): string => `for (var j = thread; j < p.width; j += ${threads}u) { ${text} }`;
  const code = `const beta = ${work.beta}f;

${w.fold("sum", threads, (x, y) => `${x} + ${y}`)}

${rowEntry(w.size("parts", constantDim(parts)), threads)}
  let begin = row * ${w.size("chunk", up(rows, parts))};
  let end = min(begin + p.chunk, ${w.size("all_rows", rows)});
  var total = 0f;
  for (var r = begin; r < end; r++) {
    let first = (${source}) * ${w.size("width", work.slope.shape.at(-1) ?? one)};
    var part = 0f;
    ${each(`part += ${b("first + j")};`)}
    let mean = all_sum(thread, part) / f32(p.width);
    part = 0f;
    ${each(`let c = ${b("first + j")} - mean; part += c * c;`)}
    let q = 1f / sqrt(all_sum(thread, part) / f32(p.width) + ${literal(eps)});
    for (var j = thread; j < p.width; j += ${threads}u) {
      let d = ${a("r * p.width + j")} - (${b("first + j")} - mean) * q;
      total += smooth_l1(d, beta);${slope}
    }
  }
  let result = all_sum(thread, total);
  if (thread == 0u) { ${w.write("y", sums)("row", "result")} }
}`;
  return { first: w.finish(code, [constantDim(parts)], op.origin, printShape(work.slope.shape)), parts, sums };
}
