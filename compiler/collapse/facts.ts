/**
 * What is known of every value: the axes that it may vary over, those that it must, and what last happened to it.
 *
 * `may` is an upper bound that the null test lowers; `must` holds what no choice of trained parameters can take away
 * (data, frozen networks, statistics forced over the batch, encoders already proved to vary). A trained map can always
 * become constant, so `must` ends there. The rest is what a loss's operand was last put through: hard operations over the
 * batch, the softness of a code, normalization. Facts are of the graph only; a name never enters.
 */
import type { Node } from "../model/ir.js";
import { joinPath } from "../model/visit.js";
import { constantOf } from "../types/dim.js";
import { constantsOf } from "./fold.js";
import { bitOf, sampleBit, timeBit, tokenBit } from "./axes.js";
import type { Group, Groups } from "./groups.js";
import { moves } from "./groups.js";
import type { Domain, Place } from "./interpret.js";

/** Why a value must vary, as bits. */
export const why = { data: 1, random: 2, standardized: 4, whitened: 8, balanced: 16, guarded: 32, partly: 64, centered: 128 } as const;

/** A code: what was done to logits after the last learned map. */
export interface Code {
  /** Of the softmax that made it; undefined before one. */
  readonly temperature: number | undefined;
  /** Share of the old center, where a center was taken off. */
  readonly center: number | undefined;
  /** One-hot codes of a codebook. */
  readonly hard: boolean;
  /** Every code is given the same share of the batch's rows. */
  readonly balanced: boolean;
}

/** What is known of a value. */
export interface Fact {
  readonly may: number;
  readonly must: number;
  readonly why: number;
  /** Computed from trained parameters, so that training chooses it. */
  readonly free: boolean;
  /** The constant factor since the last learned map. */
  readonly gain: number;
  readonly code: Code;
  readonly normalized: boolean;
  /** Less its own batch's mean, so that over the images of a batch its directions differ, however short it is. */
  readonly centered: boolean;
  /** Told where its tokens are. */
  readonly placed: boolean;
  /** Per run of a concatenation: whether tokens of the run differ. */
  readonly runs: readonly boolean[] | undefined;
  /** Inputs that it may vary over samples by, each with a comma behind it, in order. */
  readonly from: string;
}

const noCode: Code = { temperature: undefined, center: undefined, hard: false, balanced: false };

/** What is known of a constant. */
export const constantFact: Fact = { may: 0, must: 0, why: 0, free: false, gain: 1, code: noCode, normalized: false, centered: false, placed: false, runs: undefined, from: "" };

/** What the null test takes away: an axis of the outputs of some groups; and groups proved to vary. */
export interface Assumption {
  /** Groups (with what follows them) whose outputs lose `axis`. */
  readonly lost: ReadonlySet<string>;
  readonly axis: number;
  /** Model-level values that lose it. */
  readonly values?: ReadonlySet<number>;
  /** Model-level values that a guard of their own keeps varying over samples, with the reasons. */
  readonly held?: ReadonlyMap<number, number>;
  /** Groups proved to vary over samples, with the reasons. */
  readonly vary: ReadonlyMap<string, number>;
}

export const noAssumption: Assumption = { lost: new Set(), axis: 0, vary: new Map() };

/** Facts under an assumption. `simple`: groups that are no more than a linear map of their input; `inputOf`: what a view shows. */
export function factDomain(groups: Groups, simple: ReadonlySet<string>, episodes: boolean, assume: Assumption, inputOf: (path: string) => string): Domain<Fact> {
  const sourceOf = (root: string): string => {
    const group = groups.get(root);
    return group !== undefined && moves(group) ? group.source : root;
  };
  const sums = pairs(sumFact);
  return {
    nothing: constantFact,
    key: factKey,
    rootKey: (root) => (root === "" || !changes(groups.get(root)) ? "fixed" : "moving"),
    input: (node) => ({ ...inputFact(node, episodes), from: `${inputOf(node.attrs.path ?? "")},` }),
    parameter: (node, place) => parameterFact(node, place, groups),
    op: (node, args, place) => {
      // At model level constants are folded before facts are asked for (fold.ts).
      if (place.root !== "" && constantsOf(place.body).has(node.id)) return constantFact;
      const [a, b] = args;
      const sum = (node.op === "add" || node.op === "sub") && a !== undefined && b !== undefined ? sums(a, b, spreadTokens(node, place)) : opFact(node, args, place);
      const less = a !== undefined && lessBatchMean(node, place);
      const out = apartInDirection(less ? { ...sum, gain: a.gain, code: { ...a.code, center: 0 } } : sum, node, a, less);
      return place.root === "" ? holding(assume.values?.has(node.id) === true ? without(out, assume.axis) : out, assume.held?.get(node.id)) : out;
    },
    leave(fact, root, node) {
      const source = sourceOf(root);
      const group = groups.get(root);
      let out = fact;
      if (assume.lost.has(source) || assume.values?.has(node.id) === true) out = without(out, assume.axis);
      const proved = assume.vary.get(source);
      out = holding(holding(out, proved), assume.held?.get(node.id));
      if (group !== undefined && !moves(group) && group.learns && group.init === "random" && !simple.has(root) && (out.why & why.data) !== 0) {
        out = { ...out, why: (out.why & ~why.data) | why.random };
      }
      return out;
    },
  };
}

