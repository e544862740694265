/**
 * Sums that were cut into parts, added up: the second half of weight gradients and of gradients of norms.
 *
 * Parts are added in an order that depends on their number alone. Most such sums end in gradients that nobody reads before
 * the update, so several wait for one another and become one dispatch that writes into the buffer of all gradients:
 * `batches` decides which ones. Only as many as bindings of the portable profile allow wait, so that little memory does.
 */
import { add, constantDim, mul, printShape } from "../../../types/dim.js";
import type { Op, Tensor } from "../graph.js";
import type { BufferRef, Draft, PartsSum } from "../kernel.js";
import { KernelWriter, linearEntry, up } from "../kernel.js";

/** Where a gradient lies: the buffer of its group, and the element at which it begins. */
export interface GradientPlace {
  readonly whole: BufferRef;
  readonly at: number;
}

/** Sums that fit into one dispatch: one binding each, one for the gradients. */
const MOST = 7;

/** Statements that leave the sum of element `j` of the parts in `total`; four at a time, so that reads need not wait for one another. */
function addLines(w: KernelWriter, sum: PartsSum, k: number, indent: string): string[] {
  const x = w.read(`x${k}`, sum.x);
  const [stride, parts] = [w.size(`stride${k}`, sum.stride), w.size(`parts${k}`, constantDim(sum.parts))];
  const part = (l: number): string => x(`(s + ${l}u) * ${stride} + j`);
  return [
    "var four = vec4<f32>();",
    "var s = 0u;",
    `for (; s + 4u <= ${parts}; s += 4u) { four += vec4<f32>(${[0, 1, 2, 3].map(part).join(", ")}); }`,
    "var total = (four.x + four.y) + (four.z + four.w);",
    `for (; s < ${parts}; s++) { total += ${part(0)}; }`,
  ].map((line) => `${indent}${line}`);
}

/** Adds `parts` stripes of `stride` elements; the first `size` go to `first`, the rest to `second`. */
export function partsDraft(op: Op, sum: PartsSum): Draft {
  const { stride, size, first, second } = sum;
  const w = new KernelWriter(second === undefined ? "add_parts" : "add_parts_two", "Adds the parts of a sum that was cut up, always in the same order.");
  const entry = linearEntry(w.size("n", stride));
  const lines = addLines(w, sum, 0, "  ");
  const y = w.write("y", first);
  const store = second === undefined
    ? `  ${y("j", "total")}`
    : `  if (j < ${w.size("size", size)}) { ${y("j", "total")} } else { ${w.write("z", second)("j - p.size", "total")} }`;
  const code = [entry, "  let j = i;", ...lines, store, "}"].join("\n");
  return { ...w.finish(code, [up(stride, 256)], op.origin, printShape([constantDim(sum.parts), stride])), adds: sum };
}

/** Drafts with sums that may wait put together; `placeOf` gives a place where nobody reads the gradient before the update. */
export function batches(all: readonly Draft[], placeOf: (t: Tensor) => GradientPlace | undefined): Draft[] {
  const out: Draft[] = [];
  let waiting: Placed[] = [];
  const close = (): void => {
    const [only] = waiting;
    if (only !== undefined) out.push(waiting.length === 1 ? only.draft : batchDraft(waiting));
    waiting = [];
  };
  for (const draft of all) {
    const placed = placedSum(draft, placeOf);
    if (placed === undefined) {
      out.push(draft);
      continue;
    }
    if (waiting.length === MOST || (waiting[0] !== undefined && waiting[0].first.whole.buffer !== placed.first.whole.buffer)) close();
    waiting.push(placed);
  }
  close();
  return out;
}

interface Placed {
  readonly draft: Draft;
  readonly sum: PartsSum;
  readonly first: GradientPlace;
  readonly second: GradientPlace | undefined;
}

function placedSum(draft: Draft, placeOf: (t: Tensor) => GradientPlace | undefined): Placed | undefined {
  const { adds: sum } = draft;
  const first = sum === undefined ? undefined : placeOf(sum.first);
  const second = sum?.second === undefined ? undefined : placeOf(sum.second);
  if (sum === undefined || first === undefined || (sum.second !== undefined && second?.whole.buffer !== first.whole.buffer)) return undefined;
  return { draft, sum, first, second };
}

function batchDraft(list: readonly Placed[]): Draft {
  const w = new KernelWriter(`add_parts_of_${list.length}`, `Adds the parts of ${list.length} sums that were cut up, each always in the same order, into the gradients.`);
  const n = list.map(({ sum }) => sum.stride).reduce(add);
  const whole = list[0]?.first.whole;
  const lines = [linearEntry(w.size("n", n)), "  var j = i;"];
  list.forEach(({ sum, first, second }, k) => {
    const adding = addLines(w, sum, k, "    ");
    // A sum with one result is one whose second result is empty, so that both have the same text.
    const size = w.size(`size${k}`, sum.second === undefined ? sum.stride : sum.size);
    const [to, then] = [w.size(`first${k}`, constantDim(first.at)), w.size(`second${k}`, constantDim(second?.at ?? 0))];
    if (whole === undefined) return;
    lines.push(`  if (j < p.stride${k}) {`, ...adding, `    ${w.write("gradients", whole)(`select(${then} + j - ${size}, ${to} + j, j < ${size})`, "total")}`, "    return;", "  }", `  j -= p.stride${k};`);
  });
  const parts = list.map(({ sum }) => mul(constantDim(sum.parts + 1), sum.stride)).reduce(add);
  const shape = list.map(({ sum }) => printShape([constantDim(sum.parts), sum.stride])).join(" and ");
  return { ...w.finish(`${lines.join("\n")}\n}`, [up(n, 256)], list.at(-1)?.draft.origin, shape), elements: parts, whose: list.flatMap((p) => p.draft.whose ?? []) };
}
