/**
 * What a training run means: the key under which its measurement is kept.
 *
 * Made of the checked model (every module, parameter, view, mask, loss and who follows whom) and the recipe, and of nothing
 * that they are called: names of values, comments, verdicts, monitors and the arguments of modules (their bodies and parameters
 * have what these said) do not count. Nor does what the compiler makes of
 * the model; that it keeps its meaning is for other tests. So two spellings of one program share a measurement.
 */
import { createHash } from "node:crypto";
import type { Body, Instance, ModelGraph } from "../../compiler/model/ir.js";
import { printGraph } from "../../compiler/model/print.js";
import type { Case } from "./corpus.js";
import { prepare } from "./corpus.js";
import { pretrainingText } from "./pretraining.js";
import { byRecipe, followed, LONG, settings } from "./recipe.js";

const known = new Map<string, string>();

/** The key of a case; undefined for one that cannot be trained. */
export function keyOf(one: Case): string | undefined {
  const found = known.get(one.id);
  if (found !== undefined) return found;
  const { graph, manifest } = prepare(one);
  if (graph === undefined || manifest === undefined) return undefined;
  const { views, train } = byRecipe(manifest, 0);
  const meaning = JSON.stringify([settings, printGraph(nameless(graph), { origins: false }), views, train.batch, train.mean, train.std, ...(manifest.pretrained === undefined ? [] : [pretrainingText])]);
  const key = createHash("sha256").update(meaning).digest("hex").slice(0, 16);
  known.set(one.id, key);
  return key;
}

/** The graph without words, and with momenta as the longest run of the recipe has them. */
function nameless(graph: ModelGraph): ModelGraph {
  const body = (of: Body): Body => ({ ...of, nodes: of.nodes.map((node) => ({ ...node, name: undefined })) });
  const instance = (i: Instance): Instance => ({ ...i, config: {}, training: i.training.kind === "ema" ? { ...i.training, momentum: followed(i.training.momentum, LONG) } : i.training });
  return { ...graph, name: "model", doc: undefined, allowed: [], instances: graph.instances.map(instance), funcs: graph.funcs.map((f) => ({ ...f, config: {}, doc: undefined, body: body(f.body) })), body: body(graph.body) };
}
