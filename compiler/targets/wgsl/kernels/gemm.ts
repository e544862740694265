/**
 * Matrix products: register-blocked, through workgroup memory, with epilogues.
 *
 * 256 threads make a tile of 128 x 128 (8 x 8 each) or 64 x 64 (4 x 4 each) from slices of 8 or 16 along k. Tiles lie k-major
 * in workgroup memory as vec4, one row of padding against bank conflicts where the store goes across; each thread moves
 * one vec4 of either operand per slice. Sizes are run-time values, so one text serves all layers. The weight gradient sums
 * over rows that may be many and tiles that are few: its k is cut into a number of parts fixed at compile time, and the
 * parts are added in order. Column sums of the second operand (a bias gradient) are made from the tiles on the way.
 */
import type { Dim } from "../../../types/dim.js";
import { add, constantDim, mul, printShape } from "../../../types/dim.js";
import type { Op, Tensor, Work } from "../graph.js";
import type { Draft, Limits } from "../kernel.js";
import { KernelWriter, up } from "../kernel.js";
import { finishLines } from "./map.js";
import { partsDraft } from "./reduce.js";

type Gemm = Extract<Work, { kind: "gemm" }>;
type WeightGrad = Extract<Work, { kind: "gemm_tn_sums" }>;

interface Tile {
  readonly side: 64 | 128;
  /** Slice along k. */
  readonly bk: 8 | 16;
}

/** Workgroups below which a device of many processors stands idle. */
const ENOUGH_GROUPS = 128;

function tileFor(cx: Limits, m: Dim, n: Dim, batch: number): Tile {
  const groups = batch * Math.ceil(cx.bound(m) / 128) * Math.ceil(cx.bound(n) / 128);
  const large = cx.bound(m) >= 128 && cx.bound(n) >= 128 && groups >= ENOUGH_GROUPS;
  return large ? { side: 128, bk: 8 } : { side: 64, bk: 16 };
}

/** A product with its epilogue. */
export function gemmDraft(cx: Limits, op: Op, work: Gemm): Draft {
  const tile = tileFor(cx, work.m, work.n, cx.bound(work.batch));
  const form = `${work.ta ? "t" : "n"}${work.tb ? "t" : "n"}`;
  const w = new KernelWriter(`gemm_${form}_${tile.side}`, `Matrix product, ${work.ta ? "a[k, m]" : "a[m, k]"} times ${work.tb ? "b[n, k]" : "b[k, n]"}, tile ${tile.side}, in batches${work.bShared ? " that share b" : ""}.`);
  const [m, n, k] = [w.size("m", work.m), w.size("n", work.n), w.size("k", work.k)];
  const [a, b] = [w.read("a", work.a), w.read("b", work.b)];
  const code = [
    ...tileParts(tile, { a, b, m, n, kEnd: k, aStride: work.ta ? m : k, bStride: work.tb ? k : n, ta: work.ta, tb: work.tb }),
    `fn finish(at: u32, row: u32, col: u32, acc: f32) {`,
    `  if (row >= ${m} || col >= ${n}) { return; }`,
    `  let i = at + row * ${n} + col;`,
    ...finishLines(w, work.epilogue, work.out, work.n, "  "),
    "}",
    "",
    ...mainLines(tile, {
      before: [`  let a_at = group.z * ${m} * ${k};`, work.bShared ? "  let b_at = 0u;" : `  let b_at = group.z * ${k} * ${n};`, `  let y_at = group.z * ${m} * ${n};`],
      from: "0u", to: k, slice: [], rowA: rowOf(tile, !work.ta), rowB: rowOf(tile, work.tb), finish: (row, col, v) => `finish(y_at, ${row}, ${col}, ${v});`, after: [],
    }),
  ];
  return w.finish(code.join("\n"), [up(work.n, tile.side), up(work.m, tile.side), work.batch], op.origin, printShape([work.batch, work.m, work.n, work.k]));
}

