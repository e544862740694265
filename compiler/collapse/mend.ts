/**
 * Fixes: for each rule that has a certain way out, the edit that takes it.
 *
 * A fix is offered where one small change is known to mend the fault (a stop, a predictor, a momentum, the axis of a
 * statistic) and the text has the form that the edit expects. What needs a choice (variance terms or negatives, which data
 * to anchor on) has none. Tests apply each and check again. Owns which edit belongs to which rule; texts are `edits.ts`'s.
 */
import type { Edit, Fix } from "../messages/report.js";
import type { CallNode, Instance, Node } from "../model/ir.js";
import { isCall, paramPrefix, rootOf } from "../model/visit.js";
import { constantOf } from "../types/dim.js";
import { balanceShare, sharpness } from "./codes.js";
import type { Texts } from "./edits.js";
import { argumentSpan, lineAfter, recall, replaceIn, setArgument, textAt, turnSign, unwrap, wrap } from "./edits.js";
import type { Finding, RuleName } from "./findings.js";
import type { Facts } from "./gather.js";
import { cone, factOf, nodeAt, sourcesBehind, trainedThrough } from "./gather.js";
import { after } from "./terms.js";

/** What an edit is made from. */
interface Case {
  readonly finding: Finding;
  readonly facts: Facts;
  readonly texts: Texts;
}

type Edits = readonly Edit[] | undefined;
interface Mend {
  readonly title: string;
  readonly edits: (c: Case) => Edits;
}

const schedule = "0.996 -> 1.0";

const mends: Partial<Readonly<Record<RuleName, readonly Mend[]>>> = {
  "E-SYM": [{ title: "Stop the gradient of the target", edits: stopTarget }],
  "E-NOPRED": [{ title: "Put a predictor on the side that has the gradient", edits: predict }],
  "E-PRED-FROZEN": [{ title: "Train the predictor", edits: (c) => first(c.finding.heads, (h) => thaw(c, h)) }],
  "E-PRED-DEAD": [{ title: "Move the predictor to the side that has the gradient", edits: moveHead }],
  "E-TARGET-HEAD": [{ title: "Keep the head of the target from learning", edits: settleTarget }],
  "E-WRONG-SIDE": [{ title: "Exchange the sides", edits: exchange }],
  "E-NOGUARD": [{ title: "Ask for a deviation that a constant does not have", edits: raiseTarget }, { title: "Add a variance term", edits: (c) => (raiseTarget(c) === undefined ? addVariance(c) : undefined) }],
  "E-GUARD-NOGRAD": [{ title: "Let the gradient of the regularizer through", edits: freeGuard }],
  "E-GUARD-AXIS": [{ title: "Let the statistic run over images", edits: overImages }],
  "E-GUARD-SIGN": [{ title: "Turn the sign round", edits: (c) => (c.finding.term === undefined ? undefined : turnSign(c.finding.term.origin, c.texts)) }],
  "E-NOATTRACT": [{ title: "Turn the sign round", edits: turnAttraction }],
  "E-DEAD": [{ title: "Let the gradient reach the predictor", edits: revive }],
  "E-ONEHOT": [{ title: "Center the codes of the target", edits: (c) => moveCenter(c) ?? centerCodes(c) }],
  "E-UNIFORM": [{ title: "Sharpen the codes of the target", edits: sharpen }],
  "E-UNBALANCED": [{ title: "Balance the codes of the target", edits: balance }],
  "E-CENTER-NO-EMA": [{ title: "Balance the codes of the target", edits: balance }],
  "E-UNBOUNDED": [{ title: "Turn the sign round", edits: (c) => (c.finding.term === undefined ? undefined : turnSign(c.finding.term.origin, c.texts)) }],
  "E-NO-CODE": [{ title: "Make the target a distribution", edits: distribute }],
  "W-FROZEN-TARGET": [{ title: "Let the target follow the encoder", edits: (c) => first(c.finding.heads, (h) => follow(c, h)) }],
  "W-EMA-ZERO": [{ title: "Let the target lag behind", edits: (c) => first(c.finding.heads, (h) => momentum(c, h)) }],
  "W-EMA-RANGE": [{ title: "Let the target lag behind further", edits: (c) => first(c.finding.heads, (h) => momentum(c, h)) }],
  "W-DECAYED-TARGET": [{ title: "Freeze what makes the target", edits: (c) => (c.finding.heads.length === 1 ? first(c.finding.heads, (h) => (c.facts.simple.has(h) ? freeze(c, h) : undefined)) : undefined) }],
};

