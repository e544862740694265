/**
 * Attention through subgroup matrices (`chromium_experimental_subgroup_matrix`): the form of the forward pass that tensor cores
 * run, where queries, keys and values are f16.
 *
 * The same dispatch as the portable form: a workgroup has 64 queries of one head, each of its four subgroups 16 of them, and
 * keys pass by 16 at a time. Rows of a result matrix cannot be scaled by themselves, so the softmax goes over the keys twice:
 * the first sweep makes each row's maximum and sum, the second makes probabilities that need no scaling any more and adds
 * their products with the values, in matrices from beginning to end. That is three products instead of two, all of them on
 * matrix units. Scores, sums and outputs are f32; queries, keys, values and probabilities are f16. Heads are padded with
 * zeros to a multiple of 16.
 *
 * As with products (`matrix.ts`), sizes of subgroups and matrices are constants that the runtime sets.
 */
import { constantDim } from "../../../types/dim.js";
import type { Forward, Frame } from "./attention-frame.js";
import { storeQuad } from "./attention-frame.js";
import { CONSTANTS, PAD } from "./matrix.js";

/** Queries of a subgroup, and keys that pass by at once; subgroups of a workgroup. */
const [SIDE, GROUPS] = [16, 4];

/** The widest head: its matrices lie in registers, its keys and values in workgroup memory. */
const WIDEST = 128;

/** Whether there is such a form of an attention. */
export function hasMatrixForm(f: Frame, work: Forward): boolean {
  return !f.direct && f.d <= WIDEST && [work.q, work.k, work.v].every((p) => p.tensor.dtype === "f16");
}

/** Lines that stage 16 rows of an operand at `place`, from row `first` on, rows beyond `limit` as the last one. */
function staged(f: Frame, name: string, first: string, limit: string, place: string): string {
  return `for (var s = thread; s < ${SIDE}u * QUADS; s += THREADS) {
      let r = s / QUADS;
      let c = s % QUADS;
      var four = vec4<f32>();
      if (c < ${f.quads}u) { four = ${name}_quad(image * ${limit} + min(${first} + r, ${limit} - 1u), head, c); }
      let at = ${place} + r * ROW + c * 4u;
      for (var l = 0u; l < 4u; l++) { stage[at + l] = f16(four[l]); }
    }`;
}

/** Lines that leave the products of a subgroup's queries with 16 keys in `scores`. */
const products = `for (var i = 0u; i < ${SIDE}u / MM; i++) {
      for (var j = 0u; j < ${SIDE}u / MN; j++) {
        var sum: subgroup_matrix_result<f32, MN, MM>;
        for (var k = 0u; k < WIDTH / MK; k++) {
          let right = subgroupMatrixLoad<subgroup_matrix_right<f16, MN, MK>, col_major>(&stage, j * MN * ROW + k * MK, ROW);
          sum = subgroupMatrixMultiplyAccumulate(queries[i][k], right, sum);
        }
        subgroupMatrixStore<row_major>(&scores, own * ${SIDE * SIDE}u + i * MM * ${SIDE}u + j * MN, sum, ${SIDE}u);
      }
    }`;

