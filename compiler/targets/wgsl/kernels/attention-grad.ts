/**
 * The gradient of attention: a thread owns a query (dq) or a key (dk, dv), probabilities are made again from log-sum-exps.
 *
 * Everything that is added to is owned by one thread, so there are no atomics and the order of sums is fixed. Both sides
 * need the sum of o * do of each row. As a rule they are two halves of one dispatch and each makes those sums for itself;
 * where operands are too many for its bindings, or keys are not as many as queries, dq comes first and leaves them to dk, dv;
 * so it does where a processor stands in for a GPU, and rows are read where they lie. The form for subgroup matrices is
 * `attention-grad-matrix.ts`.
 */
import { IrError } from "../../../tensor/ir.js";
import type { Dim } from "../../../types/dim.js";
import { constantDim, equal, mul, printShape } from "../../../types/dim.js";
import type { Op, Tensor } from "../graph.js";
import type { Draft, Limits } from "../kernel.js";
import { MAX_BUFFERS, up } from "../kernel.js";
import { hasMatrixForm } from "./attention-blocks.js";
import type { Backward, Frame } from "./attention-frame.js";
import { each, entry, frame, keysOf, passingRows, passingTiles, plus, quadReader, queriesOf, storeRow, tileRows } from "./attention-frame.js";
import type { Halves } from "./attention-grad-matrix.js";
import { attentionGradMatrixForm } from "./attention-grad-matrix.js";

/** dq, dk and dv. */
export function attentionGradDrafts(cx: Limits, op: Op, work: Backward): Draft[] {
  const { batch, rows, keys, width } = work.sizes;
  const operands = new Set([work.q, work.k, work.v, work.dq, work.dk, work.dv].map((p) => p.tensor));
  if (!cx.software && equal(rows, keys) && operands.size + 3 <= MAX_BUFFERS) return [bothDraft(cx, op, work)];
  const delta = cx.scratch([batch, constantDim(work.heads), rows], "delta");
  const shape = printShape([batch, rows, width]);
  const q = frame(cx, "attention_dq", "Gradient of attention by queries; a thread owns a query. Also sum(o * do) of each row.", work);
  const k = frame(cx, "attention_dkv", "Gradient of attention by keys and values; a thread owns a key.", work);
  const [dq, dkv] = [queryHalf(q, work, tileRows(q, 0), delta), keyHalf(k, work, tileRows(k, 2), delta)];
  const text = (f: Frame, half: Half, limit: string): string => [declarations(f, half.tile, half.stats), ...half.readers, `${entry(f, limit)}\n${half.body}\n}`].join("\n\n");
  addMatrixForm(q, work, allNames, "queries", delta);
  addMatrixForm(k, work, names(delta), "keys", delta);
  return [
    q.w.finish(text(q, dq, q.w.size("rows", q.rows)), groupsOf(q, rows, 1), op.origin, shape),
    k.w.finish(text(k, dkv, k.w.size("keys", k.keys)), groupsOf(k, keys, 1), op.origin, shape),
  ];
}

function bothDraft(cx: Limits, op: Op, work: Backward): Draft {
  const f = frame(cx, "attention_grad", "Gradient of attention: the first half of the groups owns queries, the second keys and values.", work);
  const tile = tileRows(f, 2);
  const [q, k] = [queryHalf(f, work, tile, undefined), keyHalf(f, work, tile, undefined)];
  const code = `${entry(f, f.w.size("rows", f.rows))}
  if (group.z == 0u) {
${q.body}
  } else {
${k.body}
  }
}`;
  addMatrixForm(f, work, allNames, "both", undefined);
  return f.w.finish([declarations(f, tile, true), ...new Set([...q.readers, ...k.readers]), code].join("\n\n"), groupsOf(f, work.sizes.rows, 2), op.origin, printShape([f.batch, f.rows, f.width]));
}

function addMatrixForm(f: Frame, work: Backward, wanted: readonly Name[], halves: Halves, delta: Tensor | undefined): void {
  if (f.block === undefined && hasMatrixForm(f, [work.q.tensor, work.k.tensor, work.v.tensor, work.o, work.dO])) f.w.form("subgroup-matrix", attentionGradMatrixForm(f, work, readersOf(f, work, wanted, "f16"), halves, delta));
}

function groupsOf(f: Frame, own: Dim, halves: number): Draft["groups"] {
  return [up(own, f.threads), mul(f.batch, constantDim(f.heads)), constantDim(halves)];
}

/** One half: how many rows of the other side pass by at once, functions it reads by, and lines over `own`, `live` and `at`. */
interface Half {
  readonly tile: number;
  /** Whether log-sum-exps and sums of rows pass by as well. */
  readonly stats: boolean;
  readonly readers: readonly string[];
  readonly body: string;
}

function declarations({ quads, direct }: Frame, tile: number, stats: boolean): string {
  if (direct) return "";
  const arrays = ["tile_a", "tile_b"].map((name) => `var<workgroup> ${name}: array<vec4<f32>, ${tile * quads}>;`);
  return [...arrays, ...(stats ? ["tile_lse", "tile_delta"].map((name) => `var<workgroup> ${name}: array<f32, ${tile}>;`) : [])].join("\n");
}