/** The ways out of a finding that are certain. */
export function mendsOf(finding: Finding, facts: Facts, texts: Texts): readonly Fix[] {
  return (mends[finding.rule] ?? []).flatMap(({ title, edits }) => {
    const made = edits({ finding, facts, texts });
    return made === undefined || made.length === 0 ? [] : [{ title, edits: made }];
  });
}

function first<T>(list: readonly T[], make: (x: T) => Edits): Edits {
  for (const x of list) {
    const made = make(x);
    if (made !== undefined) return made;
  }
  return undefined;
}

const instanceOf = (c: Case, name: string): Instance | undefined => c.facts.graph.instances.find((i) => i.name === name && i.origin.file === c.facts.graph.origin.file);

/** Nodes behind a value, itself included, of one kind. */
function nodesBehind(c: Case, id: number | undefined, is: (n: Node) => boolean): Node[] {
  return id === undefined ? [] : cone(c.facts, id).flatMap((at) => nodeAt(c.facts, at) ?? []).filter((n) => is(n) && n.origin.file === c.facts.graph.origin.file);
}

const isStop = (n: Node): boolean => n.op === "stop_gradient";
const isOf = (name: string) => (n: Node): boolean => isCall(n) && rootOf(paramPrefix(n)) === name;

/** Operand indices of a pair: the one with a gradient first. */
function sides(c: Case): { readonly student: number; readonly target: number } | undefined {
  const { term } = c.finding;
  if (term?.operands.length !== 2) return undefined;
  const [p = false, q = false] = term.operands.map((o) => trainedThrough(c.facts, o).size > 0);
  return p === q ? undefined : p ? { student: 0, target: 1 } : { student: 1, target: 0 };
}

/** The place of an operand where the term is a loss of the table: of what is written out, arguments are no operands. */
function argument(c: Case, index: number): ReturnType<typeof argumentSpan> {
  const { term } = c.finding;
  return term === undefined || nodeAt(c.facts, term.node)?.op !== "loss" ? undefined : argumentSpan(term.origin, c.texts, index);
}

/** A stop around the side without a predictor, where the other side has one and a stop is all that is missing. */
function stopTarget(c: Case): Edits {
  const { term, encoder } = c.finding;
  if (term?.operands.length !== 2) return undefined;
  // Of two encoders that follow each other, a stop leaves each with the other to follow.
  if (term.operands.some((o) => !sourcesBehind(c.facts, o).has(encoder))) return undefined;
  const heads = term.operands.map((o) => after(c.facts, o, new Set([encoder])).filter((g) => g !== encoder && trainedThrough(c.facts, o).has(g)));
  const [left = [], right = []] = heads;
  const only = (a: readonly string[], b: readonly string[]): boolean => a.some((g) => !b.includes(g)) && b.every((g) => a.includes(g));
  const index = only(left, right) ? 1 : only(right, left) ? 0 : undefined;
  const place = index === undefined ? undefined : argument(c, index);
  return place === undefined ? undefined : wrap(place, "stopgrad");
}

