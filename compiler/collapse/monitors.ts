/**
 * Monitors: what a compiled trainer watches because the proof relies on it (theory, 3.6).
 *
 * A verdict rests on a mechanism, and each mechanism has its own way to fail in a run. Two total tables say which kinds of
 * monitor each one needs, so that a mechanism without one does not typecheck; this file turns them into watches with
 * thresholds, and says what a step must hand back for them (`watchlist`). What dynamics protect is always watched; nothing
 * here says that a run cannot collapse.
 */
import type { MonitorSpec, TrivialValue } from "../../runtime/abi.js";
import type { Node } from "../model/ir.js";
import { isLoss, lossKind } from "../model/losses.js";
import { isCall, paramPrefix, rootOf } from "../model/visit.js";
import type { CollapseResult, EncoderProof, Verdict } from "./analyze.js";
import { sampleBit, tokenBit } from "./axes.js";
import type { Term } from "./canonicalize.js";
import { termName } from "./canonicalize.js";
import type { Facts } from "./gather.js";
import { factOf, trainedThrough } from "./gather.js";
import type { Group } from "./groups.js";
import type { Protector } from "./null-test.js";
import type { Mechanism } from "./terms.js";

type Kind = MonitorSpec["kind"];

/** What is watched where dynamics hold an encoder. A target that is data, or does not change, has no way of its own to fail. */
export const mechanismMonitors: Readonly<Record<Mechanism["kind"], readonly Kind[]>> = {
  "predictor and average": ["embedding-std", "loss-trivial", "teacher-distance"],
  "predictor and stop": ["embedding-std", "loss-trivial"],
  "own embedding": ["embedding-std", "loss-trivial"],
  "balanced codes": ["embedding-std", "code-entropy", "loss-trivial"],
  anchor: ["embedding-std"],
  "pretrained target": ["embedding-std"],
};

/** What is watched where the objective protects an encoder: a guard on statistics may still lose dimensions. */
export const protectorMonitors: Readonly<Record<Protector["because"], readonly Kind[]>> = {
  anchor: ["embedding-std"],
  encoder: ["embedding-std"],
  statistics: ["embedding-std", "effective-rank"],
  whitening: ["embedding-std", "effective-rank"],
  balance: ["embedding-std", "effective-rank"],
  negatives: ["embedding-std", "effective-rank"],
  correlation: ["embedding-std", "effective-rank"],
  variance: ["embedding-std", "effective-rank"],
  normality: ["embedding-std", "effective-rank"],
  neighbors: ["embedding-std", "effective-rank"],
  codes: ["embedding-std", "effective-rank"],
  repulsion: ["embedding-std", "effective-rank"],
};

/** What a step must hand back for the monitors. */
export interface Watchlist {
  /** Instances whose outputs are looked at: declared encoders, and what the analysis takes for one. */
  readonly encoders: readonly string[];
  /** Nodes of the model that hold codes, with the encoder whose proof relies on them. */
  readonly codes: readonly { readonly of: string; readonly node: number }[];
}

/** The features and codes that the monitors of a result look at. */
export function watchlist(facts: Facts, result: CollapseResult): Watchlist {
  const applied = new Set(facts.body.nodes.flatMap((n) => (isCall(n) ? [rootOf(paramPrefix(n))] : [])));
  const proved = new Set(result.encoders.map((e) => e.encoder));
  const encoders = facts.graph.instances.filter((i) => (i.role === "encoder" || proved.has(i.name)) && applied.has(i.name)).map((i) => i.name);
  const codes = result.encoders.flatMap((proof) => proof.mechanisms.flatMap(({ term, mechanism }) => {
    const node = mechanism.kind === "balanced codes" ? codesOf(facts, term) : undefined;
    return node === undefined ? [] : [{ of: proof.encoder, node }];
  }));
  return { encoders, codes };
}

/** The codes that a term compares with, as a node of the model; none where the loss stands in a module. */
function codesOf(facts: Facts, term: Term): number | undefined {
  const loss = facts.graph.losses.find((l) => term.losses.includes(l.name));
  const node: Node | undefined = facts.graph.body.nodes[loss?.node ?? -1];
  return node?.op === "loss" ? node.args[term.operands.findIndex((o) => trainedThrough(facts, o).size === 0)] : undefined;
}

/**
 * The monitors that a result asks for; `verdict` is the program's, of masks and leaks too. Watches are named as the step program names
 * them: by the applied instance.
 */
