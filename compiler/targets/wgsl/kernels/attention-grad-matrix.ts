/**
 * The gradient of attention through subgroup matrices: the form of `attention-grad.ts` that tensor cores run, where queries, keys,
 * values, the output and its gradient are f16.
 *
 * The same dispatches, halves and bindings as the portable form. A subgroup owns 16 queries (dq) or 16 keys (dk, dv), and rows of
 * the other side pass by 16 at a time: two products make scores and the gradients of probabilities, which pass through workgroup
 * memory because elements of a matrix cannot be touched there; lanes make probabilities (p) and gradients of scores (ds) of
 * them, and one product (two for keys) adds those up in matrices from beginning to end. So each sum has one owner and one order.
 * Scores, p, ds and sums are f32; p and ds are rounded to f16 where they are multiplied. Blocks, staging and products are
 * `attention-blocks.ts`.
 */
import { constantDim } from "../../../types/dim.js";
import type { Part, Tensor } from "../graph.js";
import { OWN, SIDE, addLines, blockDeclarations, blockEntry, drainLines, fetchLines, masked, nextRows, ownLines, placeLines, quadLines, results, scoreLines } from "./attention-blocks.js";
import type { Backward, Frame } from "./attention-frame.js";
import { storeQuad } from "./attention-frame.js";

/** Which side a dispatch owns: queries, keys, or first one and then the other by the last dimension of its groups. */
export type Halves = "queries" | "keys" | "both";

/** Parts in which o * do of one row is added up: so many threads share in it. */
const PARTS = 8;

/** The code around the entry point; `readers` are the functions that read a quad of an operand as f16, `delta` the sums of o * do that go from one dispatch to the next. */
export function attentionGradMatrixForm(f: Frame, work: Backward, readers: readonly string[], halves: Halves, delta: Tensor | undefined): string {
  const body = halves === "both"
    ? `  if (group.z == 0u) {\n  ${queryLines(f, work, delta)}\n  } else {\n  ${keyLines(f, work, delta)}\n  }`
    : `  ${halves === "queries" ? queryLines(f, work, delta) : keyLines(f, work, delta)}`;
  return `${blockDeclarations(f, [["lses", OWN], ["deltas", OWN], ["parts", SIDE * PARTS]])}
// Parts of sums that a thread adds up.
const PART_SHARE = (${SIDE * PARTS}u + THREADS - 1u) / THREADS;

${readers.join("\n\n")}

${blockEntry(f.w.size("heads", constantDim(f.heads)))}
${body}
}`;
}

/** Lines that go over a thread's parts of o * do of 16 rows: number `n`, place `s`. */
const overParts = (body: string): string => `for (var n = 0u; n < PART_SHARE; n++) { // unrolled
      let s = thread + n * THREADS;
      if (s < ${SIDE * PARTS}u) {
        ${body}
      }
    }`;

/** Quads of a row that one of its threads adds up. */
const roundsOf = (f: Frame): number => Math.ceil(f.quads / PARTS);

/** Statements that do `each` for the quads `c` of a part: rounds of constant number, so that no read waits for another. */
function overRounds(f: Frame, first: string, limit: string, each: string): string {
  return `let r = image * ${limit} + min(${first} + s / ${PARTS}u, ${limit} - 1u);
        for (var m = 0u; m < ${roundsOf(f)}u; m++) { // unrolled
          let c = s % ${PARTS}u + m * ${PARTS}u;
          ${f.quads % PARTS === 0 ? each : `if (c < ${f.quads}u) { ${each} }`}
        }`;
}

/** Lines that fetch what a thread adds up of 16 rows into registers: the sums come when the rows are placed, for a sum would wait. */
function fetchParts(f: Frame, first: string, limit: string): string {
  const at = `n * ${roundsOf(f)}u + m`;
  return overParts(overRounds(f, first, limit, `part_g[${at}] = g_quad(r, head, c); part_o[${at}] = o_quad(r, head, c);`));
}

/** Lines that add up what was fetched. */
function placeParts(f: Frame): string {
  const products = Array.from({ length: roundsOf(f) }, (_, m) => `dot(vec4<f32>(part_g[n * ${roundsOf(f)}u + ${m}u]), vec4<f32>(part_o[n * ${roundsOf(f)}u + ${m}u]))`);
  return overParts(`parts[s] = ${products.join(" + ")};`);
}

/** Lines that add up parts of o * do at once. */
function partLines(f: Frame, first: string, limit: string): string {
  return overParts(`var sum = 0f;
        ${overRounds(f, first, limit, "sum += dot(vec4<f32>(g_quad(r, head, c)), vec4<f32>(o_quad(r, head, c)));")}
        parts[s] = sum;`);
}

/** Adds the parts of a row. */
const wholeOf = (r: string): string => Array.from({ length: PARTS }, (_, i) => `parts[${r} * ${PARTS}u + ${i}u]`).join(" + ");

const store = (f: Frame, name: string, part: Part, limit: string): string => storeQuad(f, name, part, `(image * ${limit} + row)`, "c", "four");

