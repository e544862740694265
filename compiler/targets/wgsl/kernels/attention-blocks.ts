/**
 * What the kernels of attention through subgroup matrices have in common (`attention-matrix.ts`, `attention-grad-matrix.ts`).
 *
 * A workgroup owns 64 rows of one side, each of its four subgroups 16 of them, and rows of the other side pass by 16 at a time.
 * Owns how 16 rows of operands come into workgroup memory (through registers, fetched while the rows before them are worked
 * on), the products with them, and how results leave. Everything that is staged is `vec4`, so that a thread moves four elements at once: offsets and strides of matrices count those. Rows are padded
 * so that neither eight of them read at once by a matrix load nor the rows that lanes read meet in a bank, and arrays end with a part
 * of a row that is never touched: the proposal calls a matrix out of bounds where `offset + stride * rows` is beyond the array,
 * Dawn where its last element is. Sizes of subgroups and matrices are constants that the runtime sets; it also writes out the loops and arrays that
 * are marked (`unroll.ts`), so that matrices lie in registers. Heads are padded
 * with zeros to a multiple of 16.
 */
import type { Tensor } from "../graph.js";
import type { Frame } from "./attention-frame.js";
import { CONSTANTS, PAD } from "./matrix.js";

/** Rows of a subgroup, and rows that pass by at once. */
export const SIDE = 16;
/** Subgroups of a workgroup. */
const GROUPS = 4;
/** Rows of a workgroup. */
export const OWN = SIDE * GROUPS;

/** The widest head: its matrices lie in registers, its staged rows in workgroup memory. */
const WIDEST = 128;
/** The widest head (padded) with which padded scores still fit into 16 KiB. */
const WIDEST_PADDED = 96;

/** Whether there are forms by matrices for operands of an attention. */
export function hasMatrixForm(f: Frame, operands: readonly Tensor[]): boolean {
  return !f.direct && f.d <= WIDEST && operands.every((t) => t.dtype === "f16");
}

/** Constants and workgroup memory; `numbers` are further arrays and how many numbers they hold. */
export function blockDeclarations(f: Frame, numbers: readonly (readonly [name: string, count: number])[]): string {
  const width = Math.ceil(f.d / SIDE) * SIDE;
  const [row, quads] = [(width + PAD) / 4, width / 4];
  const [line, slim] = width <= WIDEST_PADDED ? [5, 6] : [4, 4];
  return `${CONSTANTS.join("\n")}
const THREADS = SUBGROUP * ${GROUPS}u;
const WIDTH = ${width}u;
// Of rows, in vec4: staged without and with padding, of scores, of shares.
const QUADS = ${quads}u;
const ROW = ${row}u;
const LINE = ${line}u;
const SLIM = ${slim}u;
// Quads that a thread stages of an operand, and that a lane has of 16 x 16 numbers: as constants, so that their loops unroll.
const SHARE = (${SIDE}u * QUADS + THREADS - 1u) / THREADS;
const EACH = ${SIDE * SIDE / 4}u / SUBGROUP;
var<workgroup> stage: array<vec4<f16>, ${2 * SIDE * row + quads}>;
var<workgroup> scores: array<vec4<f32>, ${OWN * line + 4}>;
var<workgroup> shares: array<vec4<f16>, ${OWN * slim + 4}>;
${numbers.map(([name, count]) => `var<workgroup> ${name}: array<f32, ${count}>;`).join("\n")}`;
}

/** First lines of the entry point: `image`, `head`, `start`, the first own row, and `nothing`, a matrix of zeros. */
export const blockEntry = (heads: string): string => `@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32, @builtin(subgroup_id) own: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let image = group.y / ${heads};
  let head = group.y % ${heads};
  let start = group.x * ${OWN}u;
  // Zeros. WGSL says that a variable without a value is zero in each turn of a loop; what Dawn makes of it for Vulkan is zero in the first.
  var nothing: subgroup_matrix_result<f32, MN, MM>;`;

/** Where an operand is staged: the first, or behind it. */
const places = ["0u", `${SIDE}u * ROW`] as const;

/** Lines that go over the quads of 16 rows that a thread stages: number `n`, row `r` and quad `c`. */
function overQuads(body: string): string {
  return `for (var n = 0u; n < SHARE; n++) { // unrolled
      let s = thread + n * THREADS;
      if (s < ${SIDE}u * QUADS) {
        let r = s / QUADS;
        let c = s % QUADS;
        ${body}
      }
    }`;
}

/** The statement that puts a quad of row `first` + r of an operand into `to`; rows beyond `limit` are the last one. */
function quadInto(f: Frame, to: string, name: string, first: string, limit: string): string {
  const quad = `${name}_quad(image * ${limit} + min(${first} + r, ${limit} - 1u), head, c)`;
  return f.d % SIDE === 0 ? `${to} = ${quad};` : `if (c < ${f.quads}u) { ${to} = ${quad}; } else { ${to} = vec4<f16>(); }`;
}

/** Declares registers for a thread's share of the rows that come next. */
export const nextRows = (names: readonly string[]): string => names.map((name) => `var next_${name}: array<vec4<f16>, SHARE>; // split`).join("\n  ");

/** Lines that fetch 16 rows from `first` on, of one or two operands, into registers: they come while others are worked on. */
export function fetchLines(f: Frame, names: readonly string[], first: string, limit: string): string {
  return overQuads(names.map((name) => quadInto(f, `next_${name}[n]`, name, first, limit)).join("\n        "));
}