/** Ops that leave a batch of mean zero one. */
const keepsMean: ReadonlySet<string> = new Set(["scale", "neg", "stop_gradient"]);

/**
 * Vectors whose mean over the batch is zero do not all point one way; of length one, they differ. Where rows are tokens too, those of one
 * image may cancel out. Measured: a loss of directions between deviations, both sides trained, spreads features (0.26 to 0.89 in 300 steps).
 */
function apartInDirection(fact: Fact, node: Node, of: Fact | undefined, less: boolean): Fact {
  const rows = (fact.may & sampleBit) !== 0 && !(node.type.axes.includes("token") && (fact.may & tokenBit) !== 0);
  const forced = less || node.op === "batch_normalize" || node.op === "batch_norm" || node.op === "whiten";
  const centered = rows && (forced || (keepsMean.has(node.op) && of?.centered === true));
  const out = fact.centered === centered ? fact : { ...fact, centered };
  const turned = (node.op === "l2_normalize" || node.op === "normalize") && rows && of?.centered === true && fact.must === 0;
  return turned ? { ...out, must: sampleBit, why: why.centered } : out;
}

/** A center that does not lag, by hand: `x - mean(x, over: images)` (DINO, appendix D: m = 0). */
function lessBatchMean(node: Node, { body }: Place): boolean {
  const unstopped = (id: number | undefined): Node | undefined => {
    const at = id === undefined ? undefined : body.nodes[id];
    return at?.op === "stop_gradient" ? unstopped(at.args[0]) : at;
  };
  const mean = node.op === "sub" ? unstopped(node.args[1]) : undefined;
  const of = mean?.op === "mean" && mean.attrs.over?.includes("batch") === true ? unstopped(mean.args[0]) : undefined;
  return of !== undefined && of === unstopped(node.args[0]);
}

/** A value that is proved to vary over samples, where it may. */
function holding(fact: Fact, proved: number | undefined): Fact {
  return proved === undefined || (fact.may & sampleBit) === 0 ? fact : { ...fact, must: fact.must | sampleBit, why: proved };
}

function without(fact: Fact, axis: number): Fact {
  return { ...fact, may: fact.may & ~axis, from: axis === sampleBit ? "" : fact.from, runs: axis === tokenBit ? fact.runs?.map(() => false) : fact.runs };
}

/** Whether a group's values can go anywhere in training: where a gradient leads, or weight decay. */
function changes(group: Group | undefined): boolean {
  return moves(group) || group?.shrinks === true;
}

function factKey(f: Fact): string {
  const { code } = f;
  return `${f.may},${f.must},${f.why},${f.free ? 1 : 0}${f.centered ? 1 : 0}${f.normalized ? 1 : 0}${f.placed ? 1 : 0}${code.hard ? 1 : 0}${code.balanced ? 1 : 0},${f.gain},${code.temperature ?? ""},${code.center ?? ""},${f.runs?.map(Number).join("") ?? ""},${f.from}`;
}

function inputFact(node: Node, episodes: boolean): Fact {
  const { space, axes } = node.type;
  const bits = axes.reduce((b, a) => b | bitOf(a), 0);
  // An action belongs to a moment; so does an image, where there are actions.
  const moment = space.kind === "actions" || (episodes && space.kind === "pixels") ? timeBit : 0;
  return { ...constantFact, may: bits | moment, must: bits | moment, why: why.data };
}

