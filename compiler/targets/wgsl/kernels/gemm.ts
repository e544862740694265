/**
 * Matrix products: register-blocked, through workgroup memory, with epilogues.
 *
 * Shapes of tiles are parameters (`tiles.ts`). A tile lies in workgroup memory as vec4, in the direction in which its operand
 * is contiguous: along m or n (k-major), or along k with rows in an order that neighbours read without conflicts. So every
 * form reads its operands four elements at a time where their rows are multiples of 4, and one by one at odd sizes. The next
 * slice is fetched into registers while the current one is worked on. Arithmetic and sums are f32, whatever is stored.
 * Sizes are run-time values, so one text serves all layers. The weight gradient sums over rows that may be many and tiles
 * that are few: its k is cut into a number of parts fixed at compile time, and the parts are added in order. Column sums of
 * the second operand (a bias gradient) are made from the tiles on the way. The form for subgroup matrices is `matrix.ts`,
 * products without workgroup memory are `direct.ts`.
 */
import type { Dim } from "../../../types/dim.js";
import { add, constantDim, mul, printShape } from "../../../types/dim.js";
import type { Op, Tensor, Work } from "../graph.js";
import type { Draft, Limits } from "../kernel.js";
import { KernelWriter, isBy4, up } from "../kernel.js";
import { directForm, sharingForm } from "./direct.js";
import { finishLines, finishQuad } from "./map.js";
import { matrixForm } from "./matrix.js";
import type { Operand, Product } from "./product.js";
import { quadFunction } from "./product.js";
import { partsDraft } from "./sums.js";
import type { ChosenTile, GemmShape, Tile } from "./tiles.js";
import { alongK, defaultTile, holdsMatrices, isDirect, kindOf, threadsOf } from "./tiles.js";

type Gemm = Extract<Work, { kind: "gemm" }>;
type WeightGrad = Extract<Work, { kind: "gemm_tn_sums" }>;

function tileOf(cx: Limits, shape: GemmShape): ChosenTile {
  return cx.tile?.(shape) ?? defaultTile(shape);
}

function operandsOf(w: KernelWriter, p: { a: Tensor; b: Tensor; m: Dim; n: Dim; k: Dim; ta: boolean; tb: boolean }): { a: Operand; b: Operand; m: string; n: string; k: string } {
  const [m, n, k] = [w.size("m", p.m), w.size("n", p.n), w.size("k", p.k)];
  const [aQuads, bQuads] = [isBy4(p.ta ? p.m : p.k), isBy4(p.tb ? p.k : p.n)];
  const a: Operand = { name: "a", read: w.read("a", p.a, aQuads ? 4 : 1), limit: m, stride: p.ta ? m : k, alongK: !p.ta, quads: aQuads };
  const b: Operand = { name: "b", read: w.read("b", p.b, bQuads ? 4 : 1), limit: n, stride: p.tb ? k : n, alongK: p.tb, quads: bQuads };
  return { a, b, m, n, k };
}

