/**
 * All facts of one program, gathered once: the flat objective, groups, gradient flow, facts and sights of values.
 *
 * Owns the order in which they are found (which terms count decides which groups learn, which decides the facts) and the
 * look-ups that the rules share: which groups a gradient reaches through a value, which parameters stand behind it, which
 * instances are encoders. An encoder is the first learned map on the way from a picture, by its place in the graph; a
 * linear map of pixels is one only if nothing else is.
 */
import type { Flow, ValueFlow } from "../model/flow.js";
import { flow, noFlow, parametersBehind } from "../model/flow.js";
import type { Body, ModelGraph, Node, NodeId, View } from "../model/ir.js";
import { funcTable, isCall, paramPrefix, rootOf } from "../model/visit.js";
import { withBlindFunctions } from "./blind.js";
import type { Sight } from "./sight.js";
import { sightDomain } from "./sight.js";
import { canonicalTerms } from "./canonicalize.js";
import type { Canonical, Term } from "./canonicalize.js";
import { expandObjective } from "./expand.js";
import type { Assumption, Fact } from "./facts.js";
import { constantFact, factDomain, noAssumption } from "./facts.js";
import type { Group, Groups } from "./groups.js";
import { moves, readGroups, sourcePath } from "./groups.js";
import { constantNames } from "./fold.js";
import { interpret } from "./interpret.js";
import { readOwnTerms } from "./own.js";
import { onePicture, withOnePicture } from "./pictures.js";
import { reversing, turnedBelow } from "./reversal.js";

/** What the recipe says that the analysis needs. */
export interface Recipe {
  readonly batch: number;
  /** Weight decay acts at some step. */
  readonly decays: boolean;
  /** What is done to the inputs themselves, views apart. */
  readonly transforms: View["transforms"];
}

/** Parameters behind a value, by the path of the group that they belong to or follow. */
export interface Behind {
  /** Those that a gradient arriving at the value trains. */
  readonly learns: ReadonlySet<string>;
  /** All learnable ones it is computed from; those of averages under the name of their source. */
  readonly reads: ReadonlySet<string>;
  /** Of `reads`, those reached through an average that lags. */
  readonly lagging: ReadonlySet<string>;
  /** Of `reads`, those reached as the very parameters. */
  readonly direct: ReadonlySet<string>;
}

/** A program with its facts. */
export interface Facts {
  readonly graph: ModelGraph;
  readonly body: Body;
  readonly recipe: Recipe;
  readonly terms: readonly Term[];
  /** Terms by the losses of the program that they belong to. */
  readonly termsOf: (loss: string) => readonly Term[];
  readonly canonical: Canonical;
  readonly groups: Groups;
  readonly flow: Flow;
  readonly values: readonly Fact[];
  /** Of every picture that another shows too, the first that does: the name by which it is known here. */
  readonly pictures: ReadonlyMap<string, string>;
  readonly sights: readonly Sight[];
  /** The sights of the batches that a value is a union of, in their order; undefined where it is none. */
  readonly sightsOfParts: readonly (readonly Sight[] | undefined)[];
  /** Groups that are no more than a linear map of what they are given. */
  readonly simple: ReadonlySet<string>;
  readonly encoders: readonly Group[];
  /** The program has actions: its pictures are moments of episodes. */
  readonly episodes: boolean;
  /** Facts under an assumption. */
  readonly under: (assume: Assumption) => readonly Fact[];
  readonly behind: (id: NodeId) => Behind;
  /** Groups that learn from a gradient at a value. */
  readonly trains: (id: NodeId) => ReadonlySet<string>;
  /** Groups that learn against a gradient at a value: it is turned round on the way. */
  readonly opposes: (id: NodeId) => ReadonlySet<string>;
  /** Groups whose values, or averages of them, a value is computed from: by their sources. */
  readonly sources: (id: NodeId) => ReadonlySet<string>;
  /** Groups that a gradient reaches where stops alone end it: what cancels, and what one number tells, aside. */
  readonly reachedAsWritten: () => ReadonlySet<string>;
  /** For every node, a name for the constant that it would be if nothing of its inputs came through. */
  readonly constantNames: () => readonly string[];
  /** For every node, the first that computes the same. */
  readonly numbers: readonly NodeId[];
}

