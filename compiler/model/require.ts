/**
 * Whether what a caller hands over is a model graph.
 *
 * Owns the refusal. The public functions over graphs begin with it, because `check` gives no graph where a program has
 * mistakes, and callers may be plain JavaScript: what they would get otherwise is a property of undefined, deep inside.
 */
import { said } from "../base/said.js";
import type { ModelGraph } from "./ir.js";

/** @throws TypeError where this is no graph. */
export function requireGraph(graph: ModelGraph): void {
  const given: unknown = graph;
  if (typeof given === "object" && given !== null && "body" in given && "funcs" in given && "instances" in given && "losses" in given) return;
  throw new TypeError(`the graph is ${said(given)}, not the graph of a program. Give \`graph\` of what check or compile returns; it is undefined where the program has mistakes, which \`diagnostics\` tell.`);
}
