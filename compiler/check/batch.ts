/**
 * What a batch must be where images are compared with each other.
 *
 * A program that standardizes, whitens, balances, contrasts or measures variance over images needs two
 * images to a step at least (JEP6011): a variance over one sample is nought over nought, and negatives of one image are
 * none. And its batch cannot run in parts (JEP6013), for a part would be compared with itself alone; what can must come in
 * equal parts (JEP6012), so that the mean of their gradients is that of the batch, and hold whole groups of images where
 * rows of a mask are cut within groups (JEP6019). And one that is seen from the numbers: generated
 * pictures that do not fill a batch (JEP6014). What images are to a batch, tokens are to an image (JEP6018).
 */
import type { TrainConfig } from "../../runtime/abi.js";
import type { Span } from "../base/span.js";
import type { Diagnostics } from "../messages/report.js";
import { report } from "../messages/report.js";
import type { ModelGraph, Node } from "../model/ir.js";
import { constantOf } from "../types/dim.js";

const statistics = new Set<Node["op"]>(["batch_norm", "batch_normalize", "whiten", "sinkhorn", "similarities", "second_moments"]);
const overImages = new Set(["images", "all"]);

/** What is compared with rows of earlier steps: an image needs no other of its own step. */
const keepsQueue = (node: Node): boolean => node.op === "nearest" || (node.op === "loss" && (node.attrs.numbers?.["queue"] ?? 0) > 0);

function needsCompany(node: Node): boolean {
  if (statistics.has(node.op)) return true;
  if (node.op !== "loss" || keepsQueue(node)) return false;
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

/**
 * Reports losses whose statistic runs over the tokens of an image or the moments of a clip where there is one (JEP6018), as a batch of one is for those
 * over images. Masks that may leave one are known later (`masks/lone.ts`).
 */
export function checkTokens(graph: ModelGraph, diagnostics: Diagnostics): void {
  for (const { nodes } of [graph.body, ...graph.funcs.map((f) => f.body)]) {
    for (const node of nodes) {
      const word = node.attrs.strings?.["over"] ?? node.attrs.strings?.["negatives"];
      const type = nodes[node.args[0] ?? -1]?.type;
      if (node.op !== "loss" || (word !== "tokens" && word !== "time") || type === undefined) continue;
      const samples = type.shape[type.axes.indexOf(word === "time" ? "time" : "token")];
      if (samples !== undefined && constantOf(samples) === 1) diagnostics.add(report("JEP6018", node.origin, { is: "is", what: word === "time" ? "moment" : "token", axis: word }));
    }
  }
}

/** Reports generated pictures or clips that are fewer than a batch; `at` is where their number stands. */
export function checkFilled(graph: ModelGraph, { data, batch }: TrainConfig, at: Span, diagnostics: Diagnostics): void {
  const things = data.kind === "waves" ? "signals" : graph.inputs.some(({ frames }) => frames !== undefined) ? "clips" : "pictures";
  if ("count" in data && data.count < batch) diagnostics.add(report("JEP6014", at, { count: data.count, things, batch }));
}

const balancing = new Set(["mean_entropy", "diversity"]);

/** Whether a value of one image depends on the others of its step. */
function comparesImages(node: Node): boolean {
  // A queue is moved by all keys of a step at once, as a center is by its mean.
  if (needsCompany(node) || keepsQueue(node) || node.op === "center") return true;
  if (node.op === "loss") return balancing.has(node.attrs.loss ?? "");
  return (node.attrs.over ?? []).includes("batch");
}

/** Reports what keeps a batch from running in `parts` parts: `at` is where they are asked for. */
export function checkParts(graph: ModelGraph, batch: number, parts: number, at: Span, diagnostics: Diagnostics): void {
  if (parts < 2) return;
  if (batch % parts !== 0) diagnostics.add(report("JEP6012", at, { batch, parts }));
  const node = comparing(graph);
  if (node !== undefined) diagnostics.add(report("JEP6013", node.origin, {}, { related: [{ span: at, message: "asked for here" }] }));
}

/** Reports masks whose rows are cut within groups of images that a batch has no whole number of (JEP6019), or that keep images from being compared. */
export function checkGroups(graph: ModelGraph, batch: number, accumulate: number, diagnostics: Diagnostics): void {
  const grouped = graph.masks.flatMap(({ name, origin, trimGroup: group = batch }) => (group < batch ? [{ name, origin, group }] : []));
  const broken = grouped.find(({ group }) => batch % group !== 0);
  const [first] = grouped;
  const node = comparing(graph);
  if (broken !== undefined) diagnostics.add(report("JEP6019", broken.origin, { mask: broken.name, group: broken.group, batch }));
  else if (first !== undefined && node !== undefined && accumulate === 1) {
    const message = `rows of \`${first.name}\` are cut within ${first.group} images, so that a batch of ${batch} runs in parts`;
    diagnostics.add(report("JEP6013", node.origin, {}, { help: `Take \`trim_group\` away, or a batch of at most ${first.group}.`, related: [{ span: first.origin, message }] }));
  }
}

/** The first node that compares images, if any does. */
export function comparing(graph: ModelGraph): Node | undefined {
  return [...graph.body.nodes, ...graph.funcs.flatMap((f) => f.body.nodes)].find(comparesImages);
}
