/**
 * Making model graphs by hand.
 *
 * For tests, examples and tools: the checker emits nodes itself, with diagnostics. Types are inferred by `rules.ts`; what
 * cannot be built is the caller's mistake and throws `GraphError`. Parameters are declared where they are made and are
 * registered with the instance at the call, as in the checker, so a built graph passes `verify.ts`.
 */
import type { Span } from "../base/span.js";
import type { Dim, DimLike } from "../types/dim.js";
import { add, dim, dims, symbolDim, symbolsOf } from "../types/dim.js";
import type { Axis, Grid, Space, ValueType } from "../types/value-type.js";
import { anySpace, noPositions } from "../types/value-type.js";
import type { Attrs, Func, Instance, LossTerm, Mask, ModelGraph, ModelOp, Node, NodeId, ParamDecl, Schedule, View } from "./ir.js";
import { nodeOf } from "./node.js";
import type { RuleContext } from "./rules.js";
import { callType, inferType } from "./rules.js";
import { joinPath, rootOf } from "./visit.js";
import type { Initializer } from "../../runtime/abi.js";

/** A graph that cannot be: the message says what does not fit. */
class GraphError extends Error {
  override readonly name = "GraphError";
}

/** Extras of a node. */
export interface NodeOptions {
  readonly name?: string;
  readonly origin?: Span;
  /** Replaces the space of the inferred type. */
  readonly space?: Space;
}

const nowhere: Span = { file: "", start: 0, end: 0 };

/** One value for the whole run. */
function constant(value: number): Schedule {
  return { kind: "constant", points: [value], warmup: undefined, stretch: 1 };
}

/** A line from the first value to the last. */
export function linear(from: number, to: number): Schedule {
  return { kind: "linear", points: [from, to], warmup: undefined, stretch: 1 };
}

/** Nodes of one body. */
export class BodyBuilder {
  readonly nodes: Node[] = [];
  readonly inputs: NodeId[] = [];
  readonly params = new Map<string, ParamDecl>();
  readonly masks = new Set<string>();

  constructor(
    private readonly cx: RuleContext,
    private readonly own: (path: string, params: readonly ParamDecl[]) => void,
  ) {}

  /** Any op but a call; its type follows from the operands unless `type` says it. */
  node(op: ModelOp, args: readonly NodeId[] = [], attrs: Attrs = {}, options: NodeOptions & { readonly type?: ValueType } = {}): NodeId {
    const inferred = inferType(this.cx, op, args.map((a) => this.type(a)), attrs);
    if (inferred.kind === "problem") throw new GraphError(`\`${op}\`: ${inferred.message}`);
    const type = options.type ?? (inferred.kind === "type" ? inferred.type : undefined);
    if (type === undefined) throw new GraphError(`\`${op}\` must say its type`);
    if (attrs.mask !== undefined && type.pending === undefined) this.masks.add(attrs.mask);
    return this.push(op, args, attrs, type, options);
  }

  /** An input of the body. */
  input(path: string, type: ValueType, options: NodeOptions = {}): NodeId {
    const id = this.node("input", [], { path }, { ...options, type });
    this.inputs.push(id);
    return id;
  }

  /** Tokens as input: `[batch, tokens, width]`, at positions that the body never asks about. */
  tokens(path: string, width: number, tokens: DimLike = "T"): NodeId {
    return this.input(path, { shape: dims(["B", tokens, width]), axes: ["batch", "token", "feature"], positions: { kind: "opaque", of: path }, space: anySpace, dtype: "f32", pending: undefined });
  }

  /** A parameter of this body's function. */
  param(path: string, shape: readonly number[], init: Initializer = { kind: "xavier_uniform" }, role: ParamDecl["role"] = "learn", grid?: Grid): NodeId {
    const decl: ParamDecl = { path, shape, stack: [], init, role, origin: nowhere };
    if (!this.params.has(path)) this.params.set(path, decl);
    const axes = shape.map((_, i): Axis => (grid !== undefined && i === 0 ? "token" : "feature"));
    const positions = grid === undefined ? noPositions : ({ kind: "all", grid } as const);
    return this.node("param", [], { path }, { type: { shape: dims(shape), axes, positions, space: anySpace, dtype: "f32", pending: undefined } });
  }