/** A weight gradient, in one part or in several that are added in order. */
export function weightGradDrafts(cx: Limits, op: Op, work: WeightGrad): Draft[] {
  const tile = tileFor(cx, work.m, work.n, 1);
  const tiles = Math.ceil(cx.bound(work.m) / tile.side) * Math.ceil(cx.bound(work.n) / tile.side);
  const parts = Math.max(1, Math.min(Math.ceil(256 / tiles), Math.floor(cx.bound(work.k) / 256), 64));
  const size = mul(work.m, work.n);
  const stride = work.sums === undefined ? size : add(size, work.n);
  const target = parts === 1 ? undefined : cx.scratch([constantDim(parts), stride], "parts");
  const drafts = [weightGradDraft(op, work, tile, parts, target)];
  if (target !== undefined) drafts.push(partsDraft(op, target, parts, stride, size, work.out, work.sums));
  return drafts;
}

function weightGradDraft(op: Op, work: WeightGrad, tile: Tile, parts: number, target: Tensor | undefined): Draft {
  const split = target === undefined ? "" : "_split";
  const sums = work.sums === undefined ? "" : "_sums";
  const w = new KernelWriter(`gemm_tn_${tile.side}${split}${sums}`,
    `Gradient of a weight: a[k, m] transposed times b[k, n], tile ${tile.side}${target === undefined ? "" : ", k in parts"}${work.sums === undefined ? "" : "; beside it the column sums of b, the gradient of the bias"}.`);
  const [m, n, k] = [w.size("m", work.m), w.size("n", work.n), w.size("k", work.k)];
  const chunk = w.size("chunk", up(work.k, parts * 16, 16));
  const [a, b] = [w.read("a", work.a), w.read("b", work.b)];
  const y = w.write("y", target ?? work.out);
  const hasSums = work.sums !== undefined;
  const bias = target === undefined && work.sums !== undefined ? w.write("bias", work.sums) : y;
  const biasAt = target === undefined ? "col" : `y_at + ${m} * ${n} + col`;
  const quads = tile.side / 64;
  // Every thread adds, one writes: a loop in a branch that no thread of a group takes sends llvmpipe round for ever.
  const slice = hasSums ? Array.from({ length: quads }, (_, q) => `      sum${q} += b${q};`) : [];
  const code = [
    ...tileParts(tile, { a, b, m, n, kEnd: "k_end", aStride: m, bStride: n, ta: true, tb: false }),
    ...mainLines(tile, {
      before: [
        "  let a_at = 0u;", "  let b_at = 0u;",
        `  let k_begin = group.z * ${chunk};`, `  let k_end = min(k_begin + ${chunk}, ${k});`,
        `  let y_at = ${target === undefined ? "0u" : `group.z * (${m} * ${n}${hasSums ? ` + ${n}` : ""})`};`,
        ...(hasSums ? Array.from({ length: quads }, (_, q) => `  var sum${q} = vec4<f32>();`) : []),
      ],
      from: "k_begin", to: "k_end", slice, rowA: rowOf(tile, false), rowB: rowOf(tile, false),
      finish: (row, col, v) => `if (${row} < ${m} && ${col} < ${n}) { ${y}[y_at + (${row}) * ${n} + ${col}] = ${v}; }`,
      after: hasSums ? [
        "  if (group.y == 0u && ty == 0u) {",
        ...Array.from({ length: quads }, (_, q) => [0, 1, 2, 3].map((c) => `    { let col = col0 + (${q * 16}u + tx) * 4u + ${c}u; if (col < ${n}) { ${bias}[${biasAt}] = sum${q}[${c}]; } }`)).flat(),
        "  }",
      ] : [],
    }),
  ];
  return w.finish(code.join("\n"), [up(work.n, tile.side), up(work.m, tile.side), constantDim(parts)], op.origin, printShape([work.m, work.n, work.k]));
}

/** vec4s in one row of a tile in workgroup memory. */
function rowOf(tile: Tile, across: boolean): number {
  return tile.side / 4 + (across ? 1 : 0);
}

interface Sources {
  readonly a: string;
  readonly b: string;
  readonly m: string;
  readonly n: string;
  readonly kEnd: string;
  readonly aStride: string;
  readonly bStride: string;
  readonly ta: boolean;
  readonly tb: boolean;
}

