/**
 * Values in a form of their own: sums of what they are made of, so that what is constant, and what is equal, shows.
 *
 * `x - x` is 0 and `x / x` is 1 however either is spelled, and a constant is no data. A form counts how often each part is in
 * a value; a part is an operation that is no sum, named by the forms of its operands, and by one of all ways to write it
 * (`identities.ts`). Owns the forms of a body, and the folding of values that are constant for the analysis; a loss and what is
 * added up of losses stay, as `expand.ts` reads those.
 */
import type { Body, Instance, ModelGraph, Node, NodeId, Schedule } from "../model/ir.js";
import { isCall, rootOf } from "../model/visit.js";
import type { Dim } from "../types/dim.js";
import { constantOf as sizeOfDim, printDim } from "../types/dim.js";
import { seesDirections } from "./directions.js";
import type { Form } from "./forms.js";
import { constantOf, formKey, multiple, number, plus, ratio, sameValue, sum, unit } from "./forms.js";
import type { Made, Maker } from "./identities.js";
import { identical } from "./identities.js";
import { interpret } from "./interpret.js";
import { signDomain } from "./signs.js";

/** Longer sums are parts themselves, so that a long chain of them costs no more than its length. */
const mostParts = 8;

/** A body without what is constant, and for every node of it the form of its value, stops looked through. */
export interface Folded {
  readonly body: Body;
  readonly forms: readonly Form[];
}

/** Folds what is constant in a body of a model. Nodes keep their ids and types. */
export function foldConstants(graph: ModelGraph, body: Body): Folded {
  const signs = interpret(graph, body, signDomain);
  const instances = new Map(graph.instances.map((i) => [i.name, i]));
  const zero = (id: NodeId): boolean => signs[id] === 0;
  const through = { through: true, path: (path: string) => sourceOf(path, instances, still), unnamed: false };
  const strict = { through: false, path: (path: string) => path, unnamed: false };
  const forms = formsOf(body, zero, { ...through, nearly: true });
  const live = learning(body, instances);
  const held = new Map<boolean, readonly Form[]>();
  const strictly = (id: NodeId, nearly: boolean): boolean => {
    const found = held.get(nearly) ?? formsOf(body, zero, { ...strict, nearly });
    held.set(nearly, found);
    return constantOf(found[id]) !== undefined;
  };
  let exact: readonly Form[] | undefined;
  let seen: ReadonlySet<NodeId> | undefined;
  const nodes = body.nodes.map((node): Node => {
    const value = constantOf(forms[node.id]);
    if (value === undefined || !folds(node)) return node;
    // What an eps leaves of a difference of lengths is nothing to a distance, and has a direction.
    const sees = (seen ??= seesDirections(graph, body)).has(node.id);
    if (sees && constantOf((exact ??= formsOf(body, zero, { ...through, nearly: false }))[node.id]) === undefined) return node;
    // What is constant by a stop alone has a gradient all the same.
    if (live[node.id] === true && !strictly(node.id, !sees)) return node;
    return { ...node, op: "constant", args: [], attrs: { value } };
  });
  return { body: { ...body, nodes }, forms };
}

/** Nodes of a module's body that are one number whatever comes in, stops looked through: `q - q`, or a turn of it. */
export function constantsOf(body: Body): ReadonlySet<NodeId> {
  const found = constants.get(body) ?? new Set(partsOf(body).flatMap((form, id) => (constantOf(form) === undefined ? [] : [id])));
  constants.set(body, found);
  return found;
}

const constants = new WeakMap<Body, ReadonlySet<NodeId>>();

/** For every node of a module's body, what its value is made of, stops looked through. */
export function partsOf(body: Body): readonly Form[] {
  return formsOf(body, () => false, { through: true, path: (path) => path, unnamed: false, nearly: false });
}

/**
 * For every node, a name for the constant that it would be if nothing of its inputs came through: one for all inputs, views,
 * masks and sizes, and an average's is that of its source.
 */
export function constantNames(graph: ModelGraph, body: Body): readonly string[] {
  const instances = new Map(graph.instances.map((i) => [i.name, i]));
  return formsOf(body, () => false, { through: true, path: (path) => sourceOf(path, instances, () => true), unnamed: true, nearly: false }).map(formKey);
}

