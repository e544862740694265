/**
 * Attention through subgroup matrices (`chromium_experimental_subgroup_matrix`): the form of the forward pass that tensor cores
 * run, where queries, keys and values are f16.
 *
 * The same dispatch as the portable form: a workgroup has 64 queries of one head, and keys pass by 16 at a time
 * (`attention-blocks.ts`). Rows of a result matrix cannot be scaled by themselves, so the softmax goes over the keys twice:
 * the first sweep makes each row's maximum and sum, the second makes probabilities that need no scaling any more and adds
 * their products with the values, in matrices from beginning to end. That is three products instead of two, all of them on
 * matrix units. Scores, sums and outputs are f32; queries, keys, values and probabilities are f16.
 */
import { constantDim } from "../../../types/dim.js";
import { OWN, SIDE, addLines, blockDeclarations, blockEntry, drainLines, fetchLines, masked, nextRows, ownLines, placeLines, quadLines, results, scoreLines } from "./attention-blocks.js";
import type { Forward, Frame } from "./attention-frame.js";
import { storeQuad } from "./attention-frame.js";

/** The code around the entry point; `readers` are the functions that read a quad of an operand as f16. */
export function attentionMatrixForm(f: Frame, work: Forward, readers: readonly string[]): string {
  const { w } = f;
  const [rows, keys] = [w.size("rows", f.rows), w.size("keys", f.keys)];
  const store = storeQuad(f, "o", { tensor: work.o, width: f.width, at: constantDim(0) }, `(image * ${rows} + row)`, "c", "four");
  return `${blockDeclarations(f, [["tops", OWN], ["totals", OWN]])}

${readers.join("\n\n")}

${blockEntry(w.size("heads", constantDim(f.heads)))}
  ${ownLines(f, [["q", "queries"]], rows)}
  for (var r = lane; r < ${SIDE}u; r += SUBGROUP) {
    tops[own * ${SIDE}u + r] = -3.0e38f;
    totals[own * ${SIDE}u + r] = 0f;
  }
  ${nextRows(["k", "v"])}
  ${fetchLines(f, ["k"], "0u", keys)}
  for (var first = 0u; first < ${keys}; first += ${SIDE}u) {
    ${placeLines(["k"])}
    workgroupBarrier();
    ${fetchLines(f, ["k"], `first + ${SIDE}u`, keys)}
    ${scoreLines("queries", 0)}
    workgroupBarrier();
    for (var r = lane; r < ${SIDE}u; r += SUBGROUP) {
      let at = own * ${SIDE}u + r;
      var top = tops[at];
      var line: array<vec4<f32>, ${SIDE / 4}>;
      for (var c = 0u; c < ${SIDE / 4}u; c++) {
        var four = scores[at * LINE + c] * ${f.scale};
        for (var l = 0u; l < 4u; l++) { if (first + c * 4u + l >= ${keys}) { four[l] = -3.0e38f; } }
        line[c] = four;
        top = max(top, max(max(four[0], four[1]), max(four[2], four[3])));
      }
      var total = totals[at] * exp(tops[at] - top);
      for (var c = 0u; c < ${SIDE / 4}u; c++) { total += dot(exp(line[c] - top), vec4<f32>(1f)); }
      tops[at] = top;
      totals[at] = total;
    }
  }
  for (var r = lane; r < ${SIDE}u; r += SUBGROUP) {
    let at = own * ${SIDE}u + r;
    let row = start + at;
    tops[at] += log(totals[at]);
    if (row < ${rows}) { ${w.write("lse", work.lse)(`group.y * ${rows} + row`, "tops[at]")} }
  }
  ${results("outputs")}
  ${fetchLines(f, ["k", "v"], "0u", keys)}
  for (var first = 0u; first < ${keys}; first += ${SIDE}u) {
    ${placeLines(["k", "v"])}
    workgroupBarrier();
    ${fetchLines(f, ["k", "v"], `first + ${SIDE}u`, keys)}
    ${scoreLines("queries", 0)}
    workgroupBarrier();
    ${quadLines(`var share = exp(scores[at_score] * ${f.scale} - tops[row]);
      ${masked("share", keys)}
      shares[at_share] = vec4<f16>(share);`)}
    workgroupBarrier();
    ${addLines("outputs", 1)}
    workgroupBarrier();
  }
  ${drainLines(f, "outputs", rows, "", store)}
}`;
}