  /** Applies a function with an instance's parameters; further results by `result`. */
  call(instance: string, func: Func, args: readonly NodeId[], options: NodeOptions = {}): NodeId {
    this.register(instance, func, []);
    return this.node("call", args, { instance, func: func.name, dims: this.bind(func, args) }, options);
  }

  /** Applies a function `count` times, over a list of parts; the first `carries` operands go round. */
  repeat(list: string, count: number, func: Func, args: readonly NodeId[], carries = 1, options: NodeOptions = {}): NodeId {
    this.register(`${list}.*`, func, [count]);
    return this.node("repeat", args, { func: func.name, count, list, carries, dims: this.bind(func, args) }, options);
  }

  /** A further result of a call. */
  result(call: NodeId, index: number, options: NodeOptions = {}): NodeId {
    const node = this.nodes[call];
    if (node === undefined || (node.op !== "call" && node.op !== "repeat")) throw new GraphError(`%${call} is not a call`);
    const inferred = callType(this.cx, node.args.map((a) => this.type(a)), node.attrs, index);
    if (inferred.kind !== "type") throw new GraphError(inferred.kind === "problem" ? inferred.message : "no type");
    return this.push("result", [call], { index }, inferred.type, options);
  }

  stopGradient(x: NodeId, options: NodeOptions = {}): NodeId {
    return this.node("stop_gradient", [x], {}, options);
  }

  /** `x at mask`, with the grid of x's positions. */
  at(x: NodeId, mask: string, options: NodeOptions = {}): NodeId {
    const { positions, axes } = this.type(x);
    if (axes.includes("height")) return this.node("at", [x], { mask }, options);
    if (positions.kind === "all") return this.node("at", [x], { mask, grid: positions.grid }, options);
    if (positions.kind !== "concat") throw new GraphError(`%${x} has no positions to pick from`);
    let start: Dim = dim(0);
    for (const part of positions.parts) {
      if (part.positions.kind === "mask" && part.positions.mask === mask) return this.node("at", [x], { mask, select: { start, length: part.length } }, options);
      start = add(start, part.length);
    }
    throw new GraphError(`no run of %${x} is at \`${mask}\``);
  }

  loss(kind: string, args: readonly NodeId[], numbers: Readonly<Record<string, number>> = {}, options: NodeOptions = {}): NodeId {
    return this.node("loss", args, { loss: kind, numbers }, options);
  }

  type(id: NodeId): ValueType {
    const type = this.nodes[id]?.type;
    if (type === undefined) throw new GraphError(`%${id} does not exist`);
    return type;
  }

  private push(op: ModelOp, args: readonly NodeId[], attrs: Attrs, type: ValueType, options: NodeOptions): NodeId {
    const id = this.nodes.length;
    const placed = options.space === undefined ? type : { ...type, space: options.space };
    this.nodes.push(nodeOf({ id, op, args, attrs, type: placed, name: options.name, origin: options.origin ?? nowhere }));
    return id;
  }

  private register(prefix: string, func: Func, stack: readonly number[]): void {
    for (const mask of func.masks) this.masks.add(mask);
    this.own(prefix, func.params.map((p) => ({ ...p, stack: [...stack, ...p.stack] })));
  }

  /** Values of the callee's dims: a dim that is a single symbol in an input is what the operand has there. */
  private bind(func: Func, args: readonly NodeId[]): Record<string, Dim> {
    const bound = new Map<string, Dim>();
    func.body.inputs.forEach((id, i) => {
      func.body.nodes[id]?.type.shape.forEach((formal, axis) => {
        const [symbol] = symbolsOf(formal);
        const actual = this.type(args[i] ?? -1).shape[axis];
        if (symbol !== undefined && actual !== undefined && !bound.has(symbol) && formal.terms.length === 1 && formal.terms[0]?.coefficient === 1 && formal.terms[0].powers.length === 1) bound.set(symbol, actual);
      });
    });
    return Object.fromEntries(func.dims.map((d) => [d, bound.get(d) ?? symbolDim(d)]));
  }
}

/** A whole graph. */
export class GraphBuilder {
  private readonly inputs: ModelGraph["inputs"][number][] = [];
  private readonly views: View[] = [];
  private readonly masks = new Map<string, Mask>();
  private readonly instances = new Map<string, { instance: Instance; params: Map<string, ParamDecl> }>();
  private readonly funcs = new Map<string, Func>();
  private readonly losses: LossTerm[] = [];
  private readonly cx: RuleContext = { func: (name) => this.funcs.get(name), mask: (name) => this.masks.get(name) };
  /** The model's own body. */
  readonly body = new BodyBuilder(this.cx, (path, params) => this.own(path, params));

