/**
 * Matrix products through subgroup matrices (`chromium_experimental_subgroup_matrix`): the form that tensor cores run.
 *
 * The same dispatch as the form by registers, with the same tile, bindings and epilogue, so that a plan holds for devices with
 * and without. What devices differ in stands in constants at the top, which the runtime sets to what the device has: threads
 * of a subgroup and sizes of its matrices. A slice is staged in workgroup memory in the direction in which it
 * lies, for matrices are loaded either way; sums are f32. What is staged is `vec4`, so that a thread moves four elements at once:
 * offsets and strides of matrices count those. Elements of a result matrix cannot be touched, so results go through
 * workgroup memory to the epilogue, a matrix per subgroup at a time.
 *
 * Facts of the extension are from Dawn's tests and Tint's documentation; sizes of tiles follow published measurements.
 */
import type { Operand, Product } from "./product.js";
import { quadFunction } from "./product.js";

/** Subgroups of a workgroup, as columns and rows of a tile. */
const [ACROSS, DOWN] = [2, 2];

/** Workgroup memory of WebGPU's own minimum. */
const MEMORY = 16384;

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

/**
 * Elements behind a slice that are never touched: the proposal calls a matrix out of bounds where `offset + stride * rows` is
 * beyond the array. Dawn asks for its last element only, so they are left out where they would not fit.
 */
function tailOf({ o, side, bk }: Slice): number {
  return o.alongK ? bk : side;
}

interface Slices {
  readonly a: Slice;
  readonly b: Slice;
  readonly bk: number;
  readonly tails: boolean;
}

/** The slices of both operands: as deep as two of the widest matrices where f16 of that fits beside the drain, else as one. */
function slicesOf({ a, b, tile }: Product): Slices {
  const of = (bk: number, tails: boolean): Slices => ({ a: { o: a, side: tile.bm, bk }, b: { o: b, side: tile.bn, bk }, bk, tails });
  const fits = ({ a: x, b: y, tails }: Slices): boolean =>
    2 * [x, y].reduce((sum, s) => sum + elementsOf(s) + (tails ? tailOf(s) : 0), 0) + ACROSS * DOWN * 16 * 16 * 4 <= MEMORY;
  return [of(32, true), of(16, true)].find(fits) ?? of(16, false);
}

