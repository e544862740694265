/**
 * What a picture of a model shows: boxes and arrows, before any notation.
 *
 * Owns the choice of detail that DOT, Mermaid and SVG share. A box is an input, a view, a mask, a module applied to data,
 * an operation (chains of one-operand operations become one box) or a loss. `stop_gradient` is not a box: it is a mark on
 * the arrow, because it is the absence of a way back. Arrows are data (with or without a gradient), masks that choose
 * positions, and moving averages. Values that no loss is computed from are shown too; sums of losses are not.
 */
import { printShape } from "../types/dim.js";
import type { Positions, ValueType } from "../types/value-type.js";
import { sidesOf } from "../types/value-type.js";
import type { Instance, LossTerm, Mask, ModelGraph, Node, NodeId, NodeOf, Schedule } from "./ir.js";
import type { Flow } from "./flow.js";
import { flow } from "./flow.js";
import { edges, instanceOf, parameterCount } from "./queries.js";
import { users } from "./visit.js";

/** What a box stands for. */
export type BoxKind = "input" | "view" | "mask" | "encoder" | "predictor" | "head" | "op" | "loss";

/** A box: a title, what it is, and what comes out of it. */
export interface Box {
  readonly id: string;
  readonly kind: BoxKind;
  readonly title: string;
  /** `vit · 0.79 M parameters, trained` */
  readonly details: readonly string[];
  /** Name of the value that comes out, where the program gives it one, and its type. */
  readonly value: string | undefined;
  /** `[B, 64, 128]` */
  readonly shape: string | undefined;
  /** `at context · latent(student)` */
  readonly place: string | undefined;
  /** `learns`: a gradient changes it; `follows`: a moving average; `frozen`. */
  readonly state: "learns" | "follows" | "frozen" | "none";
  /** A long text for a tool tip. */
  readonly tip: string;
}

/** An arrow between boxes. */
export interface Arrow {
  readonly kind: "data" | "mask" | "ema";
  readonly from: string;
  readonly to: string;
  /** Data only: whether a gradient comes back along it, and whether a stop-gradient cuts it. */
  readonly gradient: boolean;
  readonly stopped: boolean;
  readonly label: string | undefined;
}

/** A picture's content. */
export interface Diagram {
  readonly title: string;
  readonly subtitle: string;
  readonly boxes: readonly Box[];
  readonly arrows: readonly Arrow[];
}

/** The content of a picture of a graph. */
export function diagram(graph: ModelGraph): Diagram {
  const cx = context(graph);
  const boxes: Box[] = [];
  const arrows: Arrow[] = [];
  graph.masks.forEach((mask, i) => boxes.push(maskBox(mask, i)));
  for (const [, ids] of cx.groups) boxes.push(groupBox(cx, ids));
  const shown = new Set(cx.groups.keys());
  for (const [head, ids] of cx.groups) arrows.push(...incoming(cx, head, ids, shown));
  arrows.push(...averages(graph, cx));
  const used = new Set(arrows.flatMap((a) => [a.from, a.to]));
  const total = parameterCount(graph);
  return {
    title: graph.name, subtitle: `${count(total.trained)} trained parameters${total.total > total.trained ? ` of ${count(total.total)}` : ""}`,
    boxes: boxes.filter((b) => used.has(b.id) || (b.kind !== "input" && b.kind !== "mask")), arrows,
  };
}

interface Context {
  readonly graph: ModelGraph;
  readonly flow: Flow;
  readonly losses: ReadonlyMap<NodeId, LossTerm>;
  readonly gradients: ReadonlySet<string>;
  /** Boxes of nodes: by the last node of the chain, its nodes in order. */
  readonly groups: ReadonlyMap<NodeId, readonly Node[]>;
}

function context(graph: ModelGraph): Context {
  const facts = flow(graph);
  const losses = new Map(graph.losses.map((l) => [l.node, l]));
  const gradients = new Set(edges(graph, facts).flatMap((e) => (e.kind !== "ema" && e.gradient ? [`${e.from}>${e.to}`] : [])));
  return { graph, flow: facts, losses, gradients, groups: groupNodes(graph, losses) };
}