/** The code around the entry point; `readers` are the functions that read a quad of an operand. */
export function attentionMatrixForm(f: Frame, work: Forward, readers: readonly string[]): string {
  const { w } = f;
  const [rows, keys] = [w.size("rows", f.rows), w.size("keys", f.keys)];
  const width = Math.ceil(f.d / SIDE) * SIDE;
  const store = storeQuad(f, "o", { tensor: work.o, width: f.width, at: constantDim(0) }, `(image * ${rows} + row)`, "c", "four");
  return `${CONSTANTS.join("\n")}
const THREADS = SUBGROUP * ${GROUPS}u;
const WIDTH = ${width}u;
const QUADS = ${width / 4}u;
const ROW = ${width + PAD}u;
var<workgroup> stage: array<f16, ${2 * SIDE * (width + PAD)}>;
var<workgroup> scores: array<f32, ${GROUPS * SIDE * SIDE}>;
var<workgroup> shares: array<f16, ${GROUPS * SIDE * SIDE}>;
var<workgroup> tops: array<f32, ${GROUPS * SIDE}>;
var<workgroup> totals: array<f32, ${GROUPS * SIDE}>;

${readers.join("\n\n")}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32, @builtin(subgroup_id) own: u32, @builtin(subgroup_invocation_id) lane: u32) {
  let image = group.y / ${w.size("heads", constantDim(f.heads))};
  let head = group.y % p.heads;
  let query = group.x * ${GROUPS * SIDE}u;
  var queries: array<array<subgroup_matrix_left<f16, MK, MM>, WIDTH / MK>, ${SIDE}u / MM>;
  for (var g = 0u; g < ${GROUPS}u; g++) {
    ${staged(f, "q", `query + g * ${SIDE}u`, rows, "0u")}
    workgroupBarrier();
    if (own == g) {
      for (var i = 0u; i < ${SIDE}u / MM; i++) {
        for (var k = 0u; k < WIDTH / MK; k++) { queries[i][k] = subgroupMatrixLoad<subgroup_matrix_left<f16, MK, MM>, row_major>(&stage, i * MM * ROW + k * MK, ROW); }
      }
    }
    workgroupBarrier();
  }
  for (var r = lane; r < ${SIDE}u; r += SUBGROUP) {
    tops[own * ${SIDE}u + r] = -3.0e38f;
    totals[own * ${SIDE}u + r] = 0f;
  }
  for (var first = 0u; first < ${keys}; first += ${SIDE}u) {
    ${staged(f, "k", "first", keys, "0u")}
    workgroupBarrier();
    ${products}
    workgroupBarrier();
    for (var r = lane; r < ${SIDE}u; r += SUBGROUP) {
      let at = own * ${SIDE}u + r;
      var top = tops[at];
      for (var c = 0u; c < ${SIDE}u; c++) {
        if (first + c < ${keys}) { top = max(top, scores[at * ${SIDE}u + c] * ${f.scale}); }
      }
      var total = totals[at] * exp(tops[at] - top);
      for (var c = 0u; c < ${SIDE}u; c++) {
        if (first + c < ${keys}) { total += exp(scores[at * ${SIDE}u + c] * ${f.scale} - top); }
      }
      tops[at] = top;
      totals[at] = total;
    }
    workgroupBarrier();
  }
  for (var r = lane; r < ${SIDE}u; r += SUBGROUP) {
    let at = own * ${SIDE}u + r;
    let row = query + at;
    tops[at] += log(totals[at]);
    if (row < ${rows}) { ${w.write("lse", work.lse)(`group.y * ${rows} + row`, "tops[at]")} }
  }
  var outputs: array<array<subgroup_matrix_result<f32, MN, MM>, WIDTH / MN>, ${SIDE}u / MM>;
  for (var first = 0u; first < ${keys}; first += ${SIDE}u) {
    ${staged(f, "k", "first", keys, "0u")}
    ${staged(f, "v", "first", keys, `${SIDE}u * ROW`)}
    workgroupBarrier();
    ${products}
    workgroupBarrier();
    for (var e = lane; e < ${SIDE * SIDE}u; e += SUBGROUP) {
      var share = 0f;
      if (first + e % ${SIDE}u < ${keys}) { share = exp(scores[own * ${SIDE * SIDE}u + e] * ${f.scale} - tops[own * ${SIDE}u + e / ${SIDE}u]); }
      shares[own * ${SIDE * SIDE}u + e] = f16(share);
    }
    workgroupBarrier();
    for (var i = 0u; i < ${SIDE}u / MM; i++) {
      for (var k = 0u; k < ${SIDE}u / MK; k++) {
        let left = subgroupMatrixLoad<subgroup_matrix_left<f16, MK, MM>, row_major>(&shares, own * ${SIDE * SIDE}u + i * MM * ${SIDE}u + k * MK, ${SIDE}u);
        for (var j = 0u; j < WIDTH / MN; j++) {
          let right = subgroupMatrixLoad<subgroup_matrix_right<f16, MN, MK>, row_major>(&stage, ${SIDE}u * ROW + k * MK * ROW + j * MN, ROW);
          outputs[i][j] = subgroupMatrixMultiplyAccumulate(left, right, outputs[i][j]);
        }
      }
    }
    workgroupBarrier();
  }
  for (var i = 0u; i < ${SIDE}u / MM; i++) {
    for (var j = 0u; j < WIDTH / MN; j++) {
      subgroupMatrixStore<row_major>(&scores, own * ${SIDE * SIDE}u, outputs[i][j], MN);
      workgroupBarrier();
      for (var e = lane; e < MM * MN / 4u; e += SUBGROUP) {
        let row = query + own * ${SIDE}u + i * MM + e / (MN / 4u);
        let c = j * MN / 4u + e % (MN / 4u);
        let at = own * ${SIDE * SIDE}u + e * 4u;
        let four = vec4<f32>(scores[at], scores[at + 1u], scores[at + 2u], scores[at + 3u]);
        if (row < ${rows} && c < ${f.quads}u) {
          ${store}
        }
      }
      workgroupBarrier();
    }
  }
}`;
}