/** dq, and the sums of o * do where another dispatch wants them. */
function queryLines(f: Frame, work: Backward, delta: Tensor | undefined): string {
  const { w } = f;
  const [rows, keys] = [w.size("rows", f.rows), w.size("keys", f.keys)];
  const after = `
    for (var r = thread; r < ${SIDE}u; r += THREADS) {
      let row = start + g * ${SIDE}u + r;
      let sum = ${wholeOf("r")};
      lses[g * ${SIDE}u + r] = ${w.read("lse", work.lse)(`group.y * ${rows} + min(row, ${rows} - 1u)`)};
      deltas[g * ${SIDE}u + r] = sum;${delta === undefined ? "" : `\n      if (row < ${rows}) { ${w.write("delta", delta)(`group.y * ${rows} + row`, "sum")} }`}
    }`;
  return `${ownLines(f, [["q", "queries"], ["g", "gradients"]], rows, `\n    ${partLines(f, `start + g * ${SIDE}u`, rows)}`, after)}
  ${results("dqs")}
  ${nextRows(["k", "v"])}
  ${fetchLines(f, ["k", "v"], "0u", keys)}
  for (var first = 0u; first < ${keys}; first += ${SIDE}u) {
    ${placeLines(["k", "v"])}
    workgroupBarrier();
    ${fetchLines(f, ["k", "v"], `first + ${SIDE}u`, keys)}
    ${scoreLines("queries", 0)}
    workgroupBarrier();
    var probabilities: array<vec4<f32>, EACH>;
    ${quadLines(`var share = exp(scores[at_score] * ${f.scale} - lses[row]);
      ${masked("share", keys)}
      probabilities[n] = share;`)}
    workgroupBarrier();
    ${scoreLines("gradients", 1)}
    workgroupBarrier();
    ${quadLines("shares[at_share] = vec4<f16>(probabilities[n] * (scores[at_score] - deltas[row]));")}
    workgroupBarrier();
    ${addLines("dqs", 0)}
    workgroupBarrier();
  }
  ${drainLines(f, "dqs", rows, ` * ${f.scale}`, store(f, "dq", work.dq, rows))}`;
}

/** dk and dv. */
function keyLines(f: Frame, work: Backward, delta: Tensor | undefined): string {
  const { w } = f;
  const [rows, keys] = [w.size("rows", f.rows), w.size("keys", f.keys)];
  const four = (name: string): string => `vec4<f32>(${[0, 1, 2, 3].map((l) => `${name}[column + ${l}u]`).join(", ")})`;
  const fetch = (first: string): string => {
    const place = `group.y * ${rows} + min(${first} + thread, ${rows} - 1u)`;
    return `${fetchLines(f, ["q", "g"], first, rows)}
    if (thread < ${SIDE}u) { next_lse = ${w.read("lse", work.lse)(place)}; ${delta === undefined ? "" : `next_delta = ${w.read("delta", delta)(place)}; `}}${delta === undefined ? `\n    ${fetchParts(f, first, rows)}` : ""}`;
  };
  const place = `${placeLines(["q", "g"])}
    if (thread < ${SIDE}u) { lses[thread] = next_lse; ${delta === undefined ? "" : "deltas[thread] = next_delta; "}}${delta === undefined ? `\n    ${placeParts(f)}` : ""}`;
  const sums = delta === undefined ? `
    if (thread < ${SIDE}u) { deltas[thread] = ${wholeOf("thread")}; }` : "";
  return `let column = lane % 4u * 4u;
  ${ownLines(f, [["k", "own_keys"], ["v", "values"]], keys)}
  ${results("dks")}
  ${results("dvs")}
  ${nextRows(["q", "g"])}
  var next_lse = 0f;
  ${delta === undefined ? `var part_g: array<vec4<f16>, PART_SHARE * ${roundsOf(f)}u>;\n  var part_o: array<vec4<f16>, PART_SHARE * ${roundsOf(f)}u>;` : "var next_delta = 0f;"}
  ${fetch("0u")}
  for (var first = 0u; first < ${rows}; first += ${SIDE}u) {
    ${place}
    workgroupBarrier();${sums}
    ${fetch(`first + ${SIDE}u`)}
    ${scoreLines("own_keys", 0)}
    workgroupBarrier();
    var probabilities: array<vec4<f32>, EACH>;
    let lse_four = ${four("lses")};
    ${quadLines(`var share = exp(scores[at_score] * ${f.scale} - lse_four);
      ${masked("share", rows)}
      probabilities[n] = share;
      shares[at_share] = vec4<f16>(share);`)}
    workgroupBarrier();
    ${addLines("dvs", 1)}
    ${scoreLines("values", 1)}
    workgroupBarrier();
    let delta_four = ${four("deltas")};
    ${quadLines("shares[at_share] = vec4<f16>(probabilities[n] * (scores[at_score] - delta_four));")}
    workgroupBarrier();
    ${addLines("dks", 0)}
    workgroupBarrier();
  }
  ${drainLines(f, "dks", keys, ` * ${f.scale}`, store(f, "dk", work.dk, keys))}
  ${drainLines(f, "dvs", keys, "", store(f, "dv", work.dv, keys))}`;
}