const nobody: ReadonlySet<string> = new Set();

/** Gathers the facts of a checked graph. */
export function gatherFacts(written: ModelGraph, recipe: Recipe): Facts {
  const graph = withBlindFunctions(written);
  const pictures = onePicture(graph, recipe.transforms);
  const { body, terms: raw, forms } = expandObjective(withOnePicture(graph, pictures));
  const canonical = canonicalTerms(body, raw, forms);
  const flat = { ...graph, body };
  const flows = flow(flat);
  const trained = new Set(canonical.terms.flatMap((t) => [...(flows.nodes.get(t.node)?.trains ?? [])]));
  const groups = readGroups(graph, trained, recipe.decays);
  const simple = simpleGroups(graph, body);
  const episodes = body.nodes.some((n) => n.op === "input" && n.type.space.kind === "actions");
  const shows = new Map(graph.views.map((v) => [v.name, v.input]));
  const under = (assume: Assumption): readonly Fact[] => interpret(graph, body, factDomain(groups, simple, episodes, assume, (path) => shows.get(path) ?? path));
  const known = new Map<NodeId, Behind>();
  const learnable = new Set(graph.instances.flatMap((i) => i.params.flatMap((p) => (p.role === "learn" ? [`${i.name}.${p.path}`] : []))));
  const behind = (id: NodeId): Behind => {
    const found = known.get(id) ?? readBehind(body, id, flows, groups, learnable);
    known.set(id, found);
    return found;
  };
  const reached = new Map<ReadonlySet<string>, ReadonlySet<string>>();
  const trains = (id: NodeId): ReadonlySet<string> => {
    const all = flows.nodes.get(id)?.trains ?? nobody;
    const found = reached.get(all) ?? new Set([...all].filter((g) => groups.get(g)?.state === "trained"));
    reached.set(all, found);
    return found;
  };
  const turning = reversing(graph, body, forms);
  const opposes = (id: NodeId): ReadonlySet<string> => (turning.size === 0 ? nobody : new Set(turnedBelow(body, id, turning).flatMap((at) => [...trains(at)])));
  const origins = new Map<ReadonlySet<string>, ReadonlySet<string>>();
  const sources = (id: NodeId): ReadonlySet<string> => {
    const all = flows.nodes.get(id)?.depends ?? nobody;
    const found = origins.get(all) ?? new Set([...all].map((g) => sourceName(g, groups)));
    origins.set(all, found);
    return found;
  };
  let named: readonly string[] | undefined;
  let asWritten: ReadonlySet<string> | undefined;
  const reachedAsWritten = (): ReadonlySet<string> => {
    const { nodes } = asWritten === undefined ? flow(written) : flows;
    return (asWritten ??= new Set(written.losses.flatMap((l) => (l.weight.points.every((p) => p === 0) ? [] : [...(nodes.get(l.node)?.trains ?? [])]))));
  };
  const values = under(noAssumption);
  const seen = interpret(graph, body, sightDomain);
  const [sights, sightsOfParts] = [seen.map(({ all }) => all), seen.map(({ parts }) => parts)];
  const encoders = findEncoders(graph, body, flows, groups, simple);
  const terms = readOwnTerms(canonical.terms.map((t) => (keepsQueue(t) && trains(t.operands[0] ?? -1).size === 0 ? { ...t, role: "attract" } : t)), { body, values, numbers: canonical.numbers, trains: (id) => trains(id).size > 0, sources });
  const byLoss = new Map<string, Term[]>();
  for (const term of terms) for (const loss of term.losses) byLoss.set(loss, [...(byLoss.get(loss) ?? []), term]);
  const termsOf = (loss: string): readonly Term[] => byLoss.get(loss) ?? [];
  return { graph, body, recipe, terms, termsOf, canonical, groups, flow: flows, values, pictures, sights, sightsOfParts, simple, encoders, episodes, under, behind, trains, opposes, sources, reachedAsWritten, constantNames: () => (named ??= constantNames(graph, body)), numbers: canonical.numbers };
}