/** Losses and sums of them stay; so do calls, which have results of their own. */
function folds(node: Node): boolean {
  return node.type.shape.length > 0 && !isCall(node) && node.op !== "result" && node.op !== "input" && node.op !== "param";
}

/** For every node, whether a gradient at it trains something. */
function learning(body: Body, instances: ReadonlyMap<string, Instance>): readonly boolean[] {
  const found: boolean[] = [];
  for (const node of body.nodes) {
    const trained = instances.get(rootOf(isCall(node) ? (node.attrs.instance ?? node.attrs.list ?? "") : node.op === "param" ? (node.attrs.path ?? "") : ""));
    found.push(node.op !== "stop_gradient" && (trained?.training.kind === "optimized" || node.args.some((a) => found[a] === true)));
  }
  return found;
}

/** An average that does not lag is its source. */
const still = (momentum: Schedule): boolean => momentum.points.every((p) => p === 0);

/** The path of what an average follows, where the average counts as that. */
function sourceOf(path: string, instances: ReadonlyMap<string, Instance>, counts: (momentum: Schedule) => boolean): string {
  const root = rootOf(path);
  const training = instances.get(root)?.training;
  return training?.kind === "ema" && training.of !== root && counts(training.momentum) ? sourceOf(`${training.of}${path.slice(root.length)}`, instances, counts) : path;
}

/** What tells two values apart. */
interface Naming {
  /** Stops are looked through. */
  readonly through: boolean;
  readonly path: (path: string) => string;
  /** Inputs, masks and sizes count for nothing. */
  readonly unnamed: boolean;
  /** What normalization takes away up to its `eps` is gone. */
  readonly nearly: boolean;
}

function formsOf(body: Body, zero: (id: NodeId) => boolean, naming: Naming): readonly Form[] {
  const parts = new Map<string, number>();
  const made: Made[] = [];
  const part = (node: Node, op: Node["op"], of: readonly Form[], besides: string): Form => {
    const key = `${op}(${of.map((form, at) => `${formKey(form)}${elementwise.has(op) || naming.unnamed ? "" : shapeKey(body.nodes[node.args[at] ?? -1])}`).join(";")})${besides}`;
    const known = parts.get(key) ?? parts.size;
    if (known === parts.size) made.push({ op, of: of[0], besides, axes: node.type.axes });
    parts.set(key, known);
    return unit(known);
  };
  const maker: Maker = { part, made: (id) => made[id], besides: (node) => attributeKey(node, naming), nearly: naming.nearly };
  const forms: Form[] = [];
  for (const node of body.nodes) {
    const args = node.args.map((a) => forms[a] ?? number(NaN));
    const form = zero(node.id) ? number(0) : whole(node, body, forms) ?? evaluate(node, args, naming.through) ?? identical(node, args, maker);
    const named = (): Form => part(node, node.op, node.op === "mul" ? args.toSorted((x, y) => (formKey(x) < formKey(y) ? -1 : 1)) : args, attributeKey(node, naming));
    forms.push(form === undefined || form.parts.size > mostParts || Number.isNaN(form.rest) ? named() : form);
  }
  return forms;
}

function shapeKey(node: Node | undefined): string {
  return node === undefined ? "" : `[${node.type.shape.map(printDim).join(",")}]`;
}

/** Ops for which the shape that an operand is spread to does not matter. */
const elementwise: ReadonlySet<string> = new Set(["mul", "div", "exp", "log", "sqrt", "square", "abs", "relu", "gelu", "tanh", "sigmoid", "stop_gradient"]);