/** Chains: an operation joins the one before it where nothing else uses that and it has no name of its own. */
function groupNodes(graph: ModelGraph, losses: ReadonlyMap<NodeId, LossTerm>): ReadonlyMap<NodeId, readonly Node[]> {
  const usedBy = users(graph.body);
  const groups = new Map<NodeId, readonly Node[]>();
  const plain = (n: Node): boolean => !["input", "call", "repeat", "result", "loss", "param", "constant", "stop_gradient"].includes(n.op) && !losses.has(n.id);
  const sums = sumsOfLosses(graph, losses);
  for (const node of graph.body.nodes) {
    if (node.op === "stop_gradient" || node.op === "result" || sums.has(node.id)) continue;
    const before = groups.get(node.args[0] ?? -1);
    const last = before?.at(-1);
    if (last !== undefined && before !== undefined && node.args.length === 1 && plain(node) && plain(last) && last.name === undefined && usedBy[last.id]?.length === 1) {
      groups.delete(last.id);
      groups.set(node.id, [...before, node]);
    } else groups.set(node.id, [node]);
  }
  return groups;
}

/** Arithmetic on losses that only adds them up: the terms stand for themselves. */
function sumsOfLosses(graph: ModelGraph, losses: ReadonlyMap<NodeId, LossTerm>): ReadonlySet<NodeId> {
  const sums = new Set<NodeId>();
  for (const node of graph.body.nodes) {
    const scalar = node.type.shape.length === 0 && !losses.has(node.id) && node.args.length > 0;
    if (scalar && node.op !== "loss" && node.args.every((a) => sums.has(a) || losses.has(a))) sums.add(node.id);
  }
  return sums;
}

const idOf = (node: NodeId): string => `n${node}`;
const maskId = (graph: ModelGraph, name: string): string => `m${graph.masks.findIndex((m) => m.name === name)}`;

function incoming(cx: Context, head: NodeId, ids: readonly Node[], shown: ReadonlySet<NodeId>): Arrow[] {
  const first = ids[0];
  if (first === undefined) return [];
  const arrows = first.args.flatMap((arg): Arrow[] => {
    const source = behind(cx.graph, arg);
    if (!shown.has(source.id)) return [];
    return [{ kind: "data", from: idOf(source.id), to: idOf(head), gradient: cx.gradients.has(`${arg}>${first.id}`), stopped: source.stopped, label: undefined }];
  });
  const masks = new Set(ids.flatMap((n) => masksOf(cx.graph, n)));
  return [...arrows, ...[...masks].map((m): Arrow => ({ kind: "mask", from: maskId(cx.graph, m), to: idOf(head), gradient: false, stopped: false, label: undefined }))];
}

/** The node of a box behind an operand, looking through stop-gradients and further results. */
function behind(graph: ModelGraph, id: NodeId): { readonly id: NodeId; readonly stopped: boolean } {
  let stopped = false;
  let at = id;
  for (let node = graph.body.nodes[at]; node !== undefined && (node.op === "stop_gradient" || node.op === "result"); node = graph.body.nodes[at]) {
    stopped ||= node.op === "stop_gradient";
    at = node.args[0] ?? -1;
  }
  return { id: at, stopped };
}

/** Masks that a node reads itself: those that its operands already come at are not said twice. */
function masksOf(graph: ModelGraph, node: Node): string[] {
  const known = (name: string): boolean => graph.masks.some((m) => m.name === name);
  if (node.attrs.mask !== undefined) return [node.attrs.mask].filter(known);
  const func = graph.funcs.find((f) => f.name === node.attrs.func);
  const given = new Set(node.args.flatMap((a) => {
    const type = graph.body.nodes[a]?.type;
    return type === undefined ? [] : [...(type.pending === undefined ? [] : [type.pending]), ...maskNames(type.positions)];
  }));
  return (func?.masks ?? []).filter((m) => !given.has(m) && known(m));
}