/** A predictor around the student's side: one that the program has and that fits, or a new one beside the encoder. */
function predict(c: Case): Edits {
  if (c.finding.heads.length > 0 || c.finding.detail === "own code") return undefined;
  // The finding beside it moves a predictor that is there.
  const { term } = c.finding;
  const two = sides(c);
  const student = term?.operands[two?.student ?? 0];
  const place = two === undefined ? undefined : argument(c, two.student);
  const last = nodeAt(c.facts, student)?.type.shape.at(-1);
  const width = last === undefined ? undefined : constantOf(last);
  if (two === undefined || term === undefined || place === undefined || width === undefined) return undefined;
  if (term.operands.some((o) => deadHead(c, o) !== undefined)) return undefined;
  const target = term.operands[two.target];
  const like = nodeAt(c.facts, student)?.type;
  const takes = (n: Node): boolean => n.args.length === 1 && c.facts.graph.funcs.some((f) => f.name === n.attrs.func && f.masks.length === 0)
    && [n.type, nodeAt(c.facts, n.args[0])?.type].every((t) => t?.axes.join() === like?.axes.join() && t?.shape.slice(-1).some((d) => constantOf(d) === width));
  const ready = c.facts.graph.instances.find((i) => i.role === "predictor" && i.training.kind === "optimized" && i.params.some((p) => p.role === "learn" && p.shape.length > 1) && nodesBehind(c, target, isOf(i.name)).length === 0
    && c.facts.body.nodes.some((n) => isOf(i.name)(n) && takes(n)));
  if (ready !== undefined) return wrap(place, ready.name);
  const beside = instanceOf(c, c.finding.encoder);
  const name = freeName(c, "predict");
  const line = beside === undefined ? undefined : lineAfter(beside.origin, `predictor ${name} = mlp(${2 * width})`, c.texts);
  return line === undefined ? undefined : [...line, ...wrap(place, name)];
}

function freeName(c: Case, wanted: string): string {
  const text = c.texts.get(c.facts.graph.origin.file) ?? "";
  for (let i = 1; ; i++) {
    const name = i === 1 ? wanted : `${wanted}_${i}`;
    if (!new RegExp(`\\b${name}\\b`).test(text)) return name;
  }
}

/** The one application of a head that is never trained, right under a value. */
function deadHead(c: Case, id: number | undefined): CallNode | undefined {
  const found = nodesBehind(c, id, (n) => isCall(n) && c.facts.groups.get(rootOf(paramPrefix(n)))?.state === "idle" && !c.facts.encoders.some((e) => e.name === rootOf(paramPrefix(n))));
  const [head] = found;
  return found.length === 1 && head !== undefined && isCall(head) ? head : undefined;
}

function moveHead(c: Case): Edits {
  const two = sides(c);
  const { term } = c.finding;
  if (two === undefined || term === undefined) return undefined;
  const head = deadHead(c, term.operands[two.target]);
  const place = argument(c, two.student);
  const name = head === undefined ? "" : rootOf(paramPrefix(head));
  const gone = head === undefined ? undefined : unwrap(head.origin, name, c.texts);
  return place === undefined || gone === undefined ? undefined : [...gone, ...wrap(place, name)];
}

