/**
 * Attention without a matrix of scores: forward saves the log-sum-exp of each row, backward makes probabilities again.
 *
 * A thread owns a query (forward, dq) or a key (dk, dv); the other side passes through workgroup memory in tiles, and the
 * running maximum is moved once for eight keys. Everything that is added to is owned by one thread, so there are no
 * atomics and the order of sums is fixed. The width of a head is in the text (registers), the rest are sizes. Queries,
 * keys and values may be thirds of one tensor.
 */
import type { Dim } from "../../../types/dim.js";
import { constantDim, constantOf, divide, mul, printShape } from "../../../types/dim.js";
import { IrError } from "../../../tensor/ir.js";
import type { Op, Part, Work } from "../graph.js";
import type { Draft, Limits } from "../kernel.js";
import { KernelWriter, up } from "../kernel.js";
import { literal } from "../lowering.js";

type Forward = Extract<Work, { kind: "attention" }>;
type Backward = Extract<Work, { kind: "attention_grad" }>;

/** Bytes of workgroup memory in the portable profile. */
const MEMORY = 16384;

interface Frame {
  readonly w: KernelWriter;
  readonly d: number;
  /** vec4s that hold one row of a head. */
  readonly quads: number;
  readonly scale: string;
  /** Queries and keys per image. */
  readonly rows: Dim;
  readonly keys: Dim;
  readonly batch: Dim;
  readonly heads: number;
  readonly width: Dim;
}

function frame(name: string, doc: string, work: Forward | Backward): Frame {
  const { batch, rows, keys, width } = work.sizes;
  const d = constantOf(divide(width, constantDim(work.heads)) ?? width);
  if (d === undefined) throw new IrError("wgsl target: the width of an attention head must be known.");
  return { w: new KernelWriter(`${name}_d${d}`, doc), d, quads: Math.ceil(d / 4), scale: literal(1 / Math.sqrt(d)), rows, keys, batch, heads: work.heads, width };
}

/** Lanes of quad `c` that a head of width `d` has. */
function lanes(f: Frame, c: number): number[] {
  return [0, 1, 2, 3].filter((l) => c * 4 + l < f.d);
}

/** A function that reads one quad of a row of a part. */
function quadReader(f: Frame, name: string, part: Part): string {
  const x = f.w.read(name, part.tensor, f.d % 4 === 0 ? 4 : 1);
  const last = lanes(f, f.quads - 1).length;
  const [width, at] = [f.w.size(`${name}_width`, part.width), f.w.size(`${name}_at`, part.at)];
  const full = x.quad("i");
  const cut = `vec4<f32>(${[0, 1, 2, 3].map((l) => (l < last ? x(`i + ${l}u`) : "0f")).join(", ")})`;
  return `fn ${name}_quad(row: u32, head: u32, c: u32) -> vec4<f32> {
  let i = row * ${width} + ${at} + head * ${f.d}u + c * 4u;
  ${last === 4 ? `return ${full};` : `if (c == ${f.quads - 1}u) { return ${cut}; }\n  return ${full};`}
}`;
}

const each = (n: number, text: (c: number) => string): string => Array.from({ length: n }, (_, c) => text(c)).join("\n");
const plus = (n: number, text: (c: number) => string): string => Array.from({ length: n }, (_, c) => text(c)).join(" + ");

function storeRow(f: Frame, name: string, part: Part, row: string, value: (c: number) => string): string {
  const d4 = f.d % 4 === 0;
  const y = f.w.write(name, part.tensor, d4 ? 4 : 1);
  const [width, at] = [f.w.size(`${name}_width`, part.width), f.w.size(`${name}_at`, part.at)];
  return `    let ${name}_i = ${row} * ${width} + ${at} + head * ${f.d}u;
${each(f.quads, (c) => `    { let v = ${value(c)}; ${d4 ? y.quad(`${name}_i + ${c * 4}u`, "v") : lanes(f, c).map((l) => y(`${name}_i + ${c * 4 + l}u`, `v[${l}]`)).join(" ")} }`)}`;
}

function entry(f: Frame, limit: string): string {
  return `@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let image = group.y / ${f.w.size("heads", constantDim(f.heads))};
  let head = group.y % p.heads;
  let own = group.x * 64u + thread;
  let live = own < ${limit};
  let at = min(own, ${limit} - 1u);`;
}