export function monitorsOf(facts: Facts, result: CollapseResult, trivial: Trivial, verdict: Verdict): readonly MonitorSpec[] {
  const watched = watchlist(facts, result).encoders;
  const groups = [...facts.groups.values()];
  const monitors = unique([
    ...watched.flatMap((name) => (hasTokens(facts, name) ? [spread(name), tokens(name)] : [spread(name)])),
    ...ofFindings(facts, result, trivial),
    ...result.encoders.flatMap((proof) => ofProof(facts, proof, trivial)),
    ...ofNoPrediction(facts, trivial),
    ...groups.filter((g) => g.state === "follows" && watched.includes(g.name)).map((g) => distance(facts, g.name)),
    ...ofGradients(groups, verdict),
    ...facts.graph.masks.filter((m) => m.minus.length > 0).map((m) => overlap(m.name, m.minus)),
  ]);
  return verdict === "sound" ? monitors.map(patient) : monitors;
}

/**
 * Spread is waited for in a program that nothing speaks against: masked prediction behind an average begins with positions, which
 * are alike in all pictures, and has lost its spread for up to 195 of 300 steps when that comes back (docs/results.md). What is refused or
 * risky has no such excuse.
 */
function patient(monitor: MonitorSpec): MonitorSpec {
  return monitor.kind === "embedding-std" || monitor.kind === "token-std" ? { ...monitor, patient: true } : monitor;
}

/**
 * Gradients are looked at in all groups; where nothing is trained that is what is heard. In a sound program a group that no gradient is
 * meant to reach (a projection on the target's side that stays what it was) is a part of it, and no alarm.
 */
function ofGradients(groups: readonly Group[], verdict: Verdict): MonitorSpec[] {
  if (!groups.some((g) => g.state === "trained")) return [{ ...gradients, because: "nothing is trained: every path from a loss to a parameter is stopped, or weighs 0; let a gradient through" }];
  if (verdict !== "sound" || !groups.some((g) => g.state === "idle")) return [gradients];
  return groups.filter((g) => g.state === "trained").map((g) => ({ ...gradients, watch: g.name }));
}

/** What the tables ask for. */
function ofProof(facts: Facts, proof: EncoderProof, trivial: Trivial): MonitorSpec[] {
  const { encoder } = proof;
  const guards = proof.protectors.flatMap(({ term, because }) => protectorMonitors[because].map((kind) => forKind(kind, { facts, trivial, encoder, term, mechanism: undefined })));
  const dynamics = proof.mechanisms.flatMap(({ term, mechanism }) => mechanismMonitors[mechanism.kind].map((kind) => forKind(kind, { facts, trivial, encoder, term, mechanism })));
  return [...guards, ...dynamics].flat();
}

type Trivial = ReadonlyMap<string, readonly TrivialValue[]>;

/** One step of a proof: an encoder, held in one term by one mechanism or protected by it. */
interface Step {
  readonly facts: Facts;
  readonly trivial: Trivial;
  readonly encoder: string;
  readonly term: Term;
  readonly mechanism: Mechanism | undefined;
}

function forKind(kind: Kind, { facts, trivial, encoder, term, mechanism }: Step): MonitorSpec[] {
  switch (kind) {
    case "embedding-std": return [spread(encoder)];
    case "token-std": return [tokens(encoder)];
    case "effective-rank": return [spec("effective-rank", { watch: encoder }, 0.25, `\`${termName(term)}\` keeps \`${encoder}\` spread out: the rank may fall to a quarter of what it was at step 500, and no further`)];
    case "code-entropy": return codesOf(facts, term) === undefined ? [] : [spec("code-entropy", { watch: encoder }, 1e-3, "codes must not fall together: where all rows of a batch have one code, the entropy of their mean is 0")];
    case "loss-trivial": return atConstant(trivial, encoder, term, mechanism?.kind === "balanced codes");
    case "teacher-distance": return (mechanism?.target ?? []).filter((g) => facts.groups.get(g)?.state === "follows").map((g) => distance(facts, g));
    case "gradient-norm": return [gradients];
    case "mask-overlap": return [];
  }
}

/** A loss that begins next to the value of a constant (a distance of probabilities is 0.001 untrained) is there when so much of that is left. */
const MOST = 0.01;

/** A loss at the value of a constant: of codes at once; of agreement while the encoder's deviation falls, as it may pass there. */
function atConstant(trivial: Trivial, encoder: string, term: Term, coded: boolean): MonitorSpec[] {
  const [loss = ""] = term.losses;
  return (trivial.get(loss) ?? []).filter((t) => t.of !== "no prediction").map((t) => ({ ...spec("loss-trivial", { watch: coded ? undefined : encoder, loss, trivial: t }, 1e-3, constantText(term.kind, t)), most: MOST }));
}

function constantText(kind: string, { value, of }: TrivialValue): string {
  switch (of) {
    case "uniform codes": return `\`${kind}\` at ${value.toFixed(4)} is what uniform codes give: the logarithm of their number`;
    case "one code": return `\`${kind}\` at 0 is what one code for all images gives`;
    case "constant": return `\`${kind}\` at ${value} while the deviation falls is the constant solution, which training avoids by dynamics only`;
    case "no prediction": return `\`${kind}\` at ${value.toFixed(4)} is the value of predicting nothing: what a prediction of 0 scores on targets of mean 0 and variance 1`;
    case "foreseen": return `\`${kind}\` at a thousandth of what predicting nothing scores: what is to be predicted is shown to the prediction, or the same everywhere; look for a way from the target to it`;
  }
}