function maskNames(p: Positions): string[] {
  return p.kind === "mask" ? [p.mask] : p.kind === "concat" ? p.parts.flatMap((x) => maskNames(x.positions)) : [];
}

/** An arrow from the first use of the followed instance to the first use of its average. */
function averages(graph: ModelGraph, cx: Context): Arrow[] {
  const firstUse = (name: string): NodeId | undefined => graph.body.nodes.find((n) => cx.groups.has(n.id) && instanceOf(graph, n)?.name === name)?.id;
  return graph.instances.flatMap((i): Arrow[] => {
    if (i.training.kind !== "ema") return [];
    const from = firstUse(i.training.of);
    const to = firstUse(i.name);
    if (from === undefined || to === undefined) return [];
    return [{ kind: "ema", from: idOf(from), to: idOf(to), gradient: false, stopped: false, label: `ema ${schedule(i.training.momentum)}` }];
  });
}

function groupBox(cx: Context, ids: readonly Node[]): Box {
  const node = ids.at(-1) ?? cx.graph.body.nodes[0];
  if (node === undefined) throw new RangeError("A box has at least one node.");
  const instance = instanceOf(cx.graph, node);
  const loss = cx.losses.get(node.id);
  const common = { id: idOf(node.id), value: node.name, ...typeTexts(node.type), state: "none" as const };
  if (node.op === "input") return inputBox(cx.graph, node, common);
  if (loss !== undefined || node.op === "loss") return lossBox(node, loss, common);
  if (instance !== undefined) return moduleBox(cx, node, instance, common);
  const words = ids.map(opText);
  return { ...common, kind: "op", title: words.join(" → "), details: [], tip: words.join("\n") };
}

type Common = Pick<Box, "id" | "value" | "shape" | "place" | "state">;

function inputBox(graph: ModelGraph, node: NodeOf<"input">, common: Common): Box {
  const name = node.attrs.path;
  const view = graph.views.find((v) => v.name === name);
  if (view === undefined) return { ...common, kind: "input", title: name, details: node.type.axes.includes("height") ? [node.type.axes.includes("time") ? "videos" : "images"] : [], tip: `input ${name}` };
  const steps = view.transforms.map((t) => t.name);
  return { ...common, kind: "view", title: name, details: [`view of ${view.input}`], tip: [`view of ${view.input}`, ...steps].join("\n") };
}

function lossBox(node: Node, loss: LossTerm | undefined, common: Common): Box {
  const kind = loss?.kind ?? node.attrs.loss ?? "loss";
  const numbers = Object.entries(node.attrs.numbers ?? {}).map(([k, v]) => `${k} ${v}`);
  const weight = loss === undefined ? ["not in the objective"] : loss.weight.kind === "constant" && loss.weight.points[0] === 1 ? [] : [`weight ${schedule(loss.weight)}`];
  const name = loss === undefined || loss.name === kind ? [] : [`term ${loss.name}`];
  const details = [[...name, ...weight, ...numbers].join(" · ")].filter((t) => t !== "");
  return { ...common, kind: "loss", title: kind, details, value: undefined, shape: undefined, place: undefined, tip: [`loss ${kind}`, ...name, ...weight, ...numbers].join("\n") };
}

function moduleBox(cx: Context, node: Node, instance: Instance, common: Common): Box {
  const counts = parameterCount(cx.graph, instance);
  const { training } = instance;
  const how = training.kind === "ema" ? `follows ${training.of}` : training.kind === "frozen" ? `frozen, ${training.init}` : counts.trained === 0 ? undefined : "trained";
  const size = counts.total === 0 ? "no parameters" : `${count(counts.trained + counts.untrained > 0 ? counts.trained + counts.untrained : counts.total)} parameters`;
  const uses = cx.graph.body.nodes.filter((n) => instanceOf(cx.graph, n) === instance).length;
  const shared = uses > 1 ? `, used ${uses} times` : "";
  const config = Object.entries(instance.config).map(([k, v]) => `${k} ${String(v)}`);
  const state = training.kind === "ema" ? "follows" : training.kind === "frozen" ? "frozen" : counts.trained > 0 ? "learns" : "none";
  return {
    ...common, kind: instance.role, state, title: node.op === "repeat" ? `${node.attrs.count} × ${instance.name}` : (node.attrs.instance ?? instance.name),
    details: [[instance.module, ...config.slice(0, 4)].join(" · "), `${how === undefined ? size : `${size}, ${how}`}${shared}`],
    tip: [`${instance.role} ${instance.name}`, `module ${instance.module}`, ...config, `${counts.total} parameters, ${counts.trained} trained`].join("\n"),
  };
}