function parameterFact(node: Node, place: Place, groups: Groups): Fact {
  const table = node.type.positions.kind !== "none";
  const group = groups.get(place.root === "" ? rootName(joinPath(place.prefix, node.attrs.path ?? "")) : place.root);
  const decl = group?.instance.params.find((p) => `${group.name}.${p.path}` === joinPath(place.prefix, node.attrs.path ?? ""));
  return { ...constantFact, may: table ? tokenBit : 0, must: table ? tokenBit : 0, placed: table, free: !table && changes(group) && decl?.role !== "fixed" && decl?.role !== "state" };
}

function rootName(path: string): string {
  return path.split(".")[0] ?? path;
}

function opFact(node: Node, args: readonly Fact[], place: Place): Fact {
  const a = args[0] ?? constantFact;
  switch (node.op) {
    case "constant": return constantFact;
    case "loss": return { ...constantFact, free: args.some((x) => x.free) };
    case "add": case "sub": return sumFact(a, args[1] ?? constantFact, spreadTokens(node, place));
    case "mul": case "div": return productFact(node, args, place);
    case "affine": case "matmul": return mappedFact(args);
    case "similarities": return { ...mappedFact(args), gain: a.gain * (args[1]?.gain ?? 1) };
    // One matrix for the whole batch: it does not tell its images apart.
    case "second_moments": return { ...constantFact, free: args.some((x) => x.free) };
    case "scale": return scaled(a, node);
    case "rotate": return rotatedFact(node, args, place);
    case "attend": return attendFact(args, node);
    case "softmax": return softmaxFact(a, node);
    case "log_softmax": return { ...a, code: { ...a.code, temperature: (node.attrs.temperature ?? 1) / Math.abs(a.gain) } };
    case "normalize": return { ...withoutScale(a), normalized: true };
    case "l2_normalize": return { ...withoutScale(a), normalized: true };
    case "batch_normalize": case "batch_norm": return isFaint(a, node) ? { ...a, gain: a.gain / Math.sqrt(node.attrs.eps ?? 1), normalized: true } : overBatch({ ...a, gain: 1 }, node, why.standardized);
    case "whiten": return overBatch({ ...a, gain: 1 }, node, why.whitened);
    case "sinkhorn": return { ...overBatch(a, node, why.balanced), code: { ...a.code, temperature: (node.attrs.temperature ?? 1) / Math.abs(a.gain), balanced: true } };
    // A center that keeps all of its old value stays where it began, at zero.
    case "center": return (node.attrs.momentum ?? 0.9) >= 1 ? a : { ...a, normalized: true, code: { ...a.code, center: node.attrs.momentum ?? 0.9 } };
    case "assign": return { ...a, must: a.free || args[1]?.free === true ? 0 : a.must, free: a.free || args[1]?.free === true, gain: 1, code: { ...noCode, hard: true } };
    // Several images may have one neighbor.
    case "nearest": return { ...withoutScale(a), must: 0, normalized: true };
    case "mean": case "sum": return reducedFact(a, node);
    case "flatten": return { ...a, may: a.may & ~(tokenBit | timeBit), must: a.must & ~(tokenBit | timeBit), runs: undefined };
    case "concat": return concatFact(args);
    case "at": return pickedFact(a, node, place);
    case "table_at": return { ...a, placed: true };
    case "expand_at": return { ...a, runs: undefined };
    case "replace_at": return { ...joined(args), may: (args[0]?.may ?? 0) | (args[1]?.may ?? 0) | tokenBit, must: 0 };
    case "join_features": case "union": return joined(args);
    case "neg": case "exp": case "log": case "sqrt": case "square": case "abs": case "relu": case "gelu": case "tanh": case "sigmoid":
    case "shift": case "stop_gradient": case "transpose": case "diagonal": case "off_diagonal": case "patches": case "slice_features": case "slice_batch": case "slice_time": return a;
    // Not for here: the walk reads inputs and parameters, and goes into what is called.
    case "input": case "param": case "call": case "repeat": case "result": return joined(args);
  }
}

/** Values beside each other: what any of them varies over. */
function joined(args: readonly Fact[]): Fact {
  const first = args[0] ?? constantFact;
  if (args.every((x) => x === first)) return first;
  let { may, must, free, normalized, placed, code } = first;
  let reasons = first.why;
  for (const x of args) {
    may |= x.may;
    must |= x.must;
    reasons |= x.why;
    free ||= x.free;
    normalized &&= x.normalized;
    placed ||= x.placed;
    if (!sameCode(x.code, first.code)) code = noCode;
  }
  return { ...first, may, must, why: reasons, free, normalized, placed, code, runs: mergeRuns(args), from: mergeSources(args) };
}

