/**
 * Matrix products through subgroup matrices (`chromium_experimental_subgroup_matrix`): the form that tensor cores run.
 *
 * The same dispatch as the form by registers, with the same tile, bindings and epilogue, so that a plan holds for devices with
 * and without. What devices differ in stands in constants at the top, which the runtime sets to what the device has: threads
 * of a subgroup and sizes of its matrices; it also writes out the loops and arrays that are marked (`unroll.ts`), without which
 * matrices lie in slow memory: an eighth of the speed of a tile of 128 x 128 on an H100. A slice is staged in workgroup memory in the direction in which
 * it lies, for matrices are loaded either way; sums are f32. A thread moves eight elements at once where rows are multiples of
 * 8 (two and a half times the speed there), else four: offsets and strides of matrices count vec4s. Elements of a result matrix
 * cannot be touched, so results go through workgroup memory to the epilogue, a matrix per subgroup at a time.
 *
 * Facts of the extension are from Dawn's tests and Tint's documentation; shapes of tiles, depth of slices and padding were measured
 * (`bench/wgsl-h100.md`): a second buffer for slices, other tiles and less padding are slower.
 */
import type { Operand, Product } from "./product.js";
import { quadFunction, wideFunction } from "./product.js";

/** Subgroups of a workgroup, as columns and rows of a tile. */
const [ACROSS, DOWN] = [2, 2];

/** Workgroup memory that the form may take: twice WebGPU's own minimum, which devices with matrices have; on others it is passed over. */
const MEMORY = 32768;

/** vec4s of a row of the drain: a matrix's, and one more against bank conflicts. */
const DRAIN_ROW = 5;

/** Padding of rows in workgroup memory, in elements. */
export const PAD = 8;

/** The lines that the runtime replaces, with the values of NVIDIA, AMD and most others. */
export const CONSTANTS = [
  "// Set for the device by the runtime: threads of a subgroup; rows, columns and depth of its matrices.",
  "const SUBGROUP = 32u;",
  "const MM = 16u;",
  "const MN = 16u;",
  "const MK = 16u;",
];

/** One operand with its side of the tile and the depth of a slice. */
interface Slice {
  readonly o: Operand;
  readonly side: number;
  readonly bk: number;
}

/** Row of a staged slice, in elements. */
function rowOf({ o, side, bk }: Slice): number {
  return (o.alongK ? bk : side) + PAD;
}

function elementsOf(s: Slice): number {
  return rowOf(s) * (s.o.alongK ? s.side : s.bk);
}

/** Elements behind a slice that are never touched: the proposal calls a matrix out of bounds where `offset + stride * rows` is beyond the array. */
function tailOf({ o, side, bk }: Slice): number {
  return o.alongK ? bk : side;
}

interface Slices {
  readonly a: Slice;
  readonly b: Slice;
  readonly bk: number;
}

/** The slices of both operands: as deep as two of the widest matrices where that fits beside the drain, else as one. */
function slicesOf({ a, b, tile }: Product): Slices {
  const of = (bk: number): Slices => ({ a: { o: a, side: tile.bm, bk }, b: { o: b, side: tile.bn, bk }, bk });
  const fits = ({ a: x, b: y }: Slices): boolean => 2 * [x, y].reduce((sum, s) => sum + elementsOf(s) + tailOf(s), 0) + ACROSS * DOWN * 16 * DRAIN_ROW * 16 <= MEMORY;
  return fits(of(32)) ? of(32) : of(16);
}

/** How a thread moves an operand: so many elements at once, in so many pieces. */
function movesOf({ o, side, bk }: Slice): { readonly at: number; readonly type: string; readonly row: number; readonly pieces: number } {
  const at = o.wide === undefined ? 4 : 8;
  return { at, type: at === 8 ? "vec4<u32>" : "vec4<f16>", row: (o.alongK ? bk : side) / at, pieces: side * bk / at };
}