/** Roles of losses that a constant brings to one known value. */
const heard: ReadonlySet<string> = new Set(["attract", "classify", "contrast"]);

/** What may be left of a refused term's way to a constant: nothing keeps it from there, so that it need not have arrived. */
const LEFT = 0.05;

/** A refused term that the author allows: the loss at the value of a constant is how its collapse is heard. */
function ofFindings(facts: Facts, result: CollapseResult, trivial: Trivial): MonitorSpec[] {
  const refused = result.findings.filter((f) => f.level === "error");
  const isHeard = (t: Term): boolean => isLoss(t.kind) && heard.has(lossKind(t.kind).role);
  // A finding on an encoder's guards has no term of its own, or one that no constant brings to a value: then all that train the encoder are watched.
  const terms = refused.flatMap(({ term, encoder }) => (term === undefined || !isHeard(term) ? facts.terms.filter((t) => trainedThrough(facts, t.node).has(encoder)) : [term]));
  return terms.filter(isHeard).flatMap((term): MonitorSpec[] => {
    const [loss = ""] = term.losses;
    return (trivial.get(loss) ?? []).filter((t) => t.of !== "no prediction").map((t) => ({ ...spec("loss-trivial", { loss, trivial: t }, 1e-3, `\`${term.kind}\` at ${Number(t.value.toFixed(4))} is the constant solution, which nothing keeps training from`), share: LEFT }));
  });
}

/**
 * Losses whose prediction could say nothing, or all. Features of a network are near a normal distribution, not of one: hence the width.
 * Nobody predicts what is hidden to a thousandth of that value: of sound runs the least is a sixtieth (docs/results.md).
 */
function ofNoPrediction(facts: Facts, trivial: Trivial): MonitorSpec[] {
  return facts.graph.losses.flatMap((loss) => (trivial.get(loss.name) ?? []).filter((t) => t.of === "no prediction").flatMap((t) => {
    const known: TrivialValue = { value: 0, of: "foreseen" };
    return [spec("loss-trivial", { loss: loss.name, trivial: t }, t.value / 50, constantText(loss.kind, t)), spec("loss-trivial", { loss: loss.name, trivial: known }, t.value / 1000, constantText(loss.kind, known))];
  }));
}

function spread(encoder: string): MonitorSpec {
  return spec("embedding-std", { watch: encoder }, 0.2, `the outputs of \`${encoder}\` must differ from image to image`);
}

function tokens(encoder: string): MonitorSpec {
  return spec("token-std", { watch: encoder }, 0.05, `the tokens of \`${encoder}\` differ by their positions even if all images are alike`);
}

function overlap(mask: string, minus: readonly string[]): MonitorSpec {
  const others = minus.map((m) => `\`${m}\``).join(", ");
  return { ...spec("mask-overlap", { watch: mask }, 0.5, `for most pictures \`${mask}\` finds no place without ${others} and keeps positions of it, so that what is predicted is seen: make ${others} smaller or fewer`), steps: 20 };
}

function distance(facts: Facts, name: string): MonitorSpec {
  const group = facts.groups.get(name);
  return spec("teacher-distance", { watch: name }, group?.lag === true ? 1e-9 : 0, `\`${name}\` follows \`${group?.source ?? ""}\`: at distance 0 it is the same network, at a distance that never changes it is frozen`);
}

const gradients: MonitorSpec = { ...spec("gradient-norm", {}, 0, "a gradient must reach what is to be trained"), steps: 1 };

function hasTokens(facts: Facts, name: string): boolean {
  const node = facts.body.nodes.find((n) => isCall(n) && rootOf(paramPrefix(n)) === name);
  return node !== undefined && node.type.axes.includes("token") && (factOf(facts.values, node.id).may & (tokenBit | sampleBit)) === (tokenBit | sampleBit);
}

/** What a monitor looks at. */
type Subject = Partial<Pick<MonitorSpec, "watch" | "loss" | "trivial">>;

function spec(kind: Kind, { watch, loss, trivial }: Subject, threshold: number, because: string): MonitorSpec {
  return { kind, watch, loss, ...(trivial === undefined ? {} : { trivial }), threshold, steps: 200, because };
}

function unique(list: readonly MonitorSpec[]): MonitorSpec[] {
  const seen = new Set<string>();
  return list.filter((m) => {
    const key = `${m.kind}|${m.watch ?? ""}|${m.loss ?? ""}|${m.trivial?.of ?? ""}`;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
