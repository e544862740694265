/**
 * A batch of one and statistics over a batch do not go together.
 *
 * Owns one rule (JEP6011): a program that standardizes, whitens, balances, contrasts or measures variance over images needs
 * two images to a step at least. A variance over one sample is nought over nought, and negatives of one image are none.
 */
import type { Diagnostics } from "../messages/report.js";
import { report } from "../messages/report.js";
import type { ModelGraph, Node } from "../model/ir.js";

const statistics = new Set<Node["op"]>(["batch_norm", "batch_normalize", "whiten", "sinkhorn"]);
const overImages = new Set(["images", "all"]);

function needsCompany(node: Node): boolean {
  if (statistics.has(node.op)) return true;
  if (node.op !== "loss") return false;
  const word = node.attrs.strings?.["over"] ?? node.attrs.strings?.["negatives"];
  if (word !== undefined) return overImages.has(word);
  return ["barlow", "barlow_diagonal", "barlow_off_diagonal", "koleo"].includes(node.attrs.loss ?? "");
}

/** Reports the first place where a batch of one leaves a statistic without samples. */
export function checkBatch(graph: ModelGraph, batch: number, diagnostics: Diagnostics): void {
  if (batch > 1) return;
  const node = [...graph.body.nodes, ...graph.funcs.flatMap((f) => f.body.nodes)].find(needsCompany);
  if (node !== undefined) diagnostics.add(report("JEP6011", node.origin, {}));
}