const start = constantDim(0);

type Name = "q" | "k" | "v" | "o" | "g";
const allNames: readonly Name[] = ["q", "k", "v", "o", "g"];
/** Without the output, where sums of rows were made beforehand. */
const names = (delta: Tensor | undefined): readonly Name[] => (delta === undefined ? allNames : allNames.filter((name) => name !== "o"));

/** The functions that both halves read by, by the names of their operands. */
function readersOf(f: Frame, work: Backward, wanted: readonly Name[], type: "f32" | "f16" = "f32"): string[] {
  const whole = (tensor: Tensor): Backward["q"] => ({ tensor, width: f.width, at: start });
  const parts = { q: work.q, k: work.k, v: work.v, o: whole(work.o), g: whole(work.dO) };
  return wanted.map((name) => quadReader(f, name, parts[name], type));
}

function queryHalf(f: Frame, work: Backward, tile: number, delta: Tensor | undefined): Half {
  const { w, quads } = f;
  const [rows, keys] = [w.size("rows", f.rows), w.size("keys", f.keys)];
  const readers = readersOf(f, work, allNames);
  const pass = f.direct ? passingRows(f, keys, keysOf(f, rows, keys), "k", "v") : passingTiles(f, tile, keys, keysOf(f, rows, keys), "k", "v");
  const body = `  let row = image * ${rows} + at;
  var delta_row = 0f;
${each(quads, (c) => `  let q${c} = q_quad(row, head, ${c}u) * ${f.scale};\n  let g${c} = g_quad(row, head, ${c}u);\n  var d${c} = vec4<f32>();\n  delta_row += dot(g${c}, o_quad(row, head, ${c}u));`)}
  let lse_row = ${w.read("lse", work.lse)(`group.y * ${rows} + at`)};
${pass.open}
      let s = ${plus(quads, (c) => `dot(q${c}, ${pass.a(c)})`)};
      let dp = ${plus(quads, (c) => `dot(g${c}, ${pass.b(c)})`)};
      let ds = exp(s - lse_row) * (dp - delta_row);
${each(quads, (c) => `      d${c} += ds * ${pass.a(c)};`)}
${pass.close}
  if (live) {${delta === undefined ? "" : `\n    ${w.write("delta", delta)(`group.y * ${rows} + own`, "delta_row")}`}
${storeRow(f, "dq", work.dq, `(image * ${rows} + own)`, (c) => `d${c} * ${f.scale}`)}
  }`;
  return { tile, stats: false, readers, body };
}

function keyHalf(f: Frame, work: Backward, tile: number, delta: Tensor | undefined): Half {
  const { w, quads } = f;
  const [rows, keys] = [w.size("rows", f.rows), w.size("keys", f.keys)];
  const readers = readersOf(f, work, names(delta));
  const own = delta === undefined
    ? plus(quads, (c) => `dot(g_quad(image * ${rows} + r, head, ${c}u), o_quad(image * ${rows} + r, head, ${c}u))`)
    : w.read("delta", delta)(`group.y * ${rows} + r`);
  const stats = `
    for (var j = thread; j < ${tile}u; j += ${f.threads}u) {
      let r = min(first + j, ${rows} - 1u);
      tile_lse[j] = ${w.read("lse", work.lse)(`group.y * ${rows} + r`)};
      tile_delta[j] = ${own};
    }`;
  const pass = f.direct ? passingRows(f, rows, queriesOf(f, rows), "q", "g") : passingTiles(f, tile, rows, queriesOf(f, rows), "q", "g", stats);
  const stat = (name: "lse" | "delta"): string => {
    if (!f.direct) return `tile_${name}[j]`;
    const from = name === "lse" ? work.lse : delta;
    if (from === undefined) throw new IrError("wgsl target: without workgroup memory, sums of rows are made beforehand.");
    return w.read(name, from)(`group.y * ${rows} + j`);
  };
  const body = `  let row = image * ${keys} + at;
${each(quads, (c) => `  let k${c} = k_quad(row, head, ${c}u) * ${f.scale};\n  let v${c} = v_quad(row, head, ${c}u);\n  var a${c} = vec4<f32>();\n  var b${c} = vec4<f32>();`)}
${pass.open}
      let s = ${plus(quads, (c) => `dot(k${c}, ${pass.a(c)})`)};
      let probability = exp(s - ${stat("lse")});
      let dp = ${plus(quads, (c) => `dot(v${c}, ${pass.b(c)})`)};
      let ds = probability * (dp - ${stat("delta")});
${each(quads, (c) => `      a${c} += ds * ${pass.a(c)};\n      b${c} += probability * ${pass.b(c)};`)}
${pass.close}
  if (live) {
${storeRow(f, "dk", work.dk, `(image * ${keys} + own)`, (c) => `a${c} * ${f.scale}`)}
${storeRow(f, "dv", work.dv, `(image * ${keys} + own)`, (c) => `b${c}`)}
  }`;
  return { tile, stats: true, readers, body };
}
