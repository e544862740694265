/**
 * What the kernels of attention have in common: sizes, reading and storing parts, and how rows of the other side pass by.
 *
 * A thread owns a row of one side. The width of a head is in the text (registers), the rest are sizes. Queries, keys and values
 * may be thirds of one tensor. Rows of the other side come in tiles through workgroup memory, or are read where they lie where
 * a processor stands in for a GPU.
 */
import type { Dim } from "../../../types/dim.js";
import { constantDim, constantOf, divide } from "../../../types/dim.js";
import { IrError } from "../../../tensor/ir.js";
import type { Part, Work } from "../graph.js";
import type { Limits } from "../kernel.js";
import { KernelWriter } from "../kernel.js";
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
  /** Threads of a workgroup, each with a row of its own. */
  readonly threads: number;
  /** Rows of a block, where keys of later blocks are hidden. */
  readonly block: number | undefined;
  /** Whether rows of the other side are read where they lie, without workgroup memory. */
  readonly direct: boolean;
}

/** What the kernels of an operation have in common. */
export function frame(cx: Limits, name: string, doc: string, work: Forward | Backward): Frame {
  const { batch, rows, keys, width } = work.sizes;
  const d = constantOf(divide(width, constantDim(work.heads)) ?? width);
  if (d === undefined) throw new IrError("wgsl target: the width of an attention head must be known.");
  return { w: new KernelWriter(`${name}${work.block === undefined ? "" : "_causal"}_d${d}`, doc), d, quads: Math.ceil(d / 4), scale: literal(1 / Math.sqrt(d)), rows, keys, batch, heads: work.heads, block: work.block, width, threads: cx.software ? 8 : 64, direct: cx.software };
}

/** Lanes of quad `c` that a head of width `d` has. */
function lanes(f: Frame, c: number): number[] {
  return [0, 1, 2, 3].filter((l) => c * 4 + l < f.d);
}

