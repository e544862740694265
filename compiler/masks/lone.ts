/**
 * Statistics over the tokens of an image where a mask may leave it one token (JEP6018): the loss of such a step is no number.
 *
 * Owns the least that a mask leaves: by the law of its sizes, and where others are taken out of it, the least in the counted
 * draws (`draws.ts`), so that what is reported has been seen to happen. One token of constant shape is found by the checker.
 */
import type { Diagnostic } from "../messages/report.js";
import { report } from "../messages/report.js";
import type { Mask, ModelGraph } from "../model/ir.js";
import { evaluate } from "../types/dim.js";
import { placesOf } from "../types/value-type.js";
import { kept } from "./draws.js";
import { sizeLaw } from "./law.js";

/** Reports losses over tokens whose operand may have one. `batch` rows are cut to the shortest. */
export function findLoneTokens(graph: ModelGraph, batch: number): Diagnostic[] {
  const over = [graph.body, ...graph.funcs.map((f) => f.body)].flatMap(({ nodes }) => nodes.flatMap((node) => {
    const word = node.attrs.strings?.["over"] ?? node.attrs.strings?.["negatives"];
    const type = nodes[node.args[0] ?? -1]?.type;
    const tokens = type?.shape[type.axes.indexOf("token")];
    return node.op === "loss" && word === "tokens" && tokens !== undefined ? [{ node, word, tokens }] : [];
  }));
  if (over.length === 0) return [];
  const shortest = new Map(graph.masks.flatMap((m): [string, number][] => {
    const least = leastOf(m, graph.masks, batch);
    return least === undefined ? [] : [[`K_${m.name}`, least]];
  }));
  return over.filter(({ tokens }) => evaluate(tokens, new Map()) === undefined && evaluate(tokens, shortest) === 1).map(({ node, word }) => report("JEP6018", node.origin, { is: "may be", what: "token", axis: word }));
}

/** The fewest positions of a row; undefined where a mask has no grid or is never drawn. */
function leastOf(mask: Mask, masks: readonly Mask[], batch: number): number | undefined {
  const { grid, kind, minus, allowOverlap } = mask;
  if (grid === undefined) return undefined;
  if (minus.length > 0 && !allowOverlap) return kept(mask, masks, grid, batch)?.least;
  const cells = placesOf(grid);
  switch (kind) {
    case "block": return Math.min(...sizeLaw(mask, grid).sizes.map((s) => s.height * s.width).filter((area) => area > mask.minKeep)) * (grid.frames ?? 1);
    case "random": return cells - Math.trunc(cells * (1 - mask.ratio[0]));
    case "rasterized": return Math.floor(grid.rows / 2) * Math.floor(grid.cols / 2) * (grid.frames ?? 1);
    case "all": case "complement": return cells;
  }
}
