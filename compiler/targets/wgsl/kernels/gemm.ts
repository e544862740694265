/**
 * Matrix products: register-blocked, through workgroup memory, with epilogues.
 *
 * Shapes of tiles are parameters (`tiles.ts`). A tile lies in workgroup memory as vec4 along m or n (k-major), whichever way its
 * operand lies: a thread moves blocks of 4 x 4, and transposes those whose operand is contiguous along k. So every form reads its
 * operands four elements at a time where their rows are multiples of 4, and one by one at odd sizes, and multiplies in the same
 * way. The next slice is fetched into registers while the current one is worked on. Arithmetic and sums are f32, whatever is stored.
 * Sizes are run-time values, so one text serves all layers. The weight gradient sums over rows that may be many and tiles
 * that are few: its k is cut into a number of parts fixed at compile time, and the parts are added in order. Column sums of
 * the second operand (a bias gradient) are made from the tiles on the way. The form for subgroup matrices is `matrix.ts`,
 * products without workgroup memory are `direct.ts`.
 */
import type { Dim } from "../../../types/dim.js";
import { add, constantDim, mul, printDim } from "../../../types/dim.js";
import type { Op, Tensor, Work } from "../graph.js";
import type { Draft, Limits } from "../kernel.js";
import { KernelWriter, isBy, isBy4, up } from "../kernel.js";
import { directForm, sharingForm } from "./direct.js";
import { finishLines, finishQuad, finishWords } from "./map.js";
import { matrixForm } from "./matrix.js";
import type { Operand, Product } from "./product.js";
import { quadFunction } from "./product.js";
import { partsDraft } from "./sums.js";
import type { ChosenTile, GemmShape, Tile } from "./tiles.js";
import { blocksOf, defaultTile, holdsMatrices, isDirect, kindOf, threadsOf } from "./tiles.js";

/** The deepest slice that is staged, by registers or by matrices. */
const DEEPEST = 32;

type Gemm = Extract<Work, { kind: "gemm" }>;
type WeightGrad = Extract<Work, { kind: "gemm_tn_sums" }>;

function tileOf(cx: Limits, shape: GemmShape): ChosenTile {
  return cx.tile?.(shape) ?? defaultTile(shape);
}

function operandsOf(w: KernelWriter, p: { a: Tensor; b: Tensor; m: Dim; n: Dim; k: Dim; ta: boolean; tb: boolean }, others: readonly Tensor[] = []): { a: Operand; b: Operand; m: string; n: string; k: string } {
  const [m, n, k] = [w.size("m", p.m), w.size("n", p.n), w.size("k", p.k)];
  const [aQuads, bQuads] = [isBy4(p.ta ? p.m : p.k), isBy4(p.tb ? p.k : p.n)];
  const wide = (name: string, own: Tensor, other: Tensor, row: Dim): string | undefined => (own.dtype === "f16" && isBy(8, row) && own !== other && !others.includes(own) ? name : undefined);
  const a: Operand = { name: "a", read: w.read("a", p.a, aQuads ? 4 : 1), limit: m, stride: p.ta ? m : k, alongK: !p.ta, quads: aQuads, wide: wide("a", p.a, p.b, p.ta ? p.m : p.k) };
  const b: Operand = { name: "b", read: w.read("b", p.b, bQuads ? 4 : 1), limit: n, stride: p.tb ? k : n, alongK: p.tb, quads: bQuads, wide: wide("b", p.b, p.a, p.tb ? p.k : p.n) };
  return { a, b, m, n, k };
}

/** A product with its epilogue. */
export function gemmDraft(cx: Limits, op: Op, work: Gemm): Draft {
  const form = `${work.ta ? "t" : "n"}${work.tb ? "t" : "n"}` as const;
  const kind = kindOf(work.a.dtype, work.b.dtype, true);
  const tile = tileOf(cx, { form, m: cx.bound(work.m), n: cx.bound(work.n), k: cx.bound(work.k), batch: cx.bound(work.batch), kind });
  const w = new KernelWriter(`gemm_${form}_${tile.bm}x${tile.bn}`, `Matrix product, ${work.ta ? "a[k, m]" : "a[m, k]"} times ${work.tb ? "b[n, k]" : "b[k, n]"}: `);
  const { a, b, m, n, k } = operandsOf(w, work, work.epilogue?.loads.map((l) => l.tensor));
  const four = isBy4(work.n);
  const head = [`  if (row >= ${m} || col >= ${n}) { return; }`, `  let i = at + row * ${n} + col;`];
  const functions = four
    ? ["fn finish(at: u32, row: u32, col: u32, accs: vec4<f32>) {", ...head, ...finishQuad(w, work.epilogue, work.out, work.n, "  "), "}", ""]
    : ["fn finish_one(at: u32, row: u32, col: u32, acc: f32) {", ...head, ...finishLines(w, work.epilogue, work.out, work.n, "  "), "}", "",
      "fn finish(at: u32, row: u32, col: u32, accs: vec4<f32>) {", ...[0, 1, 2, 3].map((l) => `  finish_one(at, row, col + ${l}u, accs[${l}]);`), "}", ""];
  w.also(`${finishWords(w, work.epilogue, work.n, "a b")}. Tile ${tile.bm} x ${tile.bn}, in batches${work.bShared ? " that share b" : ""}.`);
  const product: Product = {
    tile, a, b, functions, from: "0u", to: k, wholeSlices: isBy4(work.k), exact: isBy(DEEPEST, work.k),
    before: [`  let a_at = group.z * ${m} * ${k};`, work.bShared ? "  let b_at = 0u;" : `  let b_at = group.z * ${k} * ${n};`, `  let y_at = group.z * ${m} * ${n};`],
    finish: (row, col, v) => `finish(y_at, ${row}, ${col}, ${v});`,
  };
  return finished(w, op, product, kind === "f16-matrix" && holdsMatrices(tile), [up(work.n, tile.bn), up(work.m, tile.bm), work.batch], { batch: work.batch, m: work.m, n: work.n, k: work.k });
}