function maskBox(mask: Mask, index: number): Box {
  return { id: `m${index}`, kind: "mask", title: mask.name, details: [maskText(mask)], value: undefined, shape: undefined, place: undefined, state: "none", tip: `mask ${mask.name}\n${maskText(mask)}` };
}

function maskText(mask: Mask): string {
  const times = mask.count === 1 ? "" : `${mask.count} × `;
  const minus = mask.minus.length === 0 ? "" : ` − ${mask.minus.join(", ")}`;
  const range = mask.kind === "block" ? mask.scale : mask.kind === "random" ? mask.ratio : [];
  const size = range.length === 0 ? "" : ` ${[...new Set(range)].join("..")}`;
  return `${times}${mask.kind}${size}${minus}`;
}

function opText(node: Node): string {
  switch (node.op) {
    case "at": return `at ${node.attrs.mask}`;
    case "mean": case "sum": return `${node.op} over ${node.attrs.over.join(", ")}`;
    case "scale": return `× ${node.attrs.value}`;
    case "shift": return `+ ${node.attrs.value}`;
    case "replace_at": return `replace at ${node.attrs.mask}`;
    case "slice_batch": return `part ${node.attrs.index + 1} of ${node.attrs.count}`;
    case "slice_time": return `moments ${node.attrs.start}..${node.attrs.start + node.attrs.size}`;
    case "slice_features": return `features ${node.attrs.start}..${node.attrs.start + node.attrs.size}`;
    case "patches": return `patches ${node.attrs.grid.across === undefined ? node.attrs.patch : sidesOf(node.attrs.grid).join(" x ")}`;
    case "softmax": case "log_softmax": return node.attrs.temperature === 1 ? node.op : `${node.op} / ${node.attrs.temperature}`;
    case "param": return node.attrs.path;
    default: return node.op;
  }
}

function typeTexts(type: ValueType): Pick<Box, "shape" | "place"> {
  if (type.shape.length === 0) return { shape: undefined, place: undefined };
  const at = type.pending !== undefined ? `at ${type.pending}` : placeText(type.positions);
  const { space } = type;
  const of = space.kind === "latent" ? `latent(${space.of})` : space.kind === "free" ? `space of ${space.by}` : space.kind === "any" ? "" : space.kind;
  const place = [at, of].filter((t) => t !== "").join(" · ");
  return { shape: printShape(type.shape), place: place === "" ? undefined : place };
}

/** The lines of a box, for notations that have no room for more. */
export function boxLabel(box: Box): string {
  return [box.title, ...box.details, box.value, box.shape, box.place].filter((t) => t !== undefined).join("\n");
}

function placeText(p: Positions): string {
  switch (p.kind) {
    case "none": return "";
    case "all": return "at all";
    case "mask": return `at ${p.mask}`;
    case "opaque": return `as ${p.of}`;
    case "concat": return `at ${p.parts.map((x) => placeText(x.positions).replace(/^at /, "")).join(" ++ ")}`;
  }
}

/** `0.996 → 1` */
function schedule(s: Schedule): string {
  return s.points.join(" → ");
}

/** A count as people say it: `631 M`, `85.6 M`, `5.49 M`, `12.3 k`, `640`. */
export function count(n: number): string {
  const units = [[1e12, " T"], [1e9, " G"], [1e6, " M"], [1e3, " k"]] as const;
  for (const [size, unit] of units) if (n >= size) return `${Number((n / size).toPrecision(3))}${unit}`;
  return String(n);
}