function mergeSources(args: readonly Fact[]): string {
  const own = args[0]?.from ?? "";
  if (args.every((x) => x.from === own)) return own;
  const different = new Set(args.map((x) => x.from));
  const names = new Set([...different].flatMap((x) => x.split(",")).filter((n) => n !== ""));
  return [...names].sort().map((n) => `${n},`).join("");
}

function sameCode(a: Code, b: Code): boolean {
  return a.temperature === b.temperature && a.center === b.center && a.hard === b.hard && a.balanced === b.balanced;
}

function mergeRuns(args: readonly Fact[]): readonly boolean[] | undefined {
  if (args.every((x) => x.runs === undefined)) return undefined;
  const lists = args.flatMap((x) => (x.runs === undefined ? [] : [x.runs]));
  const [first] = lists;
  return first?.map((_, i) => lists.some((l) => l[i] === true) || args.some((x) => x.runs === undefined && (x.may & tokenBit) !== 0));
}

/** A sum varies for sure over an axis where one side must, and the other must too or cannot: a free side could cancel it. */
function sumFact(a: Fact, b: Fact, spread: number): Fact {
  const args = [a, b];
  const all = joined(args);
  const must = (a.must | b.must) & (a.must | ~a.may) & (b.must | ~b.may);
  const varied = args.filter((x) => x.may !== 0);
  return { ...all, may: all.may | spread, must, why: must === 0 ? 0 : all.why, gain: varied.length === 1 ? (varied[0]?.gain ?? 1) : 1, code: common(varied), normalized: false };
}

/** A function of two facts, remembered: a chain of residual sums adds the same few facts again and again. */
function pairs(make: (a: Fact, b: Fact, spread: number) => Fact): (a: Fact, b: Fact, spread: number) => Fact {
  const known = new Map<Fact, Map<Fact, Map<number, Fact>>>();
  return (a, b, spread) => {
    const ofA = known.get(a) ?? new Map<Fact, Map<number, Fact>>();
    const ofB = ofA.get(b) ?? new Map<number, Fact>();
    const out = ofB.get(spread) ?? make(a, b, spread);
    known.set(a, ofA.set(b, ofB.set(spread, out)));
    return out;
  };
}

/** The code that all of some values are: a mean of distributions is one. */
function common(list: readonly Fact[]): Code {
  const first = list[0]?.code ?? noCode;
  return list.every((x) => sameCode(x.code, first)) ? first : noCode;
}

/** A matrix of parameters with a row per token, added or multiplied to tokens, tells them apart. */
function spreadTokens(node: Node, place: Place): number {
  const { type } = node;
  const token = type.axes.indexOf("token");
  if (token < 0) return 0;
  return node.args.some((id) => {
    const arg = place.body.nodes[id]?.type;
    if (arg === undefined || arg.axes.includes("batch")) return false;
    const own = arg.shape[token - (type.shape.length - arg.shape.length)];
    return own !== undefined && constantOf(own) !== 1;
  }) ? tokenBit : 0;
}

function productFact(node: Node, args: readonly Fact[], place: Place): Fact {
  const all = joined(args);
  const freeFactor = args.some((x) => x.free && x.may === 0);
  const must = freeFactor ? 0 : args.reduce((bits, x) => bits & (x.must | ~x.may), args.reduce((b, x) => b | x.must, 0));
  return { ...all, may: all.may | spreadTokens(node, place), must, why: must === 0 ? 0 : all.why, gain: 1, code: noCode, normalized: false };
}

/** A learned map can become constant; a fixed one keeps what comes in. */
function mappedFact(args: readonly Fact[]): Fact {
  const all = joined(args);
  const free = args.slice(1).some((x) => x.free);
  return { ...all, must: free ? 0 : (args[0]?.must ?? 0), why: free ? 0 : (args[0]?.why ?? 0) & ~(why.standardized | why.whitened | why.balanced) || (args[0]?.why ?? 0), gain: 1, code: noCode, normalized: false };
}

function scaled(a: Fact, node: Node): Fact {
  const by = node.attrs.schedule === undefined ? (node.attrs.value ?? 1) : 1;
  return by === 0 ? constantFact : { ...a, gain: a.gain * by };
}