/** A weight gradient, in one part or in several that are added in order. */
export function weightGradDrafts(cx: Limits, op: Op, work: WeightGrad): Draft[] {
  const kind = kindOf(work.a.dtype, work.b.dtype, true);
  const tile = tileOf(cx, { form: "tn", m: cx.bound(work.m), n: cx.bound(work.n), k: cx.bound(work.k), batch: 1, kind });
  const tiles = Math.ceil(cx.bound(work.m) / tile.bm) * Math.ceil(cx.bound(work.n) / tile.bn);
  const parts = tile.parts ?? Math.max(1, Math.min(Math.ceil(256 / tiles), Math.floor(cx.bound(work.k) / 256), 64));
  const size = mul(work.m, work.n);
  const stride = work.sums === undefined ? size : add(size, work.n);
  const target = parts === 1 ? undefined : cx.scratch([constantDim(parts), stride], "parts");
  const drafts = [weightGradDraft(op, work, tile, parts, target, kind === "f16-matrix" && holdsMatrices(tile))];
  if (target !== undefined) drafts.push(partsDraft(op, { x: target, parts, stride, size, first: work.out, second: work.sums }));
  return drafts;
}

function weightGradDraft(op: Op, work: WeightGrad, tile: Tile, parts: number, target: Tensor | undefined, matrices: boolean): Draft {
  const split = target === undefined ? "" : "_split";
  const hasSums = work.sums !== undefined;
  const w = new KernelWriter(`gemm_tn_${tile.bm}x${tile.bn}${split}${hasSums ? "_sums" : ""}`,
    `Gradient of a weight: a[k, m] transposed times b[k, n], tile ${tile.bm} x ${tile.bn}${target === undefined ? "" : ", k in parts"}${hasSums ? "; beside it the column sums of b, the gradient of the bias" : ""}.`);
  const { a, b, m, n, k } = operandsOf(w, { ...work, ta: true, tb: false });
  const chunk = w.size("chunk", up(work.k, parts * 32, 32));
  const four = isBy4(work.n);
  const y = w.write("y", target ?? work.out, four ? 4 : 1);
  const bias = target === undefined && work.sums !== undefined ? w.write("bias", work.sums) : undefined;
  const store = four
    ? [`  if (row < ${m} && col < ${n}) { ${y.quad(`at + row * ${n} + col`, "accs")} }`]
    : [0, 1, 2, 3].map((l) => `  if (row < ${m} && col + ${l}u < ${n}) { ${y(`at + row * ${n} + col + ${l}u`, `accs[${l}]`)} }`);
  const product: Product = {
    tile, a, b, from: "k_begin", to: "k_end", wholeSlices: isBy4(work.k), exact: isBy(DEEPEST, work.k),
    functions: ["fn finish(at: u32, row: u32, col: u32, accs: vec4<f32>) {", ...store, "}", ""],
    before: [
      "  let a_at = 0u;", "  let b_at = 0u;",
      `  let k_begin = group.z * ${chunk};`, `  let k_end = min(k_begin + ${chunk}, ${k});`,
      `  let y_at = ${target === undefined ? "0u" : `group.z * (${m} * ${n}${hasSums ? ` + ${n}` : ""})`};`,
    ],
    finish: (row, col, v) => `finish(y_at, ${row}, ${col}, ${v});`,
    ...(hasSums ? { sums: (col: string, v: string) => `if (${col} < ${n}) { ${bias === undefined ? y(`y_at + ${m} * ${n} + ${col}`, v) : bias(col, v)} }` } : {}),
  };
  return finished(w, op, product, matrices, [up(work.n, tile.bn), up(work.m, tile.bm), constantDim(parts)], { m: work.m, n: work.n, k: work.k });
}

