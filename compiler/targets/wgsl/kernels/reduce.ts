/**
 * Reductions, each in an order that does not change from run to run.
 *
 * Elements are seen as `[outer, red, inner]`. Where `inner` is 1 a workgroup folds a row; else a thread folds a column, so
 * that neighbours read neighbours. Where too few results would leave a device idle, `red` is cut into a number of parts
 * fixed at compile time, made side by side and then added in order. No atomics anywhere.
 */
import { add, constantDim, constantOf, mul, printShape, product } from "../../../types/dim.js";
import type { NormSums, Op, Work } from "../graph.js";
import { readsOf } from "../graph.js";
import type { Draft, Fold, Limits, Size } from "../kernel.js";
import { KernelWriter, MAX_BUFFERS, linearEntry, rowEntry, rowThreads, up } from "../kernel.js";
import { readerFor } from "./elements.js";
import { partsDraft } from "./sums.js";

type Reduce = Extract<Work, { kind: "reduce" }>;
type How = Fold["how"];

const one = constantDim(1);

/** A sum, mean or maximum. */
export function reduceDrafts(cx: Limits, op: Op, work: Reduce): Draft[] {
  const results = cx.bound(work.outer) * cx.bound(work.inner);
  const red = cx.bound(work.red);
  const rows = constantOf(work.inner) === 1;
  const busy = rows ? 64 : 16384;
  const parts = results >= busy || red < 256 ? 1 : Math.max(1, Math.min(Math.floor(red / 64), Math.ceil(busy / Math.max(1, results)), 256));
  if (parts === 1) return [foldDraft(cx, op, { ...work, parts: 1, count: work.red })];
  const target = cx.scratch([work.outer, constantDim(parts), work.inner], "parts");
  const first = foldDraft(cx, op, { ...work, how: work.how === "mean" ? "sum" : work.how, out: target, parts, count: work.red });
  if (work.how === "sum" && constantOf(work.outer) === 1 && !rows) return [first, partsDraft(op, { x: target, parts, stride: work.inner, size: work.inner, first: work.out, second: undefined })];
  return [first, foldDraft(cx, op, { ...work, x: target, red: constantDim(parts), parts: 1, count: work.red })];
}

const start: Readonly<Record<How, string>> = { sum: "0f", mean: "0f", max: "-3.4e38f" };
const step = (how: How, a: string, b: string): string => (how === "max" ? `max(${a}, ${b})` : `${a} + ${b}`);

/** One stage: `out[outer, parts, inner]`. */
export function foldDraft(cx: Limits, op: Op, f: Fold): Draft {
  return constantOf(f.inner) === 1 ? rowFold(cx, op, f) : columnFold(op, f);
}

function rowFold(cx: Limits, op: Op, f: Fold): Draft {
  const threads = rowThreads(cx, 64);
  const w = new KernelWriter(`reduce_rows_${f.how}`, `${f.how} of each row, a workgroup for a row; strides of its threads and then a tree, always in this order.`);
  const rows = mul(f.outer, constantDim(f.parts));
  const parts = constantDim(f.parts);
  const code = `${w.fold(f.how, threads, (a, b) => step(f.how, a, b))}

${rowEntry(w.size("rows", rows), threads)}
  let part = row % ${w.size("parts", parts)};
  let begin = part * ${w.size("chunk", up(f.red, f.parts))};
  let end = min(begin + p.chunk, ${w.size("red", f.red)});
  let at = (row / p.parts) * p.red;
  var total = ${start[f.how]};
  for (var j = begin + thread; j < end; j += ${threads}u) { total = ${step(f.how, "total", readerFor(w, "x", f.x)("at + j"))}; }
  let result = all_${f.how}(thread, total);
  if (thread == 0u) { ${w.write("y", f.out)("row", `result${f.how === "mean" ? ` / f32(${w.size("count", f.count)})` : ""}`)} }
}`;
  return w.finish(code, [rows], op.origin, printShape([f.outer, f.red]));
}

function columnFold(op: Op, f: Fold): Draft {
  const draft = columnFolds([f], op.origin);
  return { ...draft, columns: f };
}