function attributeKey(node: Node, { path: rename, unnamed }: Naming): string {
  const { attrs } = node;
  if (unnamed && isCall(node)) return `${rename(attrs.instance ?? "")}|${rename(attrs.list ?? "")}`;
  if (unnamed && node.op === "input") return "";
  if (isCall(node)) return `${rename(attrs.instance ?? "")}|${attrs.func ?? ""}|${attrs.list === undefined ? "" : `${rename(attrs.list)}|${attrs.count ?? 0}`}`;
  if (node.op === "input" || node.op === "param") return rename(attrs.path ?? "");
  return elementwise.has(node.op) ? "" : JSON.stringify(Object.entries(attrs).filter(([key]) => !unnamed || key !== "mask").sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** What was split and joined again, or joined and split where it was joined: the form of the value that it is. */
function whole(node: Node, body: Body, forms: readonly Form[]): Form | undefined {
  const at = (id: NodeId | undefined): Node | undefined => (id === undefined ? undefined : body.nodes[id]);
  const widthOf = (of: Node | undefined): number | undefined => sizeOf(of?.type.shape.at(-1));
  const source = at(node.args[0]);
  if (node.op === "join_features") {
    const pieces = node.args.map(at);
    const [of] = source?.op === "slice_features" ? source.args : [];
    let from = 0;
    for (const piece of pieces) {
      if (of === undefined || piece?.op !== "slice_features" || piece.attrs.start !== from || !sameValue(forms[piece.args[0] ?? -1], forms[of])) return undefined;
      from += piece.attrs.size ?? NaN;
    }
    return from === widthOf(at(of)) ? forms[of ?? -1] : undefined;
  }
  if (node.op !== "slice_features" || source?.op !== "join_features") return undefined;
  let from = 0;
  for (const id of source.args) {
    const width = widthOf(at(id));
    if (from === node.attrs.start && width === node.attrs.size) return forms[id];
    from += width ?? NaN;
  }
  return undefined;
}

/** The number that a dimension is, if it is one. */
function sizeOf(dim: Dim | undefined): number | undefined {
  return dim === undefined ? undefined : sizeOfDim(dim);
}

/** The form of an op's result; undefined where it is a part of its own. */
function evaluate(node: Node, args: readonly Form[], through: boolean): Form | undefined {
  const [a, b] = args;
  const { attrs } = node;
  const [x, y] = [constantOf(a), constantOf(b)];
  switch (node.op) {
    case "constant": return attrs.value === undefined ? undefined : number(attrs.value);
    case "stop_gradient": return through ? a : x === undefined ? undefined : a;
    case "add": return a === undefined || b === undefined ? undefined : sum(a, b, 1);
    case "sub": return a === undefined || b === undefined ? undefined : sum(a, b, -1);
    case "neg": return times(a, -1);
    case "shift": return a === undefined ? undefined : { ...a, rest: plus(a.rest, attrs.value ?? 0) };
    case "scale": return times(a, factor(node));
    case "mul": return x !== undefined ? times(b, x) : y !== undefined ? times(a, y) : undefined;
    case "div": {
      if (x === 0) return a;
      if (y !== undefined) return y === 0 ? undefined : times(a, 1 / y);
      const by = ratio(a, b, false);
      return by === undefined ? undefined : number(by);
    }
    case "square": return x === undefined ? undefined : number(x * x);
    case "abs": return x === undefined ? undefined : number(Math.abs(x));
    case "relu": return x === undefined ? undefined : number(Math.max(0, x));
    case "sqrt": return x === undefined ? undefined : number(Math.sqrt(x));
    case "exp": return x === undefined ? undefined : number(Math.exp(x));
    case "tanh": return x === undefined ? undefined : number(Math.tanh(x));
    case "sigmoid": return x === undefined ? undefined : number(1 / (1 + Math.exp(-x)));
    // Where a value stands, or how many are averaged, is nothing to a constant.
    case "mean": case "at": case "slice_features": case "slice_batch": case "slice_time": case "transpose": case "flatten": case "patches": return x === undefined ? undefined : a;
    case "concat": case "union": case "join_features": return x !== undefined && args.every((f) => constantOf(f) === x) ? a : undefined;
    case "sum": case "rotate": return x === 0 ? a : undefined;
    // What is alike everywhere has no deviation, and is as near to one code as to another.
    case "normalize": case "batch_normalize": case "batch_norm": case "whiten": return x === undefined ? undefined : number(0);
    case "sinkhorn": {
      const codes = x === undefined ? undefined : sizeOf(node.type.shape.at(-1));
      return codes === undefined ? undefined : number(1 / codes);
    }
    default: return undefined;
  }
}

/** A factor that does not change over training. */
function factor({ attrs }: Node): number | undefined {
  const [first, ...others] = attrs.schedule?.points ?? [attrs.value ?? NaN];
  return others.every((p) => p === first) ? first : undefined;
}

function times(form: Form | undefined, by: number | undefined): Form | undefined {
  return form === undefined || by === undefined || !Number.isFinite(by) ? undefined : multiple(form, by);
}