  constructor(
    private readonly name: string,
    private readonly doc?: string,
  ) {}

  image(name: string, height: number, width: number, channels: number): NodeId {
    this.inputs.push({ name, height, width, channels, origin: nowhere });
    return this.body.input(name, imageType(height, width, channels));
  }

  view(name: string, input: string, transforms: View["transforms"] = []): NodeId {
    const image = this.inputs.find((i) => i.name === input);
    if (image === undefined) throw new GraphError(`there is no input \`${input}\``);
    this.views.push({ name, input, height: image.height, width: image.width, transforms, origin: nowhere });
    return this.body.input(name, imageType(image.height, image.width, image.channels));
  }

  mask(name: string, fields: Partial<Mask> = {}): void {
    this.masks.set(name, {
      name, kind: "block", count: 1, scale: [0.15, 0.2], aspect: [0.75, 1.5], ratio: [0.6, 0.6], minKeep: 4, minus: [], sampler: "published",
      allowOverlap: false, trim: "tail", grid: undefined, origin: nowhere, ...fields,
    });
  }

  instance(name: string, role: Instance["role"], module: string, fields: Partial<Pick<Instance, "training" | "config">> = {}): void {
    const instance: Instance = { name, role, module, config: fields.config ?? {}, training: fields.training ?? { kind: "optimized" }, params: [], origin: nowhere };
    this.instances.set(name, { instance, params: new Map() });
  }

  /** A function; `make` gives its results. */
  func(name: string, make: (body: BodyBuilder) => readonly NodeId[], fields: Partial<Pick<Func, "module" | "doc" | "config">> = {}): Func {
    const body: BodyBuilder = new BodyBuilder(this.cx, (prefix, params) => {
      for (const p of params) if (!body.params.has(joinPath(prefix, p.path))) body.params.set(joinPath(prefix, p.path), { ...p, path: joinPath(prefix, p.path) });
    });
    const results = make(body);
    const symbols = new Set(body.nodes.flatMap((n) => [...n.type.shape, ...Object.values(n.attrs.dims ?? {})].flatMap(symbolsOf)));
    const func: Func = {
      name, module: fields.module ?? name, doc: fields.doc, config: fields.config ?? {}, params: [...body.params.values()], masks: [...body.masks].sort(),
      dims: [...symbols].sort(), body: { inputs: body.inputs, nodes: body.nodes, results }, origin: nowhere,
    };
    this.funcs.set(name, func);
    return func;
  }

  /** A term of the objective. */
  loss(name: string, node: NodeId, weight = 1): void {
    const kind = this.body.nodes[node]?.attrs.loss ?? "custom";
    this.losses.push({ name, node, kind, weight: constant(weight), origin: nowhere });
  }

  build(): ModelGraph {
    return {
      name: this.name, doc: this.doc, inputs: this.inputs, views: this.views, masks: [...this.masks.values()],
      instances: [...this.instances.values()].map(({ instance, params }) => ({ ...instance, params: [...params.values()] })),
      funcs: [...this.funcs.values()], body: { inputs: this.body.inputs, nodes: this.body.nodes, results: this.losses.map((l) => l.node) },
      losses: this.losses, allowed: [], origin: nowhere,
    };
  }

  private own(path: string, params: readonly ParamDecl[]): void {
    const target = this.instances.get(rootOf(path))?.params;
    if (target === undefined) throw new GraphError(`there is no instance \`${rootOf(path)}\``);
    const prefix = path.slice(rootOf(path).length + 1);
    for (const p of params) if (!target.has(joinPath(prefix, p.path))) target.set(joinPath(prefix, p.path), { ...p, path: joinPath(prefix, p.path) });
  }
}

/** `[B, height, width, channels]` in pixels. */
export function imageType(height: number, width: number, channels: number): ValueType {
  return { shape: dims(["B", height, width, channels]), axes: ["batch", "height", "width", "channel"], positions: noPositions, space: { kind: "pixels" }, dtype: "f32", pending: undefined };
}