/** Workgroup memory and the functions that read one element, 0 beyond the edges. */
function tileParts(tile: Tile, s: Sources): string[] {
  const element = (name: string, x: string, limit: string, at: string): string =>
    `fn ${name}(at: u32, r: u32, k: u32, k_end: u32) -> f32 { if (r < ${limit} && k < k_end) { return ${x}[at + ${at}]; } return 0f; }`;
  const quad = (name: string): string =>
    `fn quad_${name}(at: u32, r: u32, k: u32, k_end: u32) -> vec4<f32> { return vec4<f32>(${[0, 1, 2, 3].map((c) => `at_${name}(at, r + ${c}u, k, k_end)`).join(", ")}); }`;
  return [
    `var<workgroup> tile_a: array<vec4<f32>, ${tile.bk * rowOf(tile, !s.ta)}>;`,
    `var<workgroup> tile_b: array<vec4<f32>, ${tile.bk * rowOf(tile, s.tb)}>;`,
    "",
    element("at_a", s.a, s.m, s.ta ? `k * ${s.aStride} + r` : `r * ${s.aStride} + k`),
    element("at_b", s.b, s.n, s.tb ? `r * ${s.bStride} + k` : `k * ${s.bStride} + r`),
    quad("a"), quad("b"),
    "",
    ...placeFunction("a", tile, !s.ta), ...placeFunction("b", tile, s.tb),
  ];
}

/** Which vec4 of a slice a thread moves: neighbours go along the axis that is contiguous in memory. */
function placeFunction(name: string, tile: Tile, across: boolean): string[] {
  const [j, q] = across ? [`thread % ${tile.bk}u`, `thread / ${tile.bk}u`] : [`thread / ${tile.side / 4}u`, `thread % ${tile.side / 4}u`];
  return [
    `fn load_${name}(at: u32, r0: u32, k0: u32, k_end: u32, thread: u32) {`,
    `  let j = ${j};`,
    `  let q = ${q};`,
    `  tile_${name}[j * ${rowOf(tile, across)}u + q] = quad_${name}(at, r0 + q * 4u, k0 + j, k_end);`,
    "}", "",
  ];
}

interface Main {
  readonly before: readonly string[];
  readonly from: string;
  readonly to: string;
  /** Lines of the innermost loop beside the products. */
  readonly slice: readonly string[];
  /** vec4s in a row of either tile. */
  readonly rowA: number;
  readonly rowB: number;
  finish(row: string, col: string, value: string): string;
  readonly after: readonly string[];
}

function mainLines(tile: Tile, main: Main): string[] {
  const quads = tile.side / 64;
  const range = Array.from({ length: quads }, (_, q) => q);
  const accs = range.flatMap((q) => [0, 1, 2, 3].flatMap((r) => range.map((c) => `acc${q}${r}${c}`)));
  const rows = range.flatMap((q) => [0, 1, 2, 3].map((r) => ({ q, r })));
  return [
    "@compute @workgroup_size(256)",
    "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {",
    `  let row0 = group.y * ${tile.side}u;`, `  let col0 = group.x * ${tile.side}u;`,
    "  let tx = thread % 16u;", "  let ty = thread / 16u;",
    ...main.before,
    ...accs.map((acc) => `  var ${acc} = vec4<f32>();`),
    `  for (var k0 = ${main.from}; k0 < ${main.to}; k0 += ${tile.bk}u) {`,
    `    load_a(a_at, row0, k0, ${main.to}, thread);`, `    load_b(b_at, col0, k0, ${main.to}, thread);`,
    "    workgroupBarrier();",
    `    for (var j = 0u; j < ${tile.bk}u; j++) {`,
    ...range.flatMap((q) => [`      let a${q} = tile_a[j * ${main.rowA}u + ${q * 16}u + ty];`, `      let b${q} = tile_b[j * ${main.rowB}u + ${q * 16}u + tx];`]),
    ...rows.flatMap(({ q, r }) => range.map((c) => `      acc${q}${r}${c} = fma(vec4<f32>(a${q}[${r}]), b${c}, acc${q}${r}${c});`)),
    ...main.slice,
    "    }",
    "    workgroupBarrier();",
    "  }",
    ...rows.flatMap(({ q, r }) => range.flatMap((c) => [0, 1, 2, 3].map((l) => `  ${main.finish(`row0 + (${q * 16}u + ty) * 4u + ${r}u`, `col0 + (${c * 16}u + tx) * 4u + ${l}u`, `acc${q}${r}${c}[${l}]`)}`))),
    ...main.after,
    "}",
  ];
}
