/**
 * Attention without a matrix of scores: a thread owns a query, keys pass through workgroup memory in tiles.
 *
 * The log-sum-exp of each row is saved, from which the backward pass (`attention-grad.ts`) makes probabilities again. The
 * running maximum is moved once for eight keys. The width of a head is in the text (registers), the rest are sizes. Queries,
 * keys and values may be thirds of one tensor. Owns what both directions share: reading and storing parts, tiles.
 */
import type { Dim } from "../../../types/dim.js";
import { constantDim, constantOf, divide, mul, printShape } from "../../../types/dim.js";
import { IrError } from "../../../tensor/ir.js";
import type { Op, Part, Work } from "../graph.js";
import type { Draft } from "../kernel.js";
import { KernelWriter, up } from "../kernel.js";
import { literal } from "../lowering.js";

/** Attention, and its gradient. */
export type Forward = Extract<Work, { kind: "attention" }>;
export type Backward = Extract<Work, { kind: "attention_grad" }>;

/** Bytes of workgroup memory in the portable profile. */
const MEMORY = 16384;

/** A kernel of attention in the making. */
export interface Frame {
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

/** What the kernels of an operation have in common. */
export function frame(name: string, doc: string, work: Forward | Backward): Frame {
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
export function quadReader(f: Frame, name: string, part: Part): string {
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

/** Lines for each of `n` quads. */
export const each = (n: number, text: (c: number) => string): string => Array.from({ length: n }, (_, c) => text(c)).join("\n");
/** A sum over `n` quads. */
export const plus = (n: number, text: (c: number) => string): string => Array.from({ length: n }, (_, c) => text(c)).join(" + ");

/** Lines that store a row of a part, a quad at a time. */
export function storeRow(f: Frame, name: string, part: Part, row: string, value: (c: number) => string): string {
  const d4 = f.d % 4 === 0;
  const y = f.w.write(name, part.tensor, d4 ? 4 : 1);
  const [width, at] = [f.w.size(`${name}_width`, part.width), f.w.size(`${name}_at`, part.at)];
  return `    let ${name}_i = ${row} * ${width} + ${at} + head * ${f.d}u;
${each(f.quads, (c) => `    { let v = ${value(c)}; ${d4 ? y.quad(`${name}_i + ${c * 4}u`, "v") : lanes(f, c).map((l) => y(`${name}_i + ${c * 4 + l}u`, `v[${l}]`)).join(" ")} }`)}`;
}

/** First lines of an entry point whose threads own rows: `own`, whether it is `live`, and `at`, its place or the last row's. */
export function entry(f: Frame, limit: string): string {
  return `@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let image = group.y / ${f.w.size("heads", constantDim(f.heads))};
  let head = group.y % p.heads;
  let own = group.x * 64u + thread;
  let live = own < ${limit};
  let at = min(own, ${limit} - 1u);`;
}

/** How many rows of two operands fit into workgroup memory beside `extra` floats a row. */
export function tileRows(f: Frame, extra: number): number {
  for (const rows of [64, 32, 16, 8]) if (rows * (f.quads * 32 + extra * 4) <= MEMORY) return rows;
  throw new IrError(`wgsl target: heads of width ${f.d} are too wide for 16 KiB of workgroup memory; use more heads.`);
}

/** Lines that load a tile of two operands. */
export function loadTile(f: Frame, tile: number, limit: string, a: string, b: string, more = ""): string {
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
