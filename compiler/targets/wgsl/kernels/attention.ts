/**
 * Attention without a matrix of scores: a thread owns a query, keys pass by.
 *
 * The log-sum-exp of each row is saved, from which the backward pass (`attention-grad.ts`) makes probabilities again. In tiles the
 * running maximum is moved once for eight keys. What both directions share is in `attention-frame.ts`, the form for subgroup
 * matrices in `attention-matrix.ts`.
 */
import { constantDim, mul, printShape } from "../../../types/dim.js";
import type { Op } from "../graph.js";
import type { Draft, Limits } from "../kernel.js";
import { up } from "../kernel.js";
import { hasMatrixForm } from "./attention-blocks.js";
import type { Forward, Frame } from "./attention-frame.js";
import { each, entry, frame, keysOf, loadTile, passingRows, plus, quadReader, storeRow, tileRows } from "./attention-frame.js";
import { attentionMatrixForm } from "./attention-matrix.js";

/** o and the log-sum-exp. */
export function attentionDraft(cx: Limits, op: Op, work: Forward): Draft {
  const f = frame(cx, "attention", "softmax(q k^T / sqrt(d)) v per head, one pass over keys; a thread owns a query.", work);
  const { w } = f;
  const tile = tileRows(f, 0);
  w.size("rows", f.rows);
  w.size("keys", f.keys);
  const readers = (type: "f32" | "f16"): string[] => (["q", "k", "v"] as const).map((name) => quadReader(f, name, work[name], type));
  const code = f.direct ? directCode(f, work, readers("f32")) : tiledCode(f, work, readers("f32"), tile);
  // Matrices take 64 queries at once, and have no form for blocks.
  if (f.block === undefined && hasMatrixForm(f, [work.q.tensor, work.k.tensor, work.v.tensor])) w.form("subgroup-matrix", attentionMatrixForm(f, work, readers("f16")));
  return w.finish(code, [up(f.rows, f.threads), mul(f.batch, constantDim(f.heads)), constantDim(1)], op.origin, printShape([f.batch, f.rows, f.width]));
}

/** A key at a time, read where it lies. */
function directCode(f: Frame, work: Forward, readers: readonly string[]): string {
  const { quads, w } = f;
  const [rows, keys] = [w.size("rows", f.rows), w.size("keys", f.keys)];
  const pass = passingRows(f, keys, keysOf(f, rows, keys), "k", "v");
  return `${readers.join("\n\n")}

${entry(f, rows)}
${each(quads, (c) => `  let q${c} = q_quad(image * ${rows} + at, head, ${c}u) * ${f.scale};\n  var o${c} = vec4<f32>();`)}
  var top = -3.0e38f;
  var total = 0f;
${pass.open}
      let s = ${plus(quads, (c) => `dot(q${c}, ${pass.a(c)})`)};
      let next = max(top, s);
      let shrink = exp(top - next);
      let share = exp(s - next);
      top = next;
      total = total * shrink + share;
${each(quads, (c) => `      o${c} = o${c} * shrink + share * ${pass.b(c)};`)}
${pass.close}
${storeOutput(f, work)}
}`;
}

/** The end of a thread that has a row: log-sum-exp and output. */
function storeOutput(f: Frame, work: Forward): string {
  const { w } = f;
  const rows = w.size("rows", f.rows);
  return `  if (live) {
    ${w.write("lse", work.lse)(`group.y * ${rows} + own`, "top + log(total)")}
${storeRow(f, "o", { tensor: work.o, width: f.width, at: constantDim(0) }, `(image * ${rows} + own)`, (c) => `o${c} / total`)}
  }`;
}

/** Eight keys at a time, out of tiles in workgroup memory. */
function tiledCode(f: Frame, work: Forward, readers: readonly string[], tile: number): string {
  const { quads, w } = f;
  const [rows, keys] = [w.size("rows", f.rows), w.size("keys", f.keys)];
  const { lines, reach, seen } = keysOf(f, rows, keys);
  const u8 = [0, 1, 2, 3, 4, 5, 6, 7];
  return `var<workgroup> tile_a: array<vec4<f32>, ${tile * quads}>;
var<workgroup> tile_b: array<vec4<f32>, ${tile * quads}>;

${readers.join("\n\n")}

${entry(f, rows)}
${each(quads, (c) => `  let q${c} = q_quad(image * ${rows} + at, head, ${c}u) * ${f.scale};\n  var o${c} = vec4<f32>();`)}
  var top = -3.0e38f;
  var total = 0f;
${lines}  for (var first = 0u; first < ${reach}; first += ${tile}u) {
${loadTile(f, tile, keys, "k", "v")}
    for (var j = 0u; j < ${tile}u && first + j < ${seen}; j += 8u) {
${u8.map((u) => `      var s${u} = ${plus(quads, (c) => `dot(q${c}, tile_a[(j + ${u}u) * ${quads}u + ${c}u])`)};\n      if (first + j + ${u}u >= ${seen}) { s${u} = -3.0e38f; }`).join("\n")}
      let next = max(top, max(max(max(s0, s1), max(s2, s3)), max(max(s4, s5), max(s6, s7))));
      let shrink = exp(top - next);
      top = next;
${u8.map((u) => `      s${u} = exp(s${u} - next);`).join("\n")}
      total = total * shrink + (((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)));
${each(quads, (c) => `      o${c} = o${c} * shrink + ${u8.map((u) => `s${u} * tile_b[(j + ${u}u) * ${quads}u + ${c}u]`).join(" + ")};`)}
    }
    workgroupBarrier();
  }
${storeOutput(f, work)}
}`;
}
