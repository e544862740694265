/**
 * Kernels over the last axis, a workgroup for each row: softmax, norms, and their gradients.
 *
 * A row is read two or three times rather than kept, so that any width fits; sums go in strides of the workgroup (64 threads,
 * 4 where a processor stands in for a GPU) and then through a tree, in the same order every time. Results that nobody reads are not written.
 */
import type { Dim } from "../../../types/dim.js";
import { constantDim, printShape, product } from "../../../types/dim.js";
import type { Op, Tensor, Work } from "../graph.js";
import type { Draft, Limits } from "../kernel.js";
import { KernelWriter, rowEntry, rowThreads } from "../kernel.js";
import { literal } from "../lowering.js";
import { readerFor } from "./elements.js";
import { finishLines, finishWords } from "./map.js";

const THREADS = 64;
const sum = (w: KernelWriter, threads: number, type: "f32" | "vec2<f32>" = "f32"): string => w.fold("sum", threads, (a, b) => `${a} + ${b}`, type);
const max = (w: KernelWriter, threads: number): string => w.fold("max", threads, (a, b) => `max(${a}, ${b})`);

function sizes(shape: readonly Dim[]): { rows: Dim; width: Dim } {
  return { rows: product(shape.slice(0, -1)), width: shape.at(-1) ?? constantDim(1) };
}

/** softmax and log_softmax. */
export function rowsDraft(cx: Limits, op: Op, work: Extract<Work, { kind: "rows" }>): Draft {
  const { rows, width } = sizes(work.out.shape);
  const threads = rowThreads(cx, THREADS);
  const w = new KernelWriter(work.how, work.how === "softmax" ? "e^x / sum e^x over each row." : "x - log sum e^x over each row.");
  const [x, y] = [w.read("x", work.x), w.write("y", work.out)];
  const store = work.how === "softmax" ? `exp(${x("at + j")} - top) / total` : `${x("at + j")} - top - log(total)`;
  const code = `${max(w, threads)}

${sum(w, threads)}

${rowEntry(w.size("rows", rows), threads)}
  let at = row * ${w.size("width", width)};
  var most = -3.4e38f;
  for (var j = thread; j < p.width; j += ${threads}u) { most = max(most, ${x("at + j")}); }
  let top = all_max(thread, most);
  var part = 0f;
  for (var j = thread; j < p.width; j += ${threads}u) { part += exp(${x("at + j")} - top); }
  let total = all_sum(thread, part);
  for (var j = thread; j < p.width; j += ${threads}u) { ${y("at + j", store)} }
}`;
  return w.finish(code, [rows], op.origin, printShape(work.out.shape));
}

/** Their gradients. */
export function rowsGradDraft(cx: Limits, op: Op, work: Extract<Work, { kind: "rows_grad" }>): Draft {
  const { rows, width } = sizes(work.out.shape);
  const threads = rowThreads(cx, THREADS);
  const soft = work.how === "softmax";
  const w = new KernelWriter(`${work.how}_grad`, soft ? "y * (dy - sum(y * dy)) over each row." : "dy - e^y * sum(dy) over each row.");
  const [y, dy, dx] = [w.read("y", work.y), w.read("dy", work.dy), w.write("dx", work.out)];
  const code = `${sum(w, threads)}

${rowEntry(w.size("rows", rows), threads)}
  let at = row * ${w.size("width", width)};
  var part = 0f;
  for (var j = thread; j < p.width; j += ${threads}u) { part += ${soft ? `${y("at + j")} * ` : ""}${dy("at + j")}; }
  let total = all_sum(thread, part);
  for (var j = thread; j < p.width; j += ${threads}u) { ${dx("at + j", soft ? `${y("at + j")} * (${dy("at + j")} - total)` : `${dy("at + j")} - exp(${y("at + j")}) * total`)} }
}`;
  return w.finish(code, [rows], op.origin, printShape(work.out.shape));
}

/** normalize and layer_norm; `live` says which results are read. */
export function normDraft(cx: Limits, op: Op, work: Extract<Work, { kind: "norm" }>, live: (t: Tensor) => boolean): Draft {
  const { rows, width } = sizes(work.y.shape);
  const threads = rowThreads(cx, THREADS);
  const { affine } = work;
  const w = new KernelWriter(affine === undefined ? "normalize" : "layer_norm", `(x - mean) / sqrt(variance + eps) over each row${affine === undefined ? "" : ", times scale plus offset"}.`);
  const x = readerFor(w, "x", work.x);
  const stores = [
    ...(live(work.y) ? [w.write("y", work.y)("at + j", "y_j")] : []),
    ...(affine !== undefined && live(affine.out) ? [w.write("out", affine.out)("at + j", `y_j * ${w.read("scale", affine.scale)("j")} + ${w.read("offset", affine.offset)("j")}`)] : []),
  ];
  const rstd = live(work.rstd) ? `\n  if (thread == 0u) { ${w.write("rstd", work.rstd)("row", "r")} }` : "";
  const code = `${sum(w, threads)}

${rowEntry(w.size("rows", rows), threads)}
  let at = row * ${w.size("width", width)};
  var part = 0f;
  for (var j = thread; j < p.width; j += ${threads}u) { part += ${x("at + j")}; }
  let mean = all_sum(thread, part) / f32(p.width);
  part = 0f;
  for (var j = thread; j < p.width; j += ${threads}u) { let d = ${x("at + j")} - mean; part += d * d; }
  let r = 1f / sqrt(all_sum(thread, part) / f32(p.width) + ${literal(work.eps)});
  for (var j = thread; j < p.width; j += ${threads}u) {
    let y_j = (${x("at + j")} - mean) * r;
    ${stores.join("\n    ")}
  }${rstd}
}`;
  return w.finish(code, [rows], op.origin, printShape(work.y.shape));
}

/** Gradient by what was normalized, with an epilogue (as a rule the residual's gradient is added). */
export function normGradDraft(cx: Limits, op: Op, work: Extract<Work, { kind: "norm_grad" }>): Draft {
  const { rows, width } = sizes(work.out.shape);
  const threads = rowThreads(cx, THREADS);
  const w = new KernelWriter(work.scale === undefined ? "normalize_grad" : "layer_norm_grad", `dx = rstd * (d - mean(d) - n * mean(n * d)) over each row, d = dy${work.scale === undefined ? "" : " * scale"}; `);
  const [y, rstd, dy] = [w.read("n", work.y), w.read("rstd", work.rstd), readerFor(w, "dy", work.dy)];
  const scale = work.scale === undefined ? "" : ` * ${w.read("scale", work.scale)("j")}`;
  const code = `${sum(w, threads, "vec2<f32>")}

fn finish(i: u32, col: u32, acc: f32) {
${finishLines(w, work.epilogue, work.out, width, "  ").join("\n")}
}

${rowEntry(w.size("rows", rows), threads)}
  let at = row * ${w.size("width", width)};
  var part = 0f;
  var cross = 0f;
  for (var j = thread; j < p.width; j += ${threads}u) {
    let d = ${dy("at + j")}${scale};
    part += d;
    cross += d * ${y("at + j")};
  }
  let means = all_sum(thread, vec2<f32>(part, cross)) / f32(p.width);
  let r = ${rstd("row")};
  for (var j = thread; j < p.width; j += ${threads}u) {
    finish(at + j, j, r * (${dy("at + j")}${scale} - means.x - ${y("at + j")} * means.y));
  }
}`;
  w.also(`${finishWords(w, work.epilogue, width, "dx")}.`);
  return w.finish(code, [rows], op.origin, printShape(work.out.shape));
}
