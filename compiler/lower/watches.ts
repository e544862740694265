/**
 * What a step hands back beside its losses: features of encoders and mean codes, for the monitors of collapse.
 *
 * Owns the watched outputs of `main`, as `Watch` in the contract describes them. Which instances and codes are watched is
 * the analysis' business (`collapse/monitors.ts`); without one, it is what the program declares as encoders.
 */
import type { Watch } from "../../runtime/abi.js";
import type { Watchlist } from "../collapse/monitors.js";
import type { ModelGraph, NodeId } from "../model/ir.js";
import type { FuncBuilder } from "../tensor/build.js";
import type { ValueId } from "../tensor/ir.js";
import { constantOf } from "../types/dim.js";
import { momentsApart } from "./clips.js";

/** The function that is being built, and what it was built from. */
export interface WatchCx {
  readonly graph: ModelGraph;
  /** Nodes that a loss reads. */
  readonly live: ReadonlySet<NodeId>;
  readonly b: FuncBuilder;
  readonly value: (id: NodeId) => ValueId;
}

/** Adds the outputs, and a line for each to `found.watches`. */
export function lowerWatches(cx: WatchCx, found: { readonly watches: Watch[]; readonly watchlist: Watchlist | undefined }): void {
  const names = found.watchlist?.encoders ?? cx.graph.instances.filter((i) => i.role === "encoder").map((i) => i.name);
  for (const [name, node] of firstCalls(cx, new Set(names))) watchEncoder(cx, found.watches, name, node);
  for (const { of, node } of found.watchlist?.codes ?? []) watchCodes(cx, found.watches, of, node);
}

/** The first output of each instance that a loss reads: what collapses when training goes wrong. */
function firstCalls({ graph, live }: WatchCx, names: ReadonlySet<string>): ReadonlyMap<string, NodeId> {
  const seen = new Map<string, NodeId>();
  for (const node of graph.body.nodes) {
    const name = node.attrs.instance;
    if (node.op === "call" && live.has(node.id) && name !== undefined && names.has(name) && !seen.has(name)) seen.set(name, node.id);
  }
  return seen;
}

function watchEncoder({ graph, b, value }: WatchCx, watches: Watch[], name: string, id: NodeId): void {
  const node = graph.body.nodes[id];
  const width = widthOf(graph, id);
  if (node === undefined || width === undefined) return;
  const tokens = node.type.axes.indexOf("token");
  const pooled = tokens < 0 ? value(id) : b.op("mean", [value(id)], { axes: [tokens], keep: false });
  // Every frame of a clip is a picture, where it has features of its own.
  b.output(name, node.type.axes.includes("time") ? momentsApart(b, pooled) : pooled, "watch");
  watches.push({ name, width, over: "images" });
  if (tokens !== 1 || node.type.shape.length !== 3) return;
  // Beside the pictures' features the positions': position codes alone can make tokens look varied.
  const positions = `${name} by position`;
  b.output(positions, b.op("mean", [value(id)], { axes: [0], keep: false }), "watch");
  watches.push({ name: positions, width, over: "positions", of: name });
}

/** The mean code over the batch and its tokens. */
function watchCodes({ graph, live, b, value }: WatchCx, watches: Watch[], of: string, id: NodeId): void {
  const node = graph.body.nodes[id];
  const width = widthOf(graph, id);
  if (node === undefined || width === undefined || !live.has(id) || !watches.some((w) => w.name === of)) return;
  const count = watches.filter((w) => w.over === "codes" && w.of === of).length;
  const name = `codes of ${of}${count === 0 ? "" : ` ${count + 1}`}`;
  const { length } = node.type.shape;
  const rows = length > 2 ? b.op("mean", [value(id)], { axes: Array.from({ length: length - 2 }, (_, i) => i + 1), keep: false }) : value(id);
  b.output(name, b.op("mean", [rows], { axes: [0], keep: true }), "watch");
  watches.push({ name, width, over: "codes", of });
}

function widthOf(graph: ModelGraph, id: NodeId): number | undefined {
  const last = graph.body.nodes[id]?.type.shape.at(-1);
  return last === undefined ? undefined : constantOf(last);
}