/** Several of them in one dispatch, where they are independent; undefined where they do not fit its bindings. */
export function together(drafts: readonly Draft[]): Draft | undefined {
  const folds = drafts.flatMap((d) => d.columns ?? []);
  const made = new Set(folds.map((f) => f.out));
  const read = folds.flatMap((f) => readsOf({ kind: "reduce", ...f }));
  if (folds.length !== drafts.length || read.some((t) => made.has(t)) || new Set([...read, ...made]).size > MAX_BUFFERS) return undefined;
  return columnFolds(folds, drafts.at(-1)?.origin);
}

function columnFolds(folds: readonly Fold[], origin: Op["origin"]): Draft {
  const hows = [...new Set(folds.map((f) => f.how))].join("_");
  const w = new KernelWriter(`reduce_columns_${hows}${folds.length === 1 ? "" : `_of_${folds.length}`}`, `${hows.replaceAll("_", " and ")} over the middle axis of [outer, red, inner]${folds.length === 1 ? "" : `, ${folds.length} times`}, a thread for a result, in order.`);
  const counts = folds.map((f) => product([f.outer, constantDim(f.parts), f.inner]));
  const n = counts.reduce(add);
  const lines = [linearEntry(w.size("n", n), 64), "  var own = i;"];
  folds.forEach((f, k) => {
    const size = (name: string, s: Size): string => w.size(`${name}${k === 0 ? "" : k}`, s);
    const [inner, parts, red] = [size("inner", f.inner), size("parts", constantDim(f.parts)), size("red", f.red)];
    const x = readerFor(w, `x${k === 0 ? "" : k}`, f.x);
    const last = k === folds.length - 1;
    const count = last ? "" : size("count_of", counts[k] ?? n);
    lines.push(...(last ? ["  {"] : [`  if (own < ${count}) {`]),
      `    let column = own % ${inner};`, `    let rest = own / ${inner};`,
      `    let at = (rest / ${parts}) * ${red};`,
      `    let begin = rest % ${parts} * ${size("chunk", up(f.red, f.parts))};`, `    let end = min(begin + ${size("chunk", up(f.red, f.parts))}, ${red});`,
      `    var total = ${start[f.how]};`,
      `    for (var j = begin; j < end; j++) { total = ${step(f.how, "total", x(`(at + j) * ${inner} + column`))}; }`,
      `    ${w.write(`y${k === 0 ? "" : k}`, f.out)("own", `total${f.how === "mean" ? ` / f32(${size("count", f.count)})` : ""}`)}`,
      ...(last ? ["  }"] : ["    return;", "  }", `  own -= ${count};`]));
  });
  return w.finish(`${lines.join("\n")}\n}`, [up(n, 64)], origin, folds.map((f) => printShape([f.outer, f.red, f.inner])).join(" and "));
}

type Affine = Extract<Work, { kind: "norm_grad_affine" }>;

/** The column sums that stand beside a norm's gradient, as work of their own. */
export function affineOf({ y, dy, out }: Extract<Work, { kind: "norm_grad" }>, { dscale, doffset }: NormSums): Affine {
  return { kind: "norm_grad_affine", rows: product(out.shape.slice(0, -1)), width: out.shape.at(-1) ?? one, y, dout: dy, dscale, doffset };
}

/** Gradients of a norm's scale and offset: column sums of `dout * y` and of `dout`, in blocks of rows that are then added. */
export function affineDrafts(cx: Limits, op: Op, work: Affine): Draft[] {
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
    let d = ${readerFor(w, "dout", work.dout)("j * p.width + column")};
    scale += d * ${w.read("x", work.y)("j * p.width + column")};
    offset += d;
  }
  ${w.write("y", target)("part * 2u * p.width + column", "scale")}
  ${w.write("y", target)("(part * 2u + 1u) * p.width + column", "offset")}
}`;
  return [w.finish(code, [up(n, 64)], op.origin, printShape([rows, width])), partsDraft(op, { x: target, parts, stride, size: width, first: work.dscale, second: work.doffset })];
}