/** Lines that stage what was fetched, of the first operand and behind it of the second. */
export function placeLines(names: readonly string[]): string {
  return overQuads(names.map((name, i) => `stage[${places[i] ?? ""} + r * ROW + c] = next_${name}[n];`).join("\n        "));
}

/** Declares the left matrices of a subgroup's own rows of an operand. */
const ownMatrices = (name: string): string => `var ${name}: array<array<subgroup_matrix_left<f16, MK, MM>, WIDTH / MK>, ${SIDE}u / MM>; // split`;

/** Lines that bring own rows into matrices: subgroup by subgroup through the stage; `also` is done beside the staging, `after` once it is done. */
export function ownLines(f: Frame, matrices: readonly (readonly [operand: string, name: string])[], limit: string, also = "", after = ""): string {
  return `${matrices.map(([, name]) => ownMatrices(name)).join("\n  ")}
  for (var g = 0u; g < ${GROUPS}u; g++) {
    ${overQuads(matrices.map(([operand], i) => quadInto(f, `stage[${places[i] ?? ""} + r * ROW + c]`, operand, `start + g * ${SIDE}u`, limit)).join("\n        "))}${also}
    workgroupBarrier();
    if (own == g) {
      for (var i = 0u; i < ${SIDE}u / MM; i++) { // unrolled
        for (var k = 0u; k < WIDTH / MK; k++) { // unrolled
          ${matrices.map(([, name], i) => `${name}[i][k] = subgroupMatrixLoad<subgroup_matrix_left<f16, MK, MM>, row_major>(&stage, ${places[i] ?? ""} + i * MM * ROW + k * MK / 4u, ROW);`).join("\n          ")}
        }
      }
    }${after}
    workgroupBarrier();
  }`;
}

/** Lines that leave the products of own rows with the 16 rows staged at `place` in \`scores\`. */
export function scoreLines(name: string, place: 0 | 1): string {
  return `for (var i = 0u; i < ${SIDE}u / MM; i++) { // unrolled
      for (var j = 0u; j < ${SIDE}u / MN; j++) { // unrolled
        var sum = nothing;
        for (var k = 0u; k < WIDTH / MK; k++) { // unrolled
          let right = subgroupMatrixLoad<subgroup_matrix_right<f16, MN, MK>, col_major>(&stage, ${places[place]} + j * MN * ROW + k * MK / 4u, ROW);
          sum = subgroupMatrixMultiplyAccumulate(${name}[i][k], right, sum);
        }
        subgroupMatrixStore<row_major>(&scores, (own * ${SIDE}u + i * MM) * LINE + j * MN / 4u, sum, LINE);
      }
    }`;
}

/** Declares the results of a subgroup: a row of a head for each own row. */
export const results = (name: string): string => `var ${name}: array<array<subgroup_matrix_result<f32, MN, MM>, WIDTH / MN>, ${SIDE}u / MM>; // split`;

/** Lines that add the products of \`shares\` with the 16 rows staged at `place`. */
export function addLines(name: string, place: 0 | 1): string {
  return `for (var i = 0u; i < ${SIDE}u / MM; i++) { // unrolled
      for (var k = 0u; k < ${SIDE}u / MK; k++) { // unrolled
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, MK, MM>, row_major>(&shares, (own * ${SIDE}u + i * MM) * SLIM + k * MK / 4u, SLIM);
        for (var j = 0u; j < WIDTH / MN; j++) { // unrolled
          let right = subgroupMatrixLoad<subgroup_matrix_right<f16, MN, MK>, row_major>(&stage, ${places[place]} + k * MK * ROW + j * MN / 4u, ROW);
          ${name}[i][j] = subgroupMatrixMultiplyAccumulate(left, right, ${name}[i][j]);
        }
      }
    }`;
}

/** Lines that go over a lane's quads: `row` within the subgroup's own rows, and `at_score`, `at_share`, where the quad lies. */
export function quadLines(body: string): string {
  return `for (var n = 0u; n < EACH; n++) {
      let e = lane + n * SUBGROUP;
      let row = own * ${SIDE}u + e / 4u;
      let at_score = row * LINE + e % 4u;
      let at_share = row * SLIM + e % 4u;
      ${body}
    }`;
}

/** Lines that zero what rows beyond the `limit` have in the quad `name`; the quads of a lane lie in the same four columns. */
export const masked = (name: string, limit: string): string => `if (first + ${SIDE}u > ${limit}) {
        for (var l = 0u; l < 4u; l++) { if (first + lane % 4u * 4u + l >= ${limit}) { ${name}[l] = 0f; } }
      }`;

/** Lines that bring results out through \`scores\`, a matrix of each subgroup at a time: `store` stores \`four\` as quad \`c\` of own row \`row\`. */
export function drainLines(f: Frame, name: string, limit: string, scale: string, store: string): string {
  return `for (var i = 0u; i < ${SIDE}u / MM; i++) { // unrolled
    for (var j = 0u; j < WIDTH / MN; j++) { // unrolled
      subgroupMatrixStore<row_major>(&scores, own * ${SIDE}u * LINE, ${name}[i][j], LINE);
      workgroupBarrier();
      for (var e = lane; e < MM * MN / 4u; e += SUBGROUP) {
        let row = start + own * ${SIDE}u + i * MM + e / (MN / 4u);
        let c = j * MN / 4u + e % (MN / 4u);
        let four = scores[own * ${SIDE}u * LINE + e / (MN / 4u) * LINE + e % (MN / 4u)]${scale};
        if (row < ${limit} && c < ${f.quads}u) {
          ${store}
        }
      }
      workgroupBarrier();
    }
  }`;
}
