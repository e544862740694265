/**
 * The model graph as JSON, for other programs.
 *
 * Owns the schema `jepac-graph`, version 1: stable, additive within a version, dims and grids as text. Node ids are
 * positions in `nodes`. An edge of kind `data`, `stop-gradient` or `loss` joins two nodes (`from`, `to`: ids, `operand`)
 * and says whether training sends a gradient back along it; an edge of kind `ema` joins two instances by name. Flow and
 * parameter counts are included, so that a reader need not repeat the analysis. Key order is fixed: equal graphs give
 * equal bytes.
 */
import type { Span } from "../base/span.js";
import { printDim } from "../types/dim.js";
import type { Positions, Space, ValueType } from "../types/value-type.js";
import type { Func, Instance, Mask, ModelGraph, Node, Schedule, View } from "./ir.js";
import type { Sight, ValueFlow } from "./flow.js";
import { flow, noFlow } from "./flow.js";
import type { LiteralRecord } from "./print.js";
import { plainAttrs, printGrid } from "./print.js";
import type { ParameterCount } from "./queries.js";
import { edges, parameterCount, trainedBy } from "./queries.js";
import { sizeOf } from "./visit.js";
import type { Initializer } from "../../runtime/abi.js";

/** Version of the schema; a change that is not an addition raises it. */
const graphJsonVersion = 1;

/** A type: sizes as text (`"4*B"`), axes by name. */
export interface TypeJson {
  readonly shape: readonly string[];
  readonly axes: readonly string[];
  readonly positions: PositionsJson;
  readonly space: Space;
  readonly dtype: string;
  /** The mask still to be applied to an image, or null. */
  readonly pending: string | null;
}

/** Where tokens sit; grids as `8x8/4x3` (rows x columns / patch x channels), a patch of two sides as `1:25`. */
export type PositionsJson =
  | { readonly kind: "none" }
  | { readonly kind: "all"; readonly grid: string }
  | { readonly kind: "mask"; readonly mask: string; readonly grid: string }
  | { readonly kind: "concat"; readonly parts: readonly { readonly positions: PositionsJson; readonly length: string }[] }
  | { readonly kind: "opaque"; readonly of: string };

/** What a value has seen of a source: `masks` null = all positions. */
export interface SightJson {
  readonly masks: readonly string[] | null;
  readonly without: readonly string[];
  readonly local: boolean;
}

/** See `ValueFlow`. */
export interface FlowJson {
  readonly trains: readonly string[];
  readonly depends: readonly string[];
  readonly follows: readonly string[];
  readonly seen: readonly ({ readonly source: string } & SightJson)[];
  readonly placed: SightJson | null;
}

/** One node; `flow` is present on the model's own nodes. */
export interface NodeJson {
  readonly id: number;
  readonly op: string;
  readonly name: string | null;
  readonly args: readonly number[];
  readonly attrs: LiteralRecord;
  readonly type: TypeJson;
  readonly origin: Span;
  readonly flow?: FlowJson;
}

/** One edge. */
export type EdgeJson =
  | { readonly kind: "data" | "stop-gradient" | "loss"; readonly from: number; readonly to: number; readonly operand: number; readonly gradient: boolean }
  | { readonly kind: "ema"; readonly from: string; readonly to: string; readonly momentum: Schedule };

/** A parameter, with its number of values. */
export interface ParamJson {
  readonly path: string;
  readonly shape: readonly number[];
  readonly stack: readonly number[];
  readonly init: Initializer;
  readonly role: string;
  readonly count: number;
}

/** The document. */
export interface GraphJson {
  readonly format: "jepac-graph";
  readonly version: number;
  readonly name: string;
  readonly doc: string | null;
  readonly inputs: ModelGraph["inputs"];
  readonly views: readonly View[];
  readonly masks: readonly (Omit<Mask, "grid"> & { readonly grid: string | null })[];
  readonly instances: readonly (Omit<Instance, "params"> & { readonly parameters: ParameterCount; readonly params: readonly ParamJson[] })[];
  readonly functions: readonly (Omit<Func, "params" | "body"> & { readonly params: readonly ParamJson[]; readonly inputs: readonly number[]; readonly results: readonly number[]; readonly nodes: readonly NodeJson[] })[];
  readonly nodes: readonly NodeJson[];
  readonly edges: readonly EdgeJson[];
  readonly losses: readonly { readonly name: string; readonly node: number; readonly kind: string; readonly weight: Schedule; readonly trains: readonly string[]; readonly origin: Span }[];
  readonly allowed: ModelGraph["allowed"];
  readonly parameters: ParameterCount;
}

/** The graph as plain data. */
export function graphData(graph: ModelGraph): GraphJson {
  const facts = flow(graph);
  return {
    format: "jepac-graph", version: graphJsonVersion, name: graph.name, doc: graph.doc ?? null,
    inputs: graph.inputs, views: graph.views,
    masks: graph.masks.map(({ grid, ...mask }) => ({ ...mask, grid: grid === undefined ? null : printGrid(grid) })),
    instances: graph.instances.map(({ params, ...instance }) => ({ ...instance, parameters: parameterCount(graph, instance.name), params: paramsData(params) })),
    functions: graph.funcs.map(({ params, body, ...func }) => ({ ...func, params: paramsData(params), inputs: body.inputs, results: body.results, nodes: body.nodes.map((n) => nodeData(n)) })),
    nodes: graph.body.nodes.map((n) => ({ ...nodeData(n), flow: flowData(facts.nodes.get(n.id) ?? noFlow) })),
    edges: edges(graph, facts),
    losses: graph.losses.map((l) => ({ name: l.name, node: l.node, kind: l.kind, weight: l.weight, trains: trainedBy(graph, l), origin: l.origin })),
    allowed: graph.allowed,
    parameters: parameterCount(graph),
  };
}

/** The graph as JSON text. */
export function toJson(graph: ModelGraph, indent = 2): string {
  return `${JSON.stringify(graphData(graph), null, indent)}\n`;
}

function paramsData(params: Instance["params"]): ParamJson[] {
  return params.map((p) => ({ path: p.path, shape: p.shape, stack: p.stack, init: p.init, role: p.role, count: sizeOf(p) }));
}

function nodeData(node: Node): NodeJson {
  return { id: node.id, op: node.op, name: node.name ?? null, args: node.args, attrs: plainAttrs(node.attrs), type: typeData(node.type), origin: node.origin };
}

function typeData(type: ValueType): TypeJson {
  return { shape: type.shape.map(printDim), axes: type.axes, positions: positionsData(type.positions), space: type.space, dtype: type.dtype, pending: type.pending ?? null };
}

function positionsData(p: Positions): PositionsJson {
  switch (p.kind) {
    case "all": return { kind: "all", grid: printGrid(p.grid) };
    case "mask": return { kind: "mask", mask: p.mask, grid: printGrid(p.grid) };
    case "concat": return { kind: "concat", parts: p.parts.map((x) => ({ positions: positionsData(x.positions), length: printDim(x.length) })) };
    default: return p;
  }
}

function flowData(facts: ValueFlow): FlowJson {
  return {
    trains: [...facts.trains].sort(), depends: [...facts.depends].sort(), follows: [...facts.follows].sort(),
    seen: [...facts.seen].map(([source, sight]) => ({ source, ...sightData(sight) })),
    placed: facts.placed === undefined ? null : sightData(facts.placed),
  };
}

function sightData(sight: Sight): SightJson {
  return { masks: sight.masks === undefined ? null : [...sight.masks].sort(), without: [...sight.without].sort(), local: sight.local };
}
