/**
 * The gradient of a norm with scale and offset, all three parts of it in one sweep.
 *
 * A workgroup takes a block of rows, a thread the same columns of each: a row lies in registers while its two sums go
 * through a tree, and the column sums for scale and offset stay in registers until the block is done. Blocks are fixed at
 * compile time and added in order afterwards, so results are the same in every run. Rows too wide for registers are left to
 * `rows.ts` and `reduce.ts`.
 */
import type { Dim } from "../../../types/dim.js";
import { add, constantDim, constantOf, printShape, product } from "../../../types/dim.js";
import { IrError } from "../../../tensor/ir.js";
import type { NormSums, Op, Tensor, Work } from "../graph.js";
import type { Draft, Limits } from "../kernel.js";
import { KernelWriter, rowEntry, up } from "../kernel.js";
import { readerFor } from "./elements.js";
import { finishLines, finishWords } from "./map.js";
import { partsDraft } from "./sums.js";

type NormGrad = Extract<Work, { kind: "norm_grad" }>;

const THREADS = 128;
/**
 * Rows that a workgroup takes at the least, and blocks at the most: a card wants several on each of its units, for a row is a
 * chain of waits (256 blocks left an H100 at a seventh of its bandwidth); fewer are added faster.
 */
const [ROWS, BLOCKS] = [16, 1024];

/** dx with its epilogue, and the gradients of scale and offset. */
export function normGradSumsDrafts(cx: Limits, op: Op, work: NormGrad, { dscale, doffset }: NormSums): Draft[] {
  const rows = product(work.out.shape.slice(0, -1));
  const width = work.out.shape.at(-1) ?? constantDim(1);
  const blocks = Math.max(1, Math.min(BLOCKS, Math.ceil(cx.bound(rows) / ROWS)));
  const stride = add(width, width);
  if (blocks === 1) return [sweepDraft(op, work, { rows, width, blocks, stores: [dscale, doffset] })];
  const target = cx.scratch([constantDim(blocks), stride], "parts");
  return [sweepDraft(op, work, { rows, width, blocks, stores: [target] }), partsDraft(op, { x: target, parts: blocks, stride, size: width, first: dscale, second: doffset })];
}

interface Sweep {
  readonly rows: Dim;
  readonly width: Dim;
  readonly blocks: number;
  /** Where column sums go: scale and offset, or one tensor with a row of both for each block. */
  readonly stores: readonly [Tensor] | readonly [Tensor, Tensor];
}

function sweepDraft(op: Op, work: NormGrad, { rows, width, blocks, stores }: Sweep): Draft {
  const size = constantOf(width);
  if (size === undefined || work.scale === undefined) throw new IrError("wgsl target: this norm has a scale, and rows of a known width.");
  const columns = Array.from({ length: Math.ceil(size / THREADS) }, (_, c) => c);
  const w = new KernelWriter("layer_norm_grad_sums", "dx = rstd * (d - mean(d) - n * mean(n * d)) over each row, d = dy * scale; ");
  const [y, rstd, dy, scale] = [w.read("n", work.y), w.read("rstd", work.rstd), readerFor(w, "dy", work.dy), w.read("scale", work.scale)];
  // Only the last column of a thread may lie beyond the row.
  const inside = (c: number): string => ((c + 1) * THREADS <= size ? "true" : `col${c} < p.width`);
  const each = (text: (c: number) => string, indent: string): string => columns.map((c) => indent + text(c)).join("\n");
  const [first, second] = stores;
  const store = (c: number): string => (second === undefined
    ? `${w.write("sums", first)(`row * 2u * p.width + col${c}`, `scales${c}`)} ${w.write("sums", first)(`(row * 2u + 1u) * p.width + col${c}`, `offsets${c}`)}`
    : `${w.write("dscale", first)(`col${c}`, `scales${c}`)} ${w.write("doffset", second)(`col${c}`, `offsets${c}`)}`);
  const code = `${w.fold("sum", THREADS, (a, b) => `${a} + ${b}`, "vec2<f32>")}

fn finish(i: u32, col: u32, acc: f32) {
${finishLines(w, work.epilogue, work.out, width, "  ").join("\n")}
}

${rowEntry(w.size("blocks", constantDim(blocks)), THREADS)}
  let begin = row * ${w.size("chunk", up(rows, blocks))};
  let end = min(begin + p.chunk, ${w.size("rows", rows)});
${each((c) => `let col${c} = thread + ${c * THREADS}u;\n  var s${c} = 0f;\n  if (${inside(c)}) { s${c} = ${scale(`col${c}`)}; }\n  var scales${c} = 0f;\n  var offsets${c} = 0f;`, "  ")}
  for (var r = begin; r < end; r++) {
    let at = r * ${w.size("width", width)};
${each((c) => `var d${c} = 0f;\n    var n${c} = 0f;\n    if (${inside(c)}) { d${c} = ${dy(`at + col${c}`)}; n${c} = ${y(`at + col${c}`)}; }`, "    ")}
${each((c) => `scales${c} += d${c} * n${c};\n    offsets${c} += d${c};\n    d${c} *= s${c};`, "    ")}
    let means = all_sum(thread, vec2<f32>(${columns.map((c) => `d${c}`).join(" + ")}, ${columns.map((c) => `d${c} * n${c}`).join(" + ")})) / f32(p.width);
    let q = ${rstd("r")};
${each((c) => `if (${inside(c)}) { finish(at + col${c}, col${c}, q * (d${c} - means.x - n${c} * means.y)); }`, "    ")}
  }
${each((c) => `if (${inside(c)}) { ${store(c)} }`, "  ")}
}`;
  w.also(`${finishWords(w, work.epilogue, width, "dx")}; beside it the column sums of dy * n and of dy over blocks of rows, the gradients of scale and offset.`);
  return w.finish(code, [constantDim(blocks)], op.origin, printShape(work.out.shape));
}