/** Constants and functions that stage one operand. */
function stagingLines(s: Slice): string[] {
  const { o: { name, wide } } = s;
  const upper = name.toUpperCase();
  const { pieces } = movesOf(s);
  return [
    `const PIECES_${upper} = ${pieces}u;`,
    `const SHARE_${upper} = (PIECES_${upper} + THREADS - 1u) / THREADS;`,
    `const WHOLE_${upper} = PIECES_${upper} % THREADS == 0u;`,
    `var<workgroup> slice_${name}: array<vec4<f16>, ${(elementsOf(s) + tailOf(s)) / 4}>;`,
    wide === undefined ? quadFunction(s.o, "f16") : wideFunction(s.o, wide), "",
  ];
}

/** Lines that go over the pieces of a slice that a thread moves. */
function overPieces(s: Slice, indent: string, body: string): string[] {
  const upper = s.o.name.toUpperCase();
  return [`${indent}for (var i = 0u; i < SHARE_${upper}; i++) { // unrolled`, `${indent}  let s = thread + i * THREADS;`, `${indent}  if (WHOLE_${upper} || s < PIECES_${upper}) { ${body} }`, `${indent}}`];
}

function declareNext(s: Slice): string {
  return `  var next_${s.o.name}: array<${movesOf(s).type}, SHARE_${s.o.name.toUpperCase()}>; // split`;
}

/** Where a piece `s` of the slice from `k0` on lies: along m or n, and along k. */
function pieceOf(s: Slice, k0: string): { readonly r: string; readonly k: string } {
  const { at, row } = movesOf(s);
  const start = s.o.name === "a" ? "row0" : "col0";
  return s.o.alongK ? { r: `${start} + s / ${row}u`, k: `${k0} + s % ${row}u * ${at}u` } : { r: `${start} + s % ${row}u * ${at}u`, k: `${k0} + s / ${row}u` };
}

/** Lines that fetch the slice from `k0` on. */
function fetchLines(s: Slice, k0: string, k_end: string, indent: string): string[] {
  const { o: { name, wide } } = s;
  const { r, k } = pieceOf(s, k0);
  return overPieces(s, indent, `next_${name}[i] = ${wide === undefined ? "quad" : "wide"}_${name}(${name}_at, ${r}, ${k}, ${k_end});`);
}

/** Lines that put what was fetched of the slice from `k0` on into its place, zeroed beyond k. */
function placeLines(s: Slice, p: Product, indent: string): string[] {
  const { o: { name, wide, quads } } = s;
  const { at, row, type } = movesOf(s);
  const place = `s / ${row}u * ${rowOf(s) / 4}u + s % ${row}u${at === 8 ? " * 2u" : ""}`;
  const four = p.exact || !quads ? `next_${name}[i]` : `select(${type}(), next_${name}[i], ${pieceOf(s, "k0").k} < ${p.to})`;
  return overPieces(s, indent, wide === undefined
    ? `slice_${name}[${place}] = ${four};`
    : `let at = ${place}; let eight = ${four}; slice_${name}[at] = bitcast<vec4<f16>>(eight.xy); slice_${name}[at + 1u] = bitcast<vec4<f16>>(eight.zw);`);
}

/** Loads a matrix of a slice: `along` is its place along m or n, `k` along k. */
function loadText(s: Slice, along: string): string {
  const { o } = s;
  const row = rowOf(s) / 4;
  const type = o.name === "a" ? "subgroup_matrix_left<f16, MK, MM>" : "subgroup_matrix_right<f16, MN, MK>";
  // A left matrix has k along its rows, a right one along its columns.
  const order = (o.name === "a") === o.alongK ? "row_major" : "col_major";
  const at = o.alongK ? `(${along}) * ${row}u + k / 4u` : `k * ${row}u + (${along}) / 4u`;
  return `subgroupMatrixLoad<${type}, ${order}>(&slice_${o.name}, ${at}, ${row}u)`;
}