/** How many rows of two operands fit into workgroup memory beside `extra` floats a row. */
function tileRows(f: Frame, extra: number): number {
  for (const rows of [64, 32, 16, 8]) if (rows * (f.quads * 32 + extra * 4) <= MEMORY) return rows;
  throw new IrError(`wgsl target: heads of width ${f.d} are too wide for 16 KiB of workgroup memory; use more heads.`);
}

function loadTile(f: Frame, tile: number, limit: string, a: string, b: string, more = ""): string {
  return `    for (var j = thread; j < ${tile * f.quads}u; j += 64u) {
      let r = min(first + j / ${f.quads}u, ${limit} - 1u);
      tile_a[j] = ${a}_quad(image * ${limit} + r, head, j % ${f.quads}u);
      tile_b[j] = ${b}_quad(image * ${limit} + r, head, j % ${f.quads}u);
    }${more}
    workgroupBarrier();`;
}

/** o and the log-sum-exp. */
export function attentionDraft(op: Op, work: Forward): Draft {
  const f = frame("attention", "softmax(q k^T / sqrt(d)) v per head, one pass over keys; a thread owns a query.", work);
  const { w, quads } = f;
  const tile = tileRows(f, 0);
  const [rows, keys] = [w.size("rows", f.rows), w.size("keys", f.keys)];
  const readers = [quadReader(f, "q", work.q), quadReader(f, "k", work.k), quadReader(f, "v", work.v)];
  const u8 = [0, 1, 2, 3, 4, 5, 6, 7];
  const code = `var<workgroup> tile_a: array<vec4<f32>, ${tile * quads}>;
var<workgroup> tile_b: array<vec4<f32>, ${tile * quads}>;

${readers.join("\n\n")}

${entry(f, rows)}
${each(quads, (c) => `  let q${c} = q_quad(image * ${rows} + at, head, ${c}u) * ${f.scale};\n  var o${c} = vec4<f32>();`)}
  var top = -3.0e38f;
  var total = 0f;
  for (var first = 0u; first < ${keys}; first += ${tile}u) {
${loadTile(f, tile, keys, "k", "v")}
    for (var j = 0u; j < ${tile}u && first + j < ${keys}; j += 8u) {
${u8.map((u) => `      var s${u} = ${plus(quads, (c) => `dot(q${c}, tile_a[(j + ${u}u) * ${quads}u + ${c}u])`)};\n      if (first + j + ${u}u >= ${keys}) { s${u} = -3.0e38f; }`).join("\n")}
      let next = max(top, max(max(max(s0, s1), max(s2, s3)), max(max(s4, s5), max(s6, s7))));
      let shrink = exp(top - next);
      top = next;
${u8.map((u) => `      s${u} = exp(s${u} - next);`).join("\n")}
      total = total * shrink + (((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)));
${each(quads, (c) => `      o${c} = o${c} * shrink + ${u8.map((u) => `s${u} * tile_b[(j + ${u}u) * ${quads}u + ${c}u]`).join(" + ")};`)}
    }
    workgroupBarrier();
  }
  if (live) {
    ${w.write("lse", work.lse)(`group.y * ${rows} + own`, "top + log(total)")}
${storeRow(f, "o", { tensor: work.o, width: f.width, at: constantDim(0) }, `(image * ${rows} + own)`, (c) => `o${c} / total`)}
  }
}`;
  return w.finish(code, [up(f.rows, 64), mul(f.batch, constantDim(f.heads)), constantDim(1)], op.origin, printShape([f.batch, f.rows, f.width]));
}

/** dq with the row sums of o * do, then dk and dv. */
export function attentionGradDrafts(cx: Limits, op: Op, work: Backward): Draft[] {
  const delta = cx.scratch([work.sizes.batch, constantDim(work.heads), work.sizes.rows], "delta");
  return [dqDraft(op, work, delta), dkvDraft(op, work, delta)];
}