function finished(w: KernelWriter, op: Op, product: Product, matrices: boolean, groups: Draft["groups"], sizes: Readonly<Record<string, Dim>>): Draft {
  const shape = Object.entries(sizes).map(([name, size]) => `${name} ${printDim(size)}`).join(", ");
  if (isDirect(product.tile)) {
    w.form("subgroups", sharingForm(product));
    return w.finish(directForm(product), groups, op.origin, shape);
  }
  if (matrices) w.form("subgroup-matrix", matrixForm(product), [product.a.wide, product.b.wide].filter((x) => x !== undefined));
  return w.finish(registerForm(product).join("\n"), groups, op.origin, shape);
}

/** An operand's slice in workgroup memory, and the threads that move its blocks. */
interface Staging {
  readonly o: Operand;
  /** Its side of the tile. */
  readonly side: number;
  readonly bk: number;
  /** Blocks of 4 x 4 that a thread moves. */
  readonly each: number;
  /** Threads that move any, and the first of them. */
  readonly from: number;
  readonly threads: number;
}

/** Both slices: moved by different threads where there are enough of them, else by the same. */
function stagings(p: Product): { readonly a: Staging; readonly b: Staging } {
  const { tile: t } = p;
  const threads = threadsOf(t);
  const blocks = blocksOf(t);
  const apart = blocks.a + blocks.b <= threads;
  const of = (o: Operand, side: number, count: number, from: number): Staging =>
    ({ o, side, bk: t.bk, each: Math.max(1, count / threads), from, threads: Math.min(threads, count) });
  return { a: of(p.a, t.bm, blocks.a, 0), b: of(p.b, t.bn, blocks.b, apart ? blocks.a : 0) };
}

/**
 * Where quad `r` of row `k` of a slice lies. Threads that transpose neighbouring blocks write rows of k that are 4 apart: without
 * the turn by `k / 4` they would meet in one bank.
 */
function placeOf({ o, side }: Staging, r: string, k4: string, k: string): string {
  const turned = o.alongK && side % 32 === 0 ? `((${r}) ^ (${k4} * 2u % 8u))` : r;
  return `(${k4} * 4u + ${k}) * ${side / 4}u + ${turned}`;
}

/** Functions that fetch four elements of a thread's block, and that put a block in its place. */
function stagingFunctions(s: Staging, exact: boolean): string[] {
  const { o: { name, alongK: along }, side, bk } = s;
  // Along k: neighbours take neighbouring k of a row. Else: along the row.
  const [r, k4] = along ? [`block / ${bk / 4}u`, `block % ${bk / 4}u`] : [`block % ${side / 4}u`, `block / ${side / 4}u`];
  const fetched = along ? `quad_${name}(at, r0 + ${r} * 4u + j, k0 + ${k4} * 4u, k_end)` : `quad_${name}(at, r0 + ${r} * 4u, k0 + ${k4} * 4u + j, k_end)`;
  const four = (j: number): string => (along ? `vec4<f32>(${lanes.map((l) => `x${l}[${j}]`).join(", ")})` : `x${j}`);
  const kept = (j: number): string => (exact ? four(j) : `select(vec4<f32>(), ${four(j)}, k0 + k4 * 4u + ${j}u < k_end)`);
  return [
    `fn fetch_${name}(at: u32, r0: u32, k0: u32, k_end: u32, block: u32, j: u32) -> vec4<f32> { return ${fetched}; }`,
    `fn place_${name}(block: u32, k0: u32, k_end: u32, ${lanes.map((j) => `x${j}: vec4<f32>`).join(", ")}) {`,
    `  let r = ${r};`, `  let k4 = ${k4};`,
    ...lanes.map((j) => `  tile_${name}[${placeOf(s, "r", "k4", `${j}u`)}] = ${kept(j)};`),
    "}", "",
  ];
}

const lanes = [0, 1, 2, 3] as const;

/** Lines for each block that a thread moves, behind the question whether it moves any. */
function overBlocks(s: Staging, all: number, line: (i: number, block: string) => string): string {
  const blocks = Array.from({ length: s.each }, (_, i) => line(i, [`thread${s.from === 0 ? "" : ` - ${s.from}u`}`, ...(i === 0 ? [] : [`${i * all}u`])].join(" + "))).join(" ");
  if (s.threads === all) return blocks;
  return s.from === 0 ? `if (thread < ${s.threads}u) { ${blocks} }` : `if (thread >= ${s.from}u && thread < ${s.from + s.threads}u) { ${blocks} }`;
}