/** A function that reads one quad of a row of a part, as f32 or as the f16 that are stored. */
export function quadReader(f: Frame, name: string, part: Part, type: "f32" | "f16" = "f32"): string {
  const x = f.w.read(name, part.tensor, f.d % 4 === 0 ? 4 : 1);
  const last = lanes(f, f.quads - 1).length;
  const [width, at] = [f.w.size(`${name}_width`, part.width), f.w.size(`${name}_at`, part.at)];
  const [one, four, zero] = type === "f32" ? [x, x.quad, "0f"] : [x.stored, x.storedQuad, "0h"];
  const full = four("i");
  const cut = `vec4<${type}>(${[0, 1, 2, 3].map((l) => (l < last ? one(`i + ${l}u`) : zero)).join(", ")})`;
  return `fn ${name}_quad(row: u32, head: u32, c: u32) -> vec4<${type}> {
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

/** The statement that stores quad `c` of a row of a part, where `c` is text. */
export function storeQuad(f: Frame, name: string, part: Part, row: string, c: string, value: string): string {
  const d4 = f.d % 4 === 0;
  const y = f.w.write(name, part.tensor, d4 ? 4 : 1);
  const at = `${row} * ${f.w.size(`${name}_width`, part.width)} + ${f.w.size(`${name}_at`, part.at)} + head * ${f.d}u + ${c} * 4u`;
  if (d4) return y.quad(at, value);
  return [0, 1, 2, 3].map((l) => `if (${c} * 4u + ${l}u < ${f.d}u) { ${y(`${at} + ${l}u`, `${value}[${l}]`)} }`).join(" ");
}

/** First lines of an entry point whose threads own rows: `own`, whether it is `live`, and `at`, its place or the last row's. */
export function entry(f: Frame, limit: string): string {
  return `@compute @workgroup_size(${f.threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
  let image = group.y / ${f.w.size("heads", constantDim(f.heads))};
  let head = group.y % p.heads;
  let own = group.x * ${f.threads}u + thread;
  let live = own < ${limit};
  let at = min(own, ${limit} - 1u);`;
}

/** What of the other side a thread has to do with, in blocks: rows from `first` (of tiles) and `begin` (of the thread) on, up to `reach` and `seen`. */
export interface Span {
  /** Lines that say where that is. */
  readonly lines: string;
  readonly first: string;
  readonly begin: string | undefined;
  readonly reach: string;
  readonly seen: string;
}

/** Keys that pass by a query: those up to the end of its block. Tiles go as far as the last query of the workgroup. */
export function keysOf(f: Frame, rows: string, keys: string): Span {
  if (f.block === undefined) return { lines: "", first: "0u", begin: undefined, reach: keys, seen: keys };
  const block = f.w.size("block", constantDim(f.block));
  const lines = `  let seen = min((at / ${block} + 1u) * ${block}, ${keys});\n  let reach = min((min(group.x * ${f.threads}u + ${f.threads - 1}u, ${rows} - 1u) / ${block} + 1u) * ${block}, ${keys});\n`;
  return { lines, first: "0u", begin: undefined, reach: "reach", seen: "seen" };
}

/** Queries that pass by a key: those from the beginning of its block on. Tiles begin with the first key of the workgroup. */
export function queriesOf(f: Frame, rows: string): Span {
  if (f.block === undefined) return { lines: "", first: "0u", begin: undefined, reach: rows, seen: rows };
  const block = f.w.size("block", constantDim(f.block));
  const lines = `  let begin = at / ${block} * ${block};\n  let start_row = min(group.x * ${f.threads}u / ${block} * ${block}, ${rows});\n`;
  return { lines, first: "start_row", begin: "begin", reach: rows, seen: rows };
}

/** How many rows of two operands fit into workgroup memory beside `extra` floats a row. */
export function tileRows(f: Frame, extra: number): number {
  for (const rows of [64, 32, 16, 8]) if (rows * (f.quads * 32 + extra * 4) <= MEMORY) return rows;
  throw new IrError(`wgsl target: heads of width ${f.d} are too wide for 16 KiB of workgroup memory; use more heads.`);
}

/** Lines that load a tile of two operands. */
export function loadTile(f: Frame, tile: number, limit: string, a: string, b: string, more = ""): string {
  return `    for (var j = thread; j < ${tile * f.quads}u; j += ${f.threads}u) {
      let r = min(first + j / ${f.quads}u, ${limit} - 1u);
      tile_a[j] = ${a}_quad(image * ${limit} + r, head, j % ${f.quads}u);
      tile_b[j] = ${b}_quad(image * ${limit} + r, head, j % ${f.quads}u);
    }${more}
    workgroupBarrier();`;
}

/** How rows of the other side pass by a thread: lines around the work on row `first + j`, and the text of quad `c` of both operands. */
export interface Passing {
  readonly open: string;
  a(c: number): string;
  b(c: number): string;
  readonly close: string;
}

/** In tiles through workgroup memory; `more` is what else is loaded. */
export function passingTiles(f: Frame, tile: number, limit: string, span: Span, a: string, b: string, more = ""): Passing {
  return {
    open: `${span.lines}  for (var first = ${span.first}; first < ${span.reach}; first += ${tile}u) {
${loadTile(f, tile, limit, a, b, more)}
    for (var j = ${span.begin === undefined ? "0u" : `max(first, ${span.begin}) - first`}; j < ${tile}u && first + j < ${span.seen}; j++) {`,
    a: (c) => `tile_a[j * ${f.quads}u + ${c}u]`,
    b: (c) => `tile_b[j * ${f.quads}u + ${c}u]`,
    close: "    }\n    workgroupBarrier();\n  }",
  };
}

/** Read by every thread where they lie. */
export function passingRows(f: Frame, limit: string, span: Span, a: string, b: string): Passing {
  const quad = (name: string, c: number): string => `      let ${name}_${c} = ${name}_quad(image * ${limit} + j, head, ${c}u);`;
  return {
    open: `${span.lines}  for (var j = ${span.begin ?? "0u"}; j < ${span.seen}; j++) {\n${each(f.quads, (c) => `${quad(a, c)}\n${quad(b, c)}`)}`,
    a: (c) => `${a}_${c}`,
    b: (c) => `${b}_${c}`,
    close: "  }",
  };
}