/** Constants and functions that stage one operand: each thread moves four elements at a time. */
function stagingLines(s: Slice, tails: boolean): string[] {
  const { o, side, bk } = s;
  const { name } = o;
  const upper = name.toUpperCase();
  const quads = (o.alongK ? bk : side) / 4;
  const [r, k] = o.alongK ? [`r0 + s / ${quads}u`, `k0 + s % ${quads}u * 4u`] : [`r0 + s % ${quads}u * 4u`, `k0 + s / ${quads}u`];
  return [
    `const QUADS_${upper} = ${side * bk / 4}u;`,
    `const SHARE_${upper} = (QUADS_${upper} + THREADS - 1u) / THREADS;`,
    `var<workgroup> slice_${name}: array<vec4<f16>, ${(elementsOf(s) + (tails ? tailOf(s) : 0)) / 4}>;`,
    `var<private> next_${name}: array<vec4<f16>, SHARE_${upper}>;`,
    quadFunction(o, "f16"),
    `fn fetch_${name}(at: u32, r0: u32, k0: u32, k_end: u32, thread: u32) {`,
    `  for (var i = 0u; i < SHARE_${upper}; i++) {`,
    `    let s = thread + i * THREADS;`,
    `    if (s < QUADS_${upper}) { next_${name}[i] = quad_${name}(at, ${r}, ${k}, k_end); }`,
    "  }", "}",
    `fn place_${name}(thread: u32) {`,
    `  for (var i = 0u; i < SHARE_${upper}; i++) {`,
    `    let s = thread + i * THREADS;`,
    `    if (s < QUADS_${upper}) { slice_${name}[s / ${quads}u * ${rowOf(s) / 4}u + s % ${quads}u] = next_${name}[i]; }`,
    "  }", "}", "",
  ];
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
  const { a, b, bk, tails } = slicesOf(p);
  const lines = [
    ...CONSTANTS,
    `const GROUPS = ${across * down}u;`,
    "const THREADS = SUBGROUP * GROUPS;",
    `const ROWS = ${bm / down}u / MM;`,
    `const COLUMNS = ${bn / across}u / MN;`,
    "var<workgroup> drain: array<vec4<f32>, GROUPS * MM * MN / 4u>;", "",
    ...stagingLines(a, tails), ...stagingLines(b, tails),
    ...p.functions,
    "@compute @workgroup_size(THREADS)",
    "fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32, @builtin(subgroup_id) own: u32, @builtin(subgroup_invocation_id) lane: u32) {",
    `  let row0 = group.y * ${bm}u;`, `  let col0 = group.x * ${bn}u;`,
    `  let row_own = own / ${across}u * ${bm / down}u;`, `  let col_own = own % ${across}u * ${bn / across}u;`,
    ...p.before,
    "  var acc: array<array<subgroup_matrix_result<f32, MN, MM>, COLUMNS>, ROWS>;",
    ...(p.sums === undefined ? [] : [`  var sums: array<f32, (${bn}u + THREADS - 1u) / THREADS>;`]),
    `  fetch_a(a_at, row0, ${p.from}, ${p.to}, thread);`, `  fetch_b(b_at, col0, ${p.from}, ${p.to}, thread);`,
    `  for (var k0 = ${p.from}; k0 < ${p.to}; k0 += ${bk}u) {`,
    "    place_a(thread);", "    place_b(thread);",
    "    workgroupBarrier();",
    `    fetch_a(a_at, row0, k0 + ${bk}u, ${p.to}, thread);`, `    fetch_b(b_at, col0, k0 + ${bk}u, ${p.to}, thread);`,
    `    for (var k = 0u; k < ${bk}u; k += MK) {`,
    "      var left: array<subgroup_matrix_left<f16, MK, MM>, ROWS>;",
    `      for (var i = 0u; i < ROWS; i++) { left[i] = ${loadText(a, "row_own + i * MM")}; }`,
    "      for (var j = 0u; j < COLUMNS; j++) {",
    `        let right = ${loadText(b, "col_own + j * MN")};`,
    "        for (var i = 0u; i < ROWS; i++) { acc[i][j] = subgroupMatrixMultiplyAccumulate(left[i], right, acc[i][j]); }",
    "      }", "    }",
    ...(p.sums === undefined ? [] : [
      "    for (var c = thread; c < " + `${bn}u; c += THREADS) {`,
      `      for (var j = 0u; j < ${bk}u; j++) { sums[c / THREADS] += f32(slice_b[j * ${rowOf(b) / 4}u + c / 4u][c % 4u]); }`,
      "    }",
    ]),
    "    workgroupBarrier();",
    "  }",
    "  for (var i = 0u; i < ROWS; i++) {",
    "    for (var j = 0u; j < COLUMNS; j++) {",
    "      subgroupMatrixStore<row_major>(&drain, own * MM * MN / 4u, acc[i][j], MN / 4u);",
    "      workgroupBarrier();",
    "      for (var e = lane; e < MM * MN / 4u; e += SUBGROUP) {",
    `        ${p.finish("row0 + row_own + i * MM + e / (MN / 4u)", "col0 + col_own + j * MN + e % (MN / 4u) * 4u", "drain[own * MM * MN / 4u + e]")}`,
    "      }",
    "      workgroupBarrier();",
    "    }", "  }",
    ...(p.sums === undefined ? [] : [
      "  if (group.y == 0u) {",
      `    for (var c = thread; c < ${bn}u; c += THREADS) { let col = col0 + c; ${p.sums("col", "sums[c / THREADS]")} }`,
      "  }",
    ]),
    "}",
  ];
  return lines.join("\n");
}