/** A turn by where a token sits tells tokens apart, and moments; it takes nothing away, as it can be turned back. */
function rotatedFact(node: Node, args: readonly Fact[], place: Place): Fact {
  const product = productFact(node, args, place);
  const apart = node.type.axes.reduce((bits, axis) => bits | (axis === "token" || axis === "time" ? bitOf(axis) : 0), 0);
  return { ...product, may: product.may | apart };
}

function attendFact(args: readonly Fact[], node: Node): Fact {
  const all = joined(args);
  const [q, k, v] = args;
  // Where all keys or all values are alike, every query gets the same answer.
  const tells = ((k?.may ?? 0) & (v?.may ?? 0) & tokenBit) !== 0;
  // Where later moments are hidden, queries that are alike get a mean of other values at every moment.
  const tokens = (tells ? (q?.may ?? 0) & tokenBit : 0) | (node.attrs.block === undefined ? 0 : (v?.may ?? 0) & tokenBit);
  // Means over moments may be alike where the moments are not.
  const must = args.some((x) => x.free) ? 0 : (v?.must ?? 0) & ~(node.attrs.block === undefined ? tokenBit : tokenBit | timeBit);
  return { ...all, may: (all.may & ~tokenBit) | tokens, must, runs: tells ? q?.runs : undefined, gain: 1, code: noCode, normalized: false };
}

function softmaxFact(a: Fact, node: Node): Fact {
  const temperature = (node.attrs.temperature ?? 1) / Math.abs(a.gain);
  if (!(node.attrs.over ?? []).includes("batch")) return { ...a, gain: 1, code: { ...a.code, temperature } };
  // Each code's column sums to one over the batch: no code can take all rows.
  return { ...a, must: a.must | sampleBit, why: a.why | why.balanced, free: false, gain: 1, code: { ...a.code, temperature, balanced: true } };
}

/** Standardizing the length of each vector undoes what was forced on the batch, up to directions. */
function withoutScale(a: Fact): Fact {
  const only = a.why !== 0 && (a.why & ~why.standardized) === 0;
  return only ? { ...a, must: 0, why: 0, gain: 1 } : { ...a, gain: 1 };
}

/** Beside an `eps` so large, what is standardized has a deviation of less than a tenth where its input has one of 1: it is scaled, and no more. */
function isFaint(a: Fact, node: Node): boolean {
  return a.gain ** 2 < 0.01 * (node.attrs.eps ?? 0);
}

/** Statistics over the rows of a batch (and its tokens, where it has some that differ) are forced: the rows must vary. */
function overBatch(a: Fact, node: Node, reason: number): Fact {
  const escape = node.type.axes.includes("token") && (a.may & tokenBit) !== 0;
  const base = { ...a, normalized: true, free: false, code: { ...a.code, center: 0 } };
  return escape ? { ...base, must: 0, why: 0 } : { ...base, must: a.must | sampleBit, why: a.must === 0 ? reason : a.why };
}

function reducedFact(a: Fact, node: Node): Fact {
  const gone = (node.attrs.over ?? []).reduce((b, axis) => b | bitOf(axis), 0);
  return { ...a, may: a.may & ~gone, must: a.must & ~gone, runs: (gone & tokenBit) === 0 ? a.runs : undefined };
}

function concatFact(args: readonly Fact[]): Fact {
  const all = joined(args.map((x) => ({ ...x, runs: undefined })));
  const runs = args.flatMap((x) => x.runs ?? [(x.may & tokenBit) !== 0]);
  return { ...all, may: all.may | (args.length > 1 ? tokenBit : 0), must: args.reduce((b, x) => b & x.must, ~0), runs };
}

/** Picking a run of a concatenation leaves what varies within it. */
function pickedFact(a: Fact, node: Node, place: Place): Fact {
  if (node.attrs.select === undefined || a.runs === undefined) return node.attrs.select === undefined ? a : { ...a, runs: undefined };
  const positions = place.body.nodes[node.args[0] ?? -1]?.type.positions;
  const run = positions?.kind === "concat" ? positions.parts.findIndex((p) => p.positions.kind === "mask" && p.positions.mask === node.attrs.mask) : -1;
  const varies = a.runs[run] ?? true;
  return { ...a, may: varies ? a.may : a.may & ~tokenBit, runs: undefined };
}