/** A product with its epilogue. */
export function gemmDraft(cx: Limits, op: Op, work: Gemm): Draft {
  const form = `${work.ta ? "t" : "n"}${work.tb ? "t" : "n"}` as const;
  const kind = kindOf(work.a.dtype, work.b.dtype, true);
  const tile = tileOf(cx, { form, m: cx.bound(work.m), n: cx.bound(work.n), k: cx.bound(work.k), batch: cx.bound(work.batch), kind });
  const w = new KernelWriter(`gemm_${form}_${tile.bm}x${tile.bn}`, `Matrix product, ${work.ta ? "a[k, m]" : "a[m, k]"} times ${work.tb ? "b[n, k]" : "b[k, n]"}, tile ${tile.bm} x ${tile.bn}, in batches${work.bShared ? " that share b" : ""}.`);
  const { a, b, m, n, k } = operandsOf(w, work);
  const four = isBy4(work.n);
  const head = [`  if (row >= ${m} || col >= ${n}) { return; }`, `  let i = at + row * ${n} + col;`];
  const functions = four
    ? ["fn finish(at: u32, row: u32, col: u32, accs: vec4<f32>) {", ...head, ...finishQuad(w, work.epilogue, work.out, work.n, "  "), "}", ""]
    : ["fn finish_one(at: u32, row: u32, col: u32, acc: f32) {", ...head, ...finishLines(w, work.epilogue, work.out, work.n, "  "), "}", "",
      "fn finish(at: u32, row: u32, col: u32, accs: vec4<f32>) {", ...[0, 1, 2, 3].map((l) => `  finish_one(at, row, col + ${l}u, accs[${l}]);`), "}", ""];
  const product: Product = {
    tile, a, b, functions, from: "0u", to: k, wholeSlices: isBy4(work.k),
    before: [`  let a_at = group.z * ${m} * ${k};`, work.bShared ? "  let b_at = 0u;" : `  let b_at = group.z * ${k} * ${n};`, `  let y_at = group.z * ${m} * ${n};`],
    finish: (row, col, v) => `finish(y_at, ${row}, ${col}, ${v});`,
  };
  return finished(w, op, product, kind === "f16-matrix" && holdsMatrices(tile), [up(work.n, tile.bn), up(work.m, tile.bm), work.batch], [work.batch, work.m, work.n, work.k]);
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
    tile, a, b, from: "k_begin", to: "k_end", wholeSlices: isBy4(work.k),
    functions: ["fn finish(at: u32, row: u32, col: u32, accs: vec4<f32>) {", ...store, "}", ""],
    before: [
      "  let a_at = 0u;", "  let b_at = 0u;",
      `  let k_begin = group.z * ${chunk};`, `  let k_end = min(k_begin + ${chunk}, ${k});`,
      `  let y_at = ${target === undefined ? "0u" : `group.z * (${m} * ${n}${hasSums ? ` + ${n}` : ""})`};`,
    ],
    finish: (row, col, v) => `finish(y_at, ${row}, ${col}, ${v});`,
    ...(hasSums ? { sums: (col: string, v: string) => `if (${col} < ${n}) { ${bias === undefined ? y(`y_at + ${m} * ${n} + ${col}`, v) : bias(col, v)} }` } : {}),
  };
  return finished(w, op, product, matrices, [up(work.n, tile.bn), up(work.m, tile.bm), constantDim(parts)], [work.m, work.n, work.k]);
}

function finished(w: KernelWriter, op: Op, product: Product, matrices: boolean, groups: Draft["groups"], shape: readonly Dim[]): Draft {
  if (isDirect(product.tile)) {
    w.form("subgroups", sharingForm(product));
    return w.finish(directForm(product), groups, op.origin, printShape(shape));
  }
  if (matrices) w.form("subgroup-matrix", matrixForm(product));
  return w.finish(registerForm(product).join("\n"), groups, op.origin, printShape(shape));
}

/** How an operand's slice lies in workgroup memory, and which part of it a thread moves. */
interface Staging {
  readonly o: Operand;
  /** Its side of the tile. */
  readonly side: number;
  readonly bk: number;
  /** vec4s in a row. */
  readonly row: number;
  readonly rows: number;
  /** vec4s that a thread moves; with fewer vec4s than threads, the first ones move one each. */
  readonly each: number;
  readonly some: number | undefined;
}

function staging(o: Operand, t: Tile): Staging {
  const side = o.name === "a" ? t.bm : t.bn;
  const quads = side * t.bk / 4;
  const threads = threadsOf(t);
  return {
    o, side, bk: t.bk, row: o.alongK ? alongK(t) : side / 4, rows: o.alongK ? side : t.bk,
    each: Math.max(1, quads / threads), some: quads < threads ? quads : undefined,
  };
}

/** Functions that fetch a thread's share of a slice and that put it in its place. */
function stagingFunctions(s: Staging, threads: number): string[] {
  const { o: { name, alongK: along }, side, bk } = s;
  const slot = (i: number): string => (i === 0 ? "thread" : `(thread + ${i * threads}u)`);
  // Along k: neighbours take neighbouring k of a row; rows lie in the order (r mod 4, r / 4). Else: along the row.
  const fetch = (i: number): string => (along
    ? `quad_${name}(at, r0 + ${slot(i)} / ${bk / 4}u, k0 + ${slot(i)} % ${bk / 4}u * 4u, k_end)`
    : `quad_${name}(at, r0 + ${slot(i)} % ${side / 4}u * 4u, k0 + ${slot(i)} / ${side / 4}u, k_end)`);
  const place = (i: number): string => (along
    ? `(${slot(i)} / ${bk / 4}u % 4u * ${side / 4}u + ${slot(i)} / ${bk}u) * ${s.row}u + ${slot(i)} % ${bk / 4}u`
    : slot(i));
  const each = Array.from({ length: s.each }, (_, i) => i);
  const guard = s.some === undefined ? "" : `if (thread < ${s.some}u) { `;
  return [
    ...each.flatMap((i) => [`fn fetch_${name}${i}(at: u32, r0: u32, k0: u32, k_end: u32, thread: u32) -> vec4<f32> { return ${fetch(i)}; }`]),
    ...each.flatMap((i) => [`fn place_${name}${i}(thread: u32, four: vec4<f32>) { ${guard}tile_${name}[${place(i)}] = four;${guard === "" ? "" : " }"} }`]),
    "",
  ];
}