/** Contrast against keys of earlier steps: its repulsion reaches queries alone, and for keys it is agreement. */
export function keepsQueue(term: Pick<Term, "role" | "numbers" | "own">): boolean {
  return term.role === "contrast" && term.own === undefined && (term.numbers["queue"] ?? 0) > 0;
}

function readBehind(body: Body, id: NodeId, flows: Flow, groups: Groups, learnable: ReadonlySet<string>): Behind {
  const { learns, reads } = parametersBehind(body, [id], flows.funcs, (path) => groups.get(rootOf(path))?.state === "trained" && learnable.has(path));
  const own = new Set<string>();
  const lagging = new Set<string>();
  const direct = new Set<string>();
  for (const path of reads) {
    if (!learnable.has(path)) continue;
    const source = sourcePath(path, groups);
    own.add(source);
    if (groups.get(rootOf(path))?.lag === true && moves(groups.get(rootOf(path)))) lagging.add(source);
    else direct.add(source);
  }
  return { learns, reads: own, lagging, direct };
}

/** Flow of a value. */
export function flowOf(facts: Facts, id: NodeId | undefined): ValueFlow {
  return (id === undefined ? undefined : facts.flow.nodes.get(id)) ?? noFlow;
}

/** Groups that learn from a gradient at a value. */
export function trainedThrough(facts: Facts, id: NodeId | undefined): ReadonlySet<string> {
  return id === undefined ? nobody : facts.trains(id);
}

/** Facts of a value. */
export function factOf(values: readonly Fact[], id: NodeId | undefined): Fact {
  return (id === undefined ? undefined : values[id]) ?? constantFact;
}

/** Groups whose values, or averages of them, a value is computed from: by their sources. */
export function sourcesBehind(facts: Facts, id: NodeId | undefined): ReadonlySet<string> {
  return id === undefined ? nobody : facts.sources(id);
}

function sourceName(name: string, groups: Groups): string {
  const group = groups.get(name);
  return group !== undefined && moves(group) ? group.source : name;
}

/** Without one of these, what a module computes is linear but for normalization. */
export const bends: ReadonlySet<string> = new Set(["attend", "gelu", "relu", "tanh", "sigmoid", "exp", "square", "abs"]);

/** Ops that take the mean of the batch away. */
export const scaling: ReadonlySet<string> = new Set(["batch_norm", "batch_normalize", "whiten"]);

/** Whether a node is one of some ops, or applies a module that holds one. Each module is looked at once: those that double one another have no end otherwise. */
export function applying(graph: ModelGraph, ops: ReadonlySet<string>): (node: Node) => boolean {
  const funcs = funcTable(graph);
  const known = new Map<string, boolean>();
  const ask = (node: Node): boolean => {
    if (!isCall(node)) return ops.has(node.op);
    const name = node.attrs.func ?? "";
    const answer = known.get(name) ?? funcs.get(name)?.body.nodes.some(ask) ?? false;
    known.set(name, answer);
    return answer;
  };
  return ask;
}

function simpleGroups(graph: ModelGraph, body: Body): ReadonlySet<string> {
  const bent = applying(graph, bends);
  const simple = new Set(graph.instances.map((i) => i.name));
  for (const node of body.nodes) if (isCall(node) && bent(node)) simple.delete(rootOf(paramPrefix(node)));
  // An average that is never applied is what its source is.
  for (const i of graph.instances) if (i.training.kind === "ema" && !simple.has(i.training.of)) simple.delete(i.name);
  return simple;
}

/** The encoders; where every network of pictures is frozen, the first maps that learn from what it gives: its output is data. */
function findEncoders(graph: ModelGraph, body: Body, flows: Flow, groups: Groups, simple: ReadonlySet<string>): readonly Group[] {
  const found = firstMaps(graph, body, flows, groups, simple, () => true);
  return found.length > 0 ? found : firstMaps(graph, body, flows, groups, simple, (g) => g.state !== "fixed");
}