/** The kernel by registers: fetch, place, multiply, and fetch the next slice meanwhile. */
function registerForm(p: Product): string[] {
  const { tile: t } = p;
  const threads = threadsOf(t);
  const [tx, ty] = [t.bn / t.tn, t.bm / t.tm];
  const { a, b } = stagings(p);
  const [qs, cs] = [t.tm / 4, t.tn / 4].map((n) => Array.from({ length: n }, (_, i) => i));
  if (qs === undefined || cs === undefined) return [];
  const cells = qs.flatMap((q) => lanes.map((r) => ({ q, r })));
  // Threads that move a block of one operand only hold it in the same registers as those that move one of the other.
  const shared = b.from > 0;
  const held = (s: Staging): string => (shared ? "next" : `next_${s.o.name}`);
  const fetch = (s: Staging, k: string): string => {
    const { name } = s.o;
    return overBlocks(s, threads, (i, block) => lanes.map((j) => `${held(s)}${i}${j} = fetch_${name}(${name}_at, ${name === "a" ? "row0" : "col0"}, ${k}, ${p.to}, ${block}, ${j}u);`).join(" "));
  };
  const place = (s: Staging): string => overBlocks(s, threads, (i, block) => `place_${s.o.name}(${block}, k0, ${p.to}, ${lanes.map((j) => `${held(s)}${i}${j}`).join(", ")});`);
  const declared = (s: Staging): string[] => Array.from({ length: s.each }, (_, i) => `  ${lanes.map((j) => `var ${held(s)}${i}${j}: vec4<f32>;`).join(" ")}`);
  const read = (s: Staging, kk: number, i: number, across: number, thread: string): string => `tile_${s.o.name}[${placeOf(s, `${i * across}u + ${thread}`, "g", `${kk}u`)}]`;
  return [
    `var<workgroup> tile_a: array<vec4<f32>, ${t.bm * t.bk / 4}>;`, `var<workgroup> tile_b: array<vec4<f32>, ${t.bn * t.bk / 4}>;`, "",
    quadFunction(p.a), quadFunction(p.b), "",
    ...stagingFunctions(a, p.exact), ...stagingFunctions(b, p.exact),
    ...p.functions,
    `@compute @workgroup_size(${threads})`,
    "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {",
    `  let row0 = group.y * ${t.bm}u;`, `  let col0 = group.x * ${t.bn}u;`,
    `  let tx = thread % ${tx}u;`, `  let ty = thread / ${tx}u;`,
    ...p.before,
    ...cells.flatMap(({ q, r }) => cs.map((c) => `  var acc${q}${r}${c} = vec4<f32>();`)),
    ...(p.sums === undefined ? [] : cs.map((c) => `  var sum${c} = vec4<f32>();`)),
    ...declared(a), ...(shared ? [] : declared(b)),
    `  ${fetch(a, p.from)}`, `  ${fetch(b, p.from)}`,
    `  for (var k0 = ${p.from}; k0 < ${p.to}; k0 += ${t.bk}u) {`,
    `    ${place(a)}`, `    ${place(b)}`,
    "    workgroupBarrier();",
    `    ${fetch(a, `k0 + ${t.bk}u`)}`, `    ${fetch(b, `k0 + ${t.bk}u`)}`,
    `    for (var g = 0u; g < ${t.bk / 4}u; g++) {`,
    ...lanes.flatMap((kk) => [
      ...qs.map((q) => `      let a${kk}${q} = ${read(a, kk, q, ty, "ty")};`),
      ...cs.map((c) => `      let b${kk}${c} = ${read(b, kk, c, tx, "tx")};`),
      ...cells.flatMap(({ q, r }) => cs.map((c) => `      acc${q}${r}${c} = fma(vec4<f32>(a${kk}${q}[${r}]), b${kk}${c}, acc${q}${r}${c});`)),
      // Every thread adds, one writes: a loop in a branch that no thread of a group takes sends llvmpipe round for ever.
      ...(p.sums === undefined ? [] : cs.map((c) => `      sum${c} += b${kk}${c};`)),
    ]),
    "    }",
    "    workgroupBarrier();",
    "  }",
    ...cells.flatMap(({ q, r }) => cs.map((c) => `  ${p.finish(`row0 + (${q * ty}u + ty) * 4u + ${r}u`, `col0 + (${c * tx}u + tx) * 4u`, `acc${q}${r}${c}`)}`)),
    ...sumLines(p, cs, tx),
    "}",
  ];
}

function sumLines(p: Product, cs: readonly number[], tx: number): string[] {
  const { sums } = p;
  if (sums === undefined) return [];
  return [
    "  if (group.y == 0u && ty == 0u) {",
    ...cs.flatMap((c) => lanes.map((l) => `    { let col = col0 + (${c * tx}u + tx) * 4u + ${l}u; ${sums("col", `sum${c}[${l}]`)} }`)),
    "  }",
  ];
}