function dqDraft(op: Op, work: Backward, delta: Backward["lse"]): Draft {
  const f = frame("attention_dq", "Gradient of attention by queries; a thread owns a query. Also sum(o * do) of each row.", work);
  const { w, quads } = f;
  const tile = tileRows(f, 0);
  const [rows, keys] = [w.size("rows", f.rows), w.size("keys", f.keys)];
  const plain = { width: f.width, at: constantDim(0) };
  const readers = [quadReader(f, "q", work.q), quadReader(f, "k", work.k), quadReader(f, "v", work.v), quadReader(f, "o", { tensor: work.o, ...plain }), quadReader(f, "g", { tensor: work.dO, ...plain })];
  const code = `var<workgroup> tile_a: array<vec4<f32>, ${tile * quads}>;
var<workgroup> tile_b: array<vec4<f32>, ${tile * quads}>;

${readers.join("\n\n")}

${entry(f, rows)}
  let row = image * ${rows} + at;
  var delta_row = 0f;
${each(quads, (c) => `  let q${c} = q_quad(row, head, ${c}u) * ${f.scale};\n  let g${c} = g_quad(row, head, ${c}u);\n  var d${c} = vec4<f32>();\n  delta_row += dot(g${c}, o_quad(row, head, ${c}u));`)}
  let lse_row = ${w.read("lse", work.lse)(`group.y * ${rows} + at`)};
  for (var first = 0u; first < ${keys}; first += ${tile}u) {
${loadTile(f, tile, keys, "k", "v")}
    for (var j = 0u; j < ${tile}u && first + j < ${keys}; j++) {
      let s = ${plus(quads, (c) => `dot(q${c}, tile_a[j * ${quads}u + ${c}u])`)};
      let dp = ${plus(quads, (c) => `dot(g${c}, tile_b[j * ${quads}u + ${c}u])`)};
      let ds = exp(s - lse_row) * (dp - delta_row);
${each(quads, (c) => `      d${c} += ds * tile_a[j * ${quads}u + ${c}u];`)}
    }
    workgroupBarrier();
  }
  if (live) {
    ${w.write("delta", delta)(`group.y * ${rows} + own`, "delta_row")}
${storeRow(f, "dq", work.dq, `(image * ${rows} + own)`, (c) => `d${c} * ${f.scale}`)}
  }
}`;
  return w.finish(code, [up(f.rows, 64), mul(f.batch, constantDim(f.heads)), constantDim(1)], op.origin, printShape([f.batch, f.rows, f.width]));
}

function dkvDraft(op: Op, work: Backward, delta: Backward["lse"]): Draft {
  const f = frame("attention_dkv", "Gradient of attention by keys and values; a thread owns a key.", work);
  const { w, quads } = f;
  const tile = tileRows(f, 2);
  const [rows, keys] = [w.size("rows", f.rows), w.size("keys", f.keys)];
  const readers = [quadReader(f, "q", work.q), quadReader(f, "k", work.k), quadReader(f, "v", work.v), quadReader(f, "g", { tensor: work.dO, width: f.width, at: constantDim(0) })];
  const stats = `
    for (var j = thread; j < ${tile}u; j += 64u) {
      let r = group.y * ${rows} + min(first + j, ${rows} - 1u);
      tile_lse[j] = ${w.read("lse", work.lse)("r")};
      tile_delta[j] = ${w.read("delta", delta)("r")};
    }`;
  const code = `var<workgroup> tile_a: array<vec4<f32>, ${tile * quads}>;
var<workgroup> tile_b: array<vec4<f32>, ${tile * quads}>;
var<workgroup> tile_lse: array<f32, ${tile}>;
var<workgroup> tile_delta: array<f32, ${tile}>;

${readers.join("\n\n")}

${entry(f, keys)}
  let row = image * ${keys} + at;
${each(quads, (c) => `  let k${c} = k_quad(row, head, ${c}u) * ${f.scale};\n  let v${c} = v_quad(row, head, ${c}u);\n  var a${c} = vec4<f32>();\n  var b${c} = vec4<f32>();`)}
  for (var first = 0u; first < ${rows}; first += ${tile}u) {
${loadTile(f, tile, rows, "q", "g", stats)}
    for (var j = 0u; j < ${tile}u && first + j < ${rows}; j++) {
      let s = ${plus(quads, (c) => `dot(k${c}, tile_a[j * ${quads}u + ${c}u])`)};
      let probability = exp(s - tile_lse[j]);
      let dp = ${plus(quads, (c) => `dot(v${c}, tile_b[j * ${quads}u + ${c}u])`)};
      let ds = probability * (dp - tile_delta[j]);
${each(quads, (c) => `      a${c} += ds * tile_a[j * ${quads}u + ${c}u];\n      b${c} += probability * tile_b[j * ${quads}u + ${c}u];`)}
    }
    workgroupBarrier();
  }
  if (live) {
${storeRow(f, "dk", work.dk, `(image * ${keys} + own)`, (c) => `a${c} * ${f.scale}`)}
${storeRow(f, "dv", work.dv, `(image * ${keys} + own)`, (c) => `b${c}`)}
  }
}`;
  return w.finish(code, [up(f.keys, 64), mul(f.batch, constantDim(f.heads)), constantDim(1)], op.origin, printShape([f.batch, f.rows, f.width]));
}