function firstMaps(graph: ModelGraph, body: Body, flows: Flow, groups: Groups, simple: ReadonlySet<string>, counts: (group: Group) => boolean): readonly Group[] {
  const pictures = new Set(body.nodes.flatMap((n) => (n.op === "input" && n.type.space.kind === "pixels" ? [n.attrs.path ?? ""] : [])));
  const like = new Set([...groups.values()].filter((g) => g.learns && counts(g) && (g.instance.role === "encoder" || !simple.has(g.name))).map((g) => g.name));
  const first = new Set<string>();
  const later = new Set<string>();
  for (const node of body.nodes) {
    if (!isCall(node)) continue;
    const root = rootOf(paramPrefix(node));
    for (const arg of node.args) {
      const own = flows.nodes.get(arg) ?? noFlow;
      if (![...own.seen.keys()].some((s) => pictures.has(s))) continue;
      if ([...own.depends].some((d) => d !== root && like.has(d))) later.add(root);
      else first.add(root);
    }
  }
  const learning = [...groups.values()].filter((g) => g.learns && first.has(g.name) && (g.state === "trained" || g.state === "idle"));
  const strict = learning.filter((g) => like.has(g.name) && !(later.has(g.name) && g.instance.role !== "encoder"));
  const chosen = strict.length > 0 ? strict : learning;
  return graph.instances.flatMap((i) => chosen.filter((g) => g.name === i.name));
}

/** A node by its id. */
export function nodeAt(facts: Facts, id: NodeId | undefined): Node | undefined {
  return id === undefined ? undefined : facts.body.nodes[id];
}

/** Masks that pick positions somewhere, and those that such masks are drawn less of. */
export function usedMasks(graph: ModelGraph): ReadonlySet<string> {
  const used = new Set(placedMasks(graph));
  const byName = new Map(graph.masks.map((m) => [m.name, m]));
  for (const name of used) for (const other of byName.get(name)?.minus ?? []) used.add(other);
  return used;
}

/** Masks at whose positions something is picked, put or asked for, and not only taken out of others. */
export function placedMasks(graph: ModelGraph): ReadonlySet<string> {
  return new Set([...graph.body.nodes.flatMap((n) => n.attrs.mask ?? []), ...graph.funcs.flatMap((f) => f.masks)]);
}

/** Nodes that a node is computed from, itself included. */
export function cone(facts: Facts, id: number): number[] {
  const seen = new Set([id]);
  const todo = [id];
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    for (const arg of facts.body.nodes[at]?.args ?? []) {
      if (seen.has(arg)) continue;
      seen.add(arg);
      todo.push(arg);
    }
  }
  return [...seen].sort((a, b) => a - b);
}

/** The learned modules that make a value, seen through operations without parameters. */
export function lastModules(facts: Facts, id: NodeId | undefined): string[] {
  const seen = new Set<number>();
  const found = new Set<string>();
  const todo = id === undefined ? [] : [id];
  for (let at = todo.pop(); at !== undefined; at = todo.pop()) {
    const node = nodeAt(facts, at);
    if (node === undefined || seen.has(at)) continue;
    seen.add(at);
    const root = isCall(node) ? rootOf(paramPrefix(node)) : "";
    if (root !== "" && facts.groups.get(root)?.learns === true) found.add(root);
    else todo.push(...node.args);
  }
  return [...found];
}

/** Whether the last learned modules of two values are the same, or averages of the same. */
export function sameHeads(facts: Facts, p: NodeId, q: NodeId): boolean {
  return headsWithin(facts, p, q) && headsWithin(facts, q, p);
}

/** Whether a value has last learned modules, and all are among another's, averages for what they follow. */
export function headsWithin(facts: Facts, p: NodeId, q: NodeId): boolean {
  const own = lastModules(facts, p);
  const others = new Set(lastModules(facts, q).map((g) => sourceName(g, facts.groups)));
  return own.length > 0 && own.every((g) => others.has(sourceName(g, facts.groups)));
}