const lanes = [0, 1, 2, 3] as const;

/** The kernel by registers: fetch, place, multiply, and fetch the next slice meanwhile. */
function registerForm(p: Product): string[] {
  const { tile: t } = p;
  const threads = threadsOf(t);
  const [tx, ty] = [t.bn / t.tn, t.bm / t.tm];
  const [a, b] = [staging(p.a, t), staging(p.b, t)];
  const [qs, cs] = [t.tm / 4, t.tn / 4].map((n) => Array.from({ length: n }, (_, i) => i));
  if (qs === undefined || cs === undefined) return [];
  const cells = qs.flatMap((q) => lanes.map((r) => ({ q, r })));
  const each = (s: Staging, text: (i: number) => string): string[] => Array.from({ length: s.each }, (_, i) => text(i));
  return [
    `var<workgroup> tile_a: array<vec4<f32>, ${a.rows * a.row}>;`, `var<workgroup> tile_b: array<vec4<f32>, ${b.rows * b.row}>;`, "",
    quadFunction(p.a), quadFunction(p.b), "",
    ...stagingFunctions(a, threads), ...stagingFunctions(b, threads),
    ...p.functions,
    `@compute @workgroup_size(${threads})`,
    "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {",
    `  let row0 = group.y * ${t.bm}u;`, `  let col0 = group.x * ${t.bn}u;`,
    `  let tx = thread % ${tx}u;`, `  let ty = thread / ${tx}u;`,
    ...p.before,
    ...cells.flatMap(({ q, r }) => cs.map((c) => `  var acc${q}${r}${c} = vec4<f32>();`)),
    ...(p.sums === undefined ? [] : cs.map((c) => `  var sum${c} = vec4<f32>();`)),
    ...each(a, (i) => `  var next_a${i} = fetch_a${i}(a_at, row0, ${p.from}, ${p.to}, thread);`),
    ...each(b, (i) => `  var next_b${i} = fetch_b${i}(b_at, col0, ${p.from}, ${p.to}, thread);`),
    `  for (var k0 = ${p.from}; k0 < ${p.to}; k0 += ${t.bk}u) {`,
    ...each(a, (i) => `    place_a${i}(thread, next_a${i});`), ...each(b, (i) => `    place_b${i}(thread, next_b${i});`),
    "    workgroupBarrier();",
    ...each(a, (i) => `    next_a${i} = fetch_a${i}(a_at, row0, k0 + ${t.bk}u, ${p.to}, thread);`),
    ...each(b, (i) => `    next_b${i} = fetch_b${i}(b_at, col0, k0 + ${t.bk}u, ${p.to}, thread);`),
    `    for (var g = 0u; g < ${t.bk / 4}u; g++) {`,
    ...operandLines(a, qs, ty, "ty"), ...operandLines(b, cs, tx, "tx"),
    ...lanes.flatMap((kk) => [
      ...(p.b.alongK ? cs.map((c) => `      let b${kk}${c} = vec4<f32>(${lanes.map((l) => `rb${c}${l}[${kk}]`).join(", ")});`) : []),
      ...cells.flatMap(({ q, r }) => cs.map((c) => `      acc${q}${r}${c} = fma(vec4<f32>(${p.a.alongK ? `ra${q}${r}[${kk}]` : `a${kk}${q}[${r}]`}), b${kk}${c}, acc${q}${r}${c});`)),
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

/** Lines that read an operand's part of four steps along k into registers. */
function operandLines(s: Staging, groups: readonly number[], across: number, thread: "tx" | "ty"): string[] {
  const { name, alongK: along } = s.o;
  const at = (g: number): string => `${g * across}u + ${thread}`;
  return along
    ? groups.flatMap((g) => lanes.map((r) => `      let r${name}${g}${r} = tile_${name}[(${r * s.side / 4}u + ${at(g)}) * ${s.row}u + g];`))
    : lanes.flatMap((kk) => groups.map((g) => `      let ${name}${kk}${g} = tile_${name}[(g * 4u + ${kk}u) * ${s.row}u + ${at(g)}];`));
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