/** `frozen(x)` becomes `x`. */
function thaw(c: Case, name: string): Edits {
  const it = instanceOf(c, name);
  if (it === undefined) return undefined;
  const text = textAt(it.origin, c.texts);
  const at = /=\s*(?=frozen\s*\()/.exec(text);
  return at === null ? undefined : unwrap({ ...it.origin, start: it.origin.start + at.index + at[0].length }, "frozen", c.texts);
}

/** `x` becomes `frozen(x)`. */
function freeze(c: Case, name: string): Edits {
  const it = instanceOf(c, name);
  const at = it === undefined ? null : /=\s*(?=\w+\s*\()/.exec(textAt(it.origin, c.texts));
  if (it?.training.kind !== "optimized" || at === null) return undefined;
  return wrap({ ...it.origin, start: it.origin.start + at.index + at[0].length }, "frozen");
}

/** A head that only the target has is frozen; of one that the student has too, the target's use is stopped. */
function settleTarget(c: Case): Edits {
  const { term, heads, other } = c.finding;
  if (term === undefined) return undefined;
  const target = term.operands.indexOf(other ?? -1);
  const rest = c.facts.terms.flatMap((t) => t.operands.filter((o) => o !== other));
  const own = heads.filter((h) => rest.every((o) => !trainedThrough(c.facts, o).has(h)));
  const [only] = own;
  if (own.length === 1 && heads.length === 1 && only !== undefined) return freeze(c, only);
  const place = target < 0 ? undefined : argument(c, target);
  return place === undefined ? undefined : wrap(place, "stopgrad");
}

/** The gradient goes through the side with the predictor, and stops on the other. */
function exchange(c: Case): Edits {
  const { term, encoder, other } = c.finding;
  if (term === undefined || other === undefined) return undefined;
  const own = term.operands.find((o) => o !== other);
  const index = term.operands.findIndex((o) => o === own);
  const place = argument(c, index);
  const stops = nodesBehind(c, other, isStop);
  const [stop] = stops;
  const follower = [...c.facts.groups.values()].find((g) => g.state === "follows" && g.source === encoder && g.instance.name !== encoder && nodesBehind(c, other, isOf(g.name)).length === 1);
  if (follower !== undefined) {
    const [far] = nodesBehind(c, other, isOf(follower.name));
    const near = nodesBehind(c, own, isOf(encoder));
    const [only] = near;
    if (far === undefined || only === undefined || near.length !== 1 || stops.length > 1) return undefined;
    const open = stop === undefined ? [] : unwrap(stop.origin, "stopgrad", c.texts);
    const there = recall(far.origin, follower.name, encoder, c.texts);
    const here = recall(only.origin, encoder, follower.name, c.texts);
    return open === undefined || there === undefined || here === undefined ? undefined : [...open, ...there, ...here];
  }
  const open = stop === undefined || stops.length > 1 ? undefined : unwrap(stop.origin, "stopgrad", c.texts);
  return open === undefined || place === undefined ? undefined : [...open, ...wrap(place, "stopgrad")];
}

/** The published target for every variance term of the encoder that a constant fulfils. */
function raiseTarget(c: Case): Edits {
  const idle = c.facts.canonical.dropped.flatMap(({ term, because }) => (because === "fulfilled" && (term.numbers["eps"] ?? 0) < 0.1 && term.operands.some((o) => sourcesBehind(c.facts, o).has(c.finding.encoder)) ? [term] : []));
  const made = idle.map((t) => (/^variance\s*\(/.test(textAt(t.origin, c.texts)) ? setArgument(t.origin, "target", "1", c.texts) : undefined));
  return made.length === 0 || made.includes(undefined) ? undefined : made.flatMap((m) => m ?? []);
}

/** A variance term on each side of the comparison, as heavy as it. */
function addVariance(c: Case): Edits {
  const { term, encoder, other } = c.finding;
  // Codes that are sharpened need their balance heavier, and no deviation.
  if (c.facts.terms.some((t) => t.operands[0] === other && balanceShare(c.facts, t) !== undefined)) return undefined;
  const beside = instanceOf(c, encoder);
  if (term?.operands.length !== 2 || beside === undefined) return undefined;
  const weight = Math.max(...term.weight.points);
  const covariance = c.facts.terms.filter((t) => t.role === "covariance").map((t) => Math.max(...t.weight.points));
  const by = Math.max(weight, ...covariance.map((w) => 2 * w));
  const places = term.operands.map((o, i) => (trainedThrough(c.facts, o).has(encoder) ? argument(c, i) : undefined)).flatMap((p) => (p === undefined ? [] : [textAt(p, c.texts)]));
  const names = places.filter((p) => /^\w+$/.test(p));
  if (names.length === 0 || names.length < places.length) return undefined;
  return lineAfter(beside.origin, `loss ${freeName(c, "spread_out")} = ${names.map((n) => `${by} * variance(${n})`).join(" + ")}`, c.texts);
}

/** The stops that only regularizers have, taken away. */
function freeGuard(c: Case): Edits {
  const guards = c.facts.terms.filter((t) => ["variance", "gaussian", "spread", "covariance"].includes(t.role));
  const others = new Set(c.facts.terms.filter((t) => !guards.includes(t)).flatMap((t) => t.operands.flatMap((o) => cone(c.facts, o))));
  const stops = [...new Set(guards.flatMap((t) => t.operands.flatMap((o) => nodesBehind(c, o, isStop))))].filter((s) => !others.has(s.id) && sourcesBehind(c.facts, s.id).has(c.finding.encoder));
  const made = stops.map((s) => unwrap(s.origin, "stopgrad", c.texts));
  return made.length === 0 || made.includes(undefined) ? undefined : made.flatMap((m) => m ?? []);
}

/** `over: tokens` becomes `over: images`; what takes no axis is given the mean over tokens. */
function overImages(c: Case): Edits {
  const guard = c.facts.terms.find((t) => ["variance", "gaussian", "contrast"].includes(t.role) && sourcesBehind(c.facts, t.operands[0]).has(c.finding.encoder));
  if (guard === undefined) return undefined;
  const worded = replaceIn(guard.origin, /(?<=\b(?:over|negatives):\s*)(?:tokens|time|all)\b/, "images", c.texts);
  const place = argumentSpan(guard.origin, c.texts, 0);
  const tokens = nodeAt(c.facts, guard.operands[0])?.type.axes.includes("token") === true;
  return worded ?? (guard.role === "gaussian" && tokens && place !== undefined ? wrap(place, "pool") : undefined);
}

function turnAttraction(c: Case): Edits {
  const away = c.facts.terms.filter((t) => t.sign < 0 && t.role === "attract" && trainedThrough(c.facts, t.node).has(c.finding.encoder));
  const [only] = away;
  return only === undefined || away.length > 1 ? undefined : turnSign(only.origin, c.texts);
}

/** Where both sides are stopped, the stops on the side of the predictor are taken away. */
function revive(c: Case): Edits {
  const { term } = c.finding;
  if (term === undefined) return undefined;
  const learning = (o: number): boolean => nodesBehind(c, o, (n) => isCall(n) && c.facts.graph.instances.some((i) => i.name === rootOf(paramPrefix(n)) && i.role === "predictor" && i.training.kind === "optimized")).length > 0;
  const own = term.operands.filter(learning);
  const [student] = own;
  const stops = own.length === 1 ? nodesBehind(c, student, isStop) : [];
  const made = stops.map((s) => unwrap(s.origin, "stopgrad", c.texts));
  return made.length === 0 || made.includes(undefined) ? undefined : made.flatMap((m) => m ?? []);
}

/** A softmax around the target; one that the center is taken off again comes behind the center. */
function distribute(c: Case): Edits {
  const { term, other } = c.finding;
  const named = term !== undefined && /^cross_entropy\s*\(/.test(textAt(term.origin, c.texts));
  const skip = (id: number | undefined): Node | undefined => {
    const node = nodeAt(c.facts, id);
    return node !== undefined && isStop(node) ? skip(node.args[0]) : node;
  };
  const behind = skip(other);
  const outer = behind !== undefined && isCall(behind) ? behind : undefined;
  const inner = outer === undefined ? undefined : skip(outer.args[0]);
  if (outer !== undefined && inner?.op === "softmax" && c.facts.graph.instances.some((i) => i.name === rootOf(paramPrefix(outer)) && i.module === "center")) {
    const name = rootOf(paramPrefix(outer));
    const gone = unwrap(outer.origin, name, c.texts);
    const place = argumentSpan(inner.origin, c.texts, 0);
    return gone === undefined || place === undefined ? undefined : [...gone, ...wrap(place, name)];
  }
  const place = named && other !== undefined ? argument(c, term.operands.indexOf(other)) : undefined;
  return place === undefined ? undefined : wrap(place, "softmax");
}

/** The softmax that makes the target's codes. */
function softmaxOf(c: Case): Node | undefined {
  const found = nodesBehind(c, c.finding.other, (n) => n.op === "softmax" || n.op === "sinkhorn");
  return found.length === 1 ? found[0] : undefined;
}

function centerCodes(c: Case): Edits {
  const node = softmaxOf(c);
  const place = node === undefined ? undefined : argumentSpan(node.origin, c.texts, 0);
  const beside = instanceOf(c, c.finding.encoder);
  const name = freeName(c, "centering");
  const line = beside === undefined ? undefined : lineAfter(beside.origin, `head ${name} = center()`, c.texts);
  return place === undefined || line === undefined ? undefined : [...line, ...wrap(place, name)];
}

/** A center that never moves is given a momentum below 1. */
function moveCenter(c: Case): Edits {
  const still = c.facts.graph.instances.filter((i) => i.module === "center" && Number(i.config["momentum"] ?? 0) >= 1 && nodesBehind(c, c.finding.other, isOf(i.name)).length > 0);
  return first(still, ({ name }) => {
    const it = instanceOf(c, name);
    return it === undefined ? undefined : replaceIn(it.origin, /\bmomentum:\s*[^,)]+/, "momentum: 0.9", c.texts);
  });
}

/** By how much the target's codes are softer than the prediction, whatever factors both were given on the way. */
function softness({ finding: { term, other }, facts }: Case): number | undefined {
  const own = term?.operands.find((o) => o !== other);
  if (term === undefined || own === undefined || other === undefined) return undefined;
  const { soft, warm } = sharpness(term, factOf(facts.values, own), factOf(facts.values, other));
  return soft / warm;
}

/** DINO's ratio of temperatures, 0.04 to 0.1. */
function sharpen(c: Case): Edits {
  const [node, softer = 0] = [softmaxOf(c), softness(c)];
  const temperature = (0.4 * (node?.attrs.temperature ?? 1)) / softer;
  return node === undefined || !Number.isFinite(temperature) ? undefined : setArgument(node.origin, "temperature", String(Number(temperature.toPrecision(2))), c.texts);
}

/** Sinkhorn in the place of a softmax; codes that are no sharper than the prediction are uniform all the same. */
function balance(c: Case): Edits {
  const node = softmaxOf(c);
  const balanced = node === undefined ? undefined : recall(node.origin, "softmax", "sinkhorn", c.texts);
  const sharper = (softness(c) ?? 0) >= 1 ? sharpen(c) : [];
  return balanced === undefined || sharper === undefined ? undefined : [...balanced, ...sharper];
}

function momentum(c: Case, name: string): Edits {
  const it = instanceOf(c, name);
  return it?.training.kind === "ema" ? replaceIn(it.origin, /\bmomentum:\s*(?:\w+\([^)]*\)|[^,)]*)/, `momentum: ${schedule}`, c.texts) : undefined;
}

/**
 * A momentum of 1 begins below it; an average of a network that never learns follows the encoder, where it is its like. So does a
 * network of its own that no gradient reaches: an average that was forgotten. One that is called frozen is meant so.
 */
function follow(c: Case, name: string): Edits {
  const it = instanceOf(c, name);
  const encoder = c.facts.graph.instances.find((i) => i.name === c.finding.encoder);
  const alike = (other: Instance | undefined): boolean => encoder !== undefined && other !== undefined && encoder !== other && encoder.module === other.module && JSON.stringify(encoder.config) === JSON.stringify(other.config);
  if (it?.training.kind === "optimized") {
    const at = /=\s*(?=\w+\s*\()/.exec(textAt(it.origin, c.texts));
    const above = encoder !== undefined && (encoder.origin.file !== it.origin.file || encoder.origin.start < it.origin.start);
    if (at === null || !alike(it) || !above) return undefined;
    return [{ span: { ...it.origin, start: it.origin.start + at.index + at[0].length }, text: `ema(${encoder.name}, momentum: 0.996 -> 1)` }];
  }
  if (it?.training.kind !== "ema") return undefined;
  if (c.facts.groups.get(name)?.folded === "momentum 1") return momentum(c, name);
  const { of } = it.training;
  const source = c.facts.graph.instances.find((i) => i.name === of);
  return alike(source) && encoder !== undefined ? replaceIn(it.origin, new RegExp(`(?<=ema\\(\\s*)${of}\\b`), encoder.name, c.texts) : undefined;
}