/** The code around the entry point: constants, functions and `main`. */
export function matrixForm(p: Product): string {
  const { bm, bn } = p.tile;
  const [across, down] = [ACROSS, DOWN];
  const { a, b, bk } = slicesOf(p);
  const lines = [
    ...CONSTANTS,
    `const GROUPS = ${across * down}u;`,
    "const THREADS = SUBGROUP * GROUPS;",
    `const ROWS = ${bm / down}u / MM;`,
    `const COLUMNS = ${bn / across}u / MN;`,
    `const STEPS = ${bk}u / MK;`,
    `var<workgroup> drain: array<vec4<f32>, GROUPS * MM * ${DRAIN_ROW}u>;`, "",
    ...stagingLines(a), ...stagingLines(b),
    ...p.functions,
    "@compute @workgroup_size(THREADS)",
    "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32, @builtin(subgroup_id) own: u32, @builtin(subgroup_invocation_id) lane: u32) {",
    `  let row0 = group.y * ${bm}u;`, `  let col0 = group.x * ${bn}u;`,
    `  let row_own = own / ${across}u * ${bm / down}u;`, `  let col_own = own % ${across}u * ${bn / across}u;`,
    ...p.before,
    "  var acc: array<array<subgroup_matrix_result<f32, MN, MM>, COLUMNS>, ROWS>; // split",
    ...(p.sums === undefined ? [] : [`  var sums: array<f32, (${bn}u + THREADS - 1u) / THREADS>;`]),
    declareNext(a), declareNext(b),
    ...fetchLines(a, p.from, p.to, "  "), ...fetchLines(b, p.from, p.to, "  "),
    `  for (var k0 = ${p.from}; k0 < ${p.to}; k0 += ${bk}u) {`,
    ...placeLines(a, p, "    "), ...placeLines(b, p, "    "),
    "    workgroupBarrier();",
    ...fetchLines(a, `k0 + ${bk}u`, p.to, "    "), ...fetchLines(b, `k0 + ${bk}u`, p.to, "    "),
    "    for (var step = 0u; step < STEPS; step++) { // unrolled",
    "      let k = step * MK;",
    "      var left: array<subgroup_matrix_left<f16, MK, MM>, ROWS>; // split",
    "      for (var i = 0u; i < ROWS; i++) { // unrolled", `        left[i] = ${loadText(a, "row_own + i * MM")};`, "      }",
    "      for (var j = 0u; j < COLUMNS; j++) { // unrolled",
    `        let right = ${loadText(b, "col_own + j * MN")};`,
    "        for (var i = 0u; i < ROWS; i++) { // unrolled", "          acc[i][j] = subgroupMatrixMultiplyAccumulate(left[i], right, acc[i][j]);", "        }",
    "      }",
    "    }",
    // The sums are the same for all rows of tiles: the first one makes them.
    ...(p.sums === undefined ? [] : [
      "    if (group.y == 0u) {",
      `      for (var c = thread; c < ${bn}u; c += THREADS) {`,
      `        for (var j = 0u; j < ${bk}u; j++) { sums[c / THREADS] += f32(slice_b[j * ${rowOf(b) / 4}u + c / 4u][c % 4u]); }`,
      "      }",
      "    }",
    ]),
    "    workgroupBarrier();",
    "  }",
    // One matrix of each subgroup at a time; which one is a question of each turn, so that the epilogue is in the text once.
    "  for (var turn = 0u; turn < ROWS * COLUMNS; turn++) {",
    "    for (var i = 0u; i < ROWS; i++) { // unrolled",
    "      for (var j = 0u; j < COLUMNS; j++) { // unrolled",
    `        if (turn == i * COLUMNS + j) { subgroupMatrixStore<row_major>(&drain, own * MM * ${DRAIN_ROW}u, acc[i][j], ${DRAIN_ROW}u); }`,
    "      }",
    "    }",
    "    workgroupBarrier();",
    "    for (var e = lane; e < MM * MN / 4u; e += SUBGROUP) {",
    "      let r = e / (MN / 4u);",
    "      let c = e % (MN / 4u);",
    `      ${p.finish("row0 + row_own + turn / COLUMNS * MM + r", "col0 + col_own + turn % COLUMNS * MN + c * 4u", `drain[(own * MM + r) * ${DRAIN_ROW}u + c]`)}`,
    "    }",
    "    workgroupBarrier();",
    "  }",
    ...(p.sums === undefined ? [] : [
      "  if (group.y == 0u) {",
      `    for (var c = thread; c < ${bn}u; c += THREADS) { let col = col0 + c; ${p.sums("col", "sums[c / THREADS]")} }`,
      "  }",
    ]),
    "}",
  ];
  return lines.join("\n");
}
