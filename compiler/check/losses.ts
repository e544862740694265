/**
 * Losses in programs: binding operands, comparing positions and spaces, and reading the terms of an objective.
 *
 * Owns the rule "a loss compares values of one space and one set of positions" and the resolution of free spaces: the
 * output of a predictor or head lives in the space that it is trained to predict. Leaves what a loss means for collapse to
 * the collapse analysis, and its arithmetic to lowering.
 */
import type { Span } from "../base/span.js";
import { didYouMean } from "../messages/did-you-mean.js";
import type { Fix } from "../messages/report.js";
import { report } from "../messages/report.js";
import { lossKind, numberRange } from "../model/losses.js";
import type { LossKind, LossName } from "../model/losses.js";
import type { LossTerm, Schedule } from "../model/ir.js";
import { rootOf } from "../model/visit.js";
import type * as ast from "../syntax/ast.js";
import { equalShapes } from "../types/dim.js";
import type { Axis, Space, ValueType } from "../types/value-type.js";
import { anySpace, noPositions, printPositions, printSpace, sameSpace } from "../types/value-type.js";
import type { BodyCx, SpaceTable } from "./body.js";
import { emit } from "./body.js";
import type { ArgValue } from "./expr.js";
import { shapeText } from "./expr.js";
import { createTaken } from "./given.js";
import { againFor, positionsMeet } from "./positions.js";
import { apartExtras } from "./predicted.js";
import type { Side } from "./predicted.js";
import { refusesPairs } from "./builtins-pairs.js";
import { asCount, asNumber, bounds, constantSchedule } from "./static.js";
import { describe, poison } from "./values.js";
import type { Value } from "./values.js";

type Tensor = Value & { kind: "tensor" };

/** The type of every loss: a scalar. */
const scalarType: ValueType = { shape: [], axes: [], positions: noPositions, space: { kind: "scalar" }, dtype: "f32", pending: undefined };

/** `mse(a, b)`, `smooth_l1(a, b, beta: 2)`: checks the operands and emits the loss node. */
export function applyLoss(cx: BodyCx, name: LossName, args: readonly ArgValue[], at: Span): Value {
  const kind = lossKind(name);
  const operands: { value: Tensor; span: Span }[] = [];
  const numbers: Record<string, number> = { ...kind.numbers };
  const strings = Object.fromEntries(Object.entries(kind.words).map(([word, choices]) => [word, choices[0] ?? ""]));
  const taken = createTaken(name, cx.diagnostics);
  for (const arg of args) {
    if (arg.name !== undefined) {
      if (!taken.take(arg.name, arg)) continue;
      if (Object.hasOwn(kind.words, arg.name)) {
        const word = readWord(cx, kind, arg.name, arg);
        if (word === undefined) return poison;
        strings[arg.name] = word;
        continue;
      }
      if (!Object.hasOwn(kind.numbers, arg.name)) {
        const known = [...Object.keys(kind.numbers), ...Object.keys(kind.words)];
        cx.diagnostics.add(report("JEP2004", arg.nameSpan ?? arg.span, { callee: name, name: arg.name, known: known.length > 0 ? known.map((k) => `\`${k}\``).join(", ") : "no named arguments" },
          didYouMean(arg.name, known, arg.nameSpan ?? arg.span)));
        continue;
      }
      const value = readNumber(cx, arg.name, arg);
      if (value === undefined) return poison;
      numbers[arg.name] = value;
    } else if (arg.value.kind === "tensor") operands.push({ value: arg.value, span: arg.span });
    else {
      cx.diagnostics.add(report("JEP2010", arg.span, { what: `an operand of \`${name}\``, expected: "a tensor", found: describe(arg.value) }));
      return poison;
    }
  }
  if (operands.length !== kind.operands) {
    cx.diagnostics.add(operands.length > kind.operands
      ? report("JEP2006", at, { callee: name, most: kind.operands, found: operands.length })
      : report("JEP2005", at, { callee: name, name: operands.length === 0 ? "a" : "b" }, { help: `\`${name}\` compares ${kind.operands === 1 ? "one value" : `${kind.operands} values`}; ${operands.length} ${operands.length === 1 ? "is" : "are"} given.` }));
    return poison;
  }
  if (kind.role === "attract" || kind.role === "classify") againWhereFewer(cx, operands, at);
  const [a, b] = operands;
  if (a !== undefined && b !== undefined && !comparable(cx, name, a, b, at)) return poison;
  if (refusesPairs(cx, name, args) || !hasAxes(cx, name, strings, a, at) || !canQueue(cx, name, { numbers, strings }, a, at)) return poison;
  const words = Object.keys(strings).length === 0 ? {} : { strings };
  return emit(cx, "loss", operands.map((o) => o.value.id), { loss: name, numbers, ...words }, scalarType, at);
}

/** Repeats the targets that predictions from several contexts share. */
function againWhereFewer(cx: BodyCx, operands: { value: Tensor; span: Span }[], at: Span): void {
  const [a, b] = operands;
  if (a === undefined || b === undefined) return;
  operands[0] = { ...a, value: againFor(cx, a.value, b.value, at) };
  operands[1] = { ...b, value: againFor(cx, b.value, a.value, at) };
}

/** A number of a loss, within what it may be. */
function readNumber(cx: BodyCx, name: string, { value, span }: ArgValue): number | undefined {
  const what = `\`${name}\``;
  const { low, high, whole } = numberRange(name) ?? { low: -Infinity, high: Infinity };
  if (whole === true) return asCount(value, what, span, cx.diagnostics, low, high);
  const number = asNumber(value, what, span, cx.diagnostics);
  if (number === undefined || (number >= low && number <= high)) return number;
  cx.diagnostics.add(report("JEP2011", span, { what, bounds: bounds(low, high), found: number }));
  return undefined;
}

/** One of the words that a loss knows for an argument: `over: tokens`. */
function readWord(cx: BodyCx, kind: LossKind, name: string, arg: ArgValue): string | undefined {
  const choices = kind.words[name] ?? [];
  const text = arg.bare ?? (arg.value.kind === "static" ? String(arg.value.value) : undefined);
  if (text !== undefined && choices.includes(text)) return text;
  cx.diagnostics.add(report("JEP2010", arg.span, { what: `\`${name}\``, expected: choices.map((c) => `\`${c}\``).join(" or "), found: text === undefined ? describe(arg.value) : `\`${text}\`` }));
  return undefined;
}

const statisticAxes = new Map<string, Axis>([["images", "batch"], ["tokens", "token"], ["time", "time"]]);

/** Whether the operand has the axis that a statistic runs along. */
function hasAxes(cx: BodyCx, name: string, strings: Readonly<Record<string, string>>, operand: { value: Tensor; span: Span } | undefined, at: Span): boolean {
  const word = strings["over"] ?? strings["negatives"];
  const axis = word === undefined ? undefined : statisticAxes.get(word);
  if (operand === undefined || axis === undefined || operand.value.type.axes.includes(axis)) return true;
  cx.diagnostics.add(report("JEP3004", at, { op: name, axis: word ?? "", axes: operand.value.type.axes.join(", ") }));
  return false;
}

/** Whether a loss that keeps a queue has one place for it, and keys that are rows of it. */
function canQueue(cx: BodyCx, name: string, given: { readonly numbers: Readonly<Record<string, number>>; readonly strings: Readonly<Record<string, string>> }, a: { value: Tensor } | undefined, at: Span): boolean {
  if ((given.numbers["queue"] ?? 0) === 0) return true;
  const refuse = (why: string, help: string): false => {
    cx.diagnostics.add(report("JEP3030", at, { loss: name, why }, { help }));
    return false;
  };
  if (cx.kind !== "model") return refuse("it stands in a module, and a queue belongs to one place of the model", "Give the features back from the module, and compare them in the model.");
  if (given.strings["candidates"] === "both") return refuse("with `candidates: both` the candidates are the rows of the step", "Take `candidates` away, or the queue.");
  const axes = a?.value.type.axes ?? [];
  const several = axes.filter((axis) => axis !== "batch" && axis !== "feature");
  if (several.length === 0 || given.strings["negatives"] === "all") return true;
  return refuse(`its keys are of several ${several.includes("token") ? "tokens" : "moments"}, and its negatives of one`, "Compare one vector of each image (`pool(x)`), or let every row be a key: `negatives: all`.");
}

function comparable(cx: BodyCx, name: string, a: { value: Tensor; span: Span }, b: { value: Tensor; span: Span }, at: Span): boolean {
  if (!positionsMeet(a.value.type, b.value.type)) {
    const left = printPositions(a.value.type.positions);
    const right = printPositions(b.value.type.positions);
    cx.diagnostics.add(report("JEP3002", at, { op: `\`${name}\``, left, right }, {
      related: [{ span: a.span, message: `these tokens sit at ${left}` }, { span: b.span, message: `these sit at ${right}` }],
      ...apartExtras(cx, sideOf(cx, a), sideOf(cx, b)),
    }));
    return false;
  }
  if (!equalShapes(a.value.type.shape, b.value.type.shape)) {
    cx.diagnostics.add(report("JEP3001", at, { op: name, left: shapeText(a.value.type), right: shapeText(b.value.type) }, {
      related: [{ span: a.span, message: `this is ${shapeText(a.value.type)}` }, { span: b.span, message: `this is ${shapeText(b.value.type)}` }],
    }));
    return false;
  }
  return cx.kind !== "model" || spacesMeet(cx, name, a, b, at);
}

/** What is known of an operand for a way out; it learns where its loss trains the encoder whose output it is. */
function sideOf(cx: BodyCx, { value, span }: { readonly value: Tensor; readonly span: Span }): Side {
  const space = resolveSpace(cx.env.spaces, value.type.space);
  const encoder = space.kind === "latent" ? rootOf(space.of) : undefined;
  return { type: value.type, span, learns: encoder !== undefined && trains(cx, value.id, encoder) ? encoder : undefined };
}

/** Whether two operands are of one space, or may be told to be; reports where not. */
export function spacesMeet(cx: BodyCx, name: string, a: { value: Tensor; span: Span }, b: { value: Tensor; span: Span }, at: Span): boolean {
  const left = resolveSpace(cx.env.spaces, a.value.type.space);
  const right = resolveSpace(cx.env.spaces, b.value.type.space);
  if (left.kind === "any" || right.kind === "any" || sameSpace(left, right)) return true;
  if (left.kind === "logits" || right.kind === "logits") return true;
  if (left.kind === "latent" && right.kind === "latent") {
    const [one, other] = [sourceOf(cx, left.of), sourceOf(cx, right.of)];
    if (one === other || (trains(cx, a.value.id, one) && trains(cx, b.value.id, other))) return true;
  }
  if (left.kind === "free") return bindSpace(cx.env.spaces, left.by, right, b.span);
  if (right.kind === "free") return bindSpace(cx.env.spaces, right.by, left, a.span);
  cx.diagnostics.add(report("JEP3013", at, { op: name, left: printSpace(left), right: printSpace(right) }, {
    related: [
      { span: a.span, message: `this is in ${printSpace(left)}${because(cx.env.spaces, a.value.type.space)}` },
      { span: b.span, message: `this is in ${printSpace(right)}${because(cx.env.spaces, b.value.type.space)}` },
    ],
  }));
  // The graph is whole all the same, and its other verdicts are worth telling.
  return true;
}

/**
 * The encoder whose coordinates a latent space is in: of an average that of its source, as it starts as its copy and stays
 * near; of a part that of the whole, whose other parts are trained to work in it.
 */
function sourceOf(cx: BodyCx, space: string): string {
  let [name = ""] = space.split(".");
  const seen = new Set<string>();
  for (let at = cx.env.instances.get(name); at?.instance.training.kind === "ema" && !seen.has(name); at = cx.env.instances.get(name)) {
    seen.add(name);
    name = at.instance.training.of;
  }
  return name;
}

/**
 * Whether a gradient at a value trains an encoder on the way to it. Two encoders that a loss trains on both of its sides are
 * the learned maps into one joint space (VICReg, table 5: untied branches); of one that does not learn here, the
 * coordinates are given, and the other side must be mapped to them.
 */
function trains(cx: BodyCx, id: number, encoder: string): boolean {
  if (cx.env.instances.get(encoder)?.instance.training.kind !== "optimized") return false;
  const seen = new Set([id]);
  for (const at of seen) {
    const node = cx.nodes[at];
    if (node === undefined || node.op === "stop_gradient") continue;
    if (node.op === "call" && rootOf(node.attrs.instance ?? "") === encoder) return true;
    for (const arg of node.args) seen.add(arg);
  }
  return false;
}

function because(table: SpaceTable, space: Space): string {
  return space.kind === "free" && table.has(space.by) ? `, because \`${space.by}\` was trained to predict it above` : "";
}

function bindSpace(table: SpaceTable, by: string, space: Space, span: Span): boolean {
  table.set(by, { space, span });
  return true;
}

/** Follows free spaces to what they were bound to; at most one visit each. */
function resolveSpace(table: SpaceTable, space: Space): Space {
  const seen = new Set<string>();
  let current = space;
  while (current.kind === "free" && !seen.has(current.by)) {
    seen.add(current.by);
    const next = table.get(current.by);
    if (next === undefined) return current;
    current = next.space;
  }
  return current;
}

/** Checks `loss … in <space>` against the operands of every loss below the node. */
export function checkDeclaredSpace(cx: BodyCx, node: number, declared: Space, at: Span): void {
  for (const leaf of lossLeaves(cx, node)) {
    // What is given its space by another operand says less than that one does.
    const isFree = (id: number): number => (cx.nodes[id]?.type.space.kind === "free" ? 1 : 0);
    const operands = cx.nodes[leaf]?.args ?? [];
    // Of two spaces neither can be declared for both: what is in the other one has to be mapped.
    const isOther = operands.some((id) => sameSpace(resolveSpace(cx.env.spaces, cx.nodes[id]?.type.space ?? anySpace), declared));
    for (const operand of operands.toSorted((a, b) => isFree(a) - isFree(b))) {
      const type = cx.nodes[operand]?.type;
      if (type === undefined) continue;
      const found = resolveSpace(cx.env.spaces, type.space);
      if (found.kind === "any" || found.kind === "logits" || sameSpace(found, declared)) continue;
      if (found.kind === "free") {
        bindSpace(cx.env.spaces, found.by, declared, at);
        continue;
      }
      const origin = cx.nodes[operand]?.origin ?? at;
      const fixes: Fix[] = [{ title: `declare it in ${printSpace(found)}`, guess: true, edits: [{ span: at, text: printSpace(found) }] }];
      cx.diagnostics.add(report("JEP3014", at, { declared: printSpace(declared), found: printSpace(found) },
        { related: [{ span: origin, message: `this operand is in ${printSpace(found)}` }], fixes: !isOther && (found.kind === "latent" || found.kind === "pixels") ? fixes : [],
          ...(isOther ? { help: `Pass this operand through a \`predictor\`, whose output is in the space that it is trained to predict, or leave \`in ${printSpace(declared)}\` out.` } : {}) }));
      return;
    }
  }
}

function lossLeaves(cx: BodyCx, node: number): number[] {
  const it = cx.nodes[node];
  if (it === undefined) return [];
  return it.op === "loss" ? [node] : it.args.flatMap((arg) => lossLeaves(cx, arg));
}

/** Splits an objective into weighted terms: sums, differences and constant factors are looked through. */
export function lossTerms(cx: BodyCx, node: number, weight: number, name: string | undefined, at: Span): LossTerm[] {
  const it = cx.nodes[node];
  if (it === undefined) return [];
  const [a, b] = it.args;
  switch (it.op) {
    case "add": return [a, b].flatMap((x) => (x === undefined ? [] : lossTerms(cx, x, weight, name, at)));
    case "sub": return [...(a === undefined ? [] : lossTerms(cx, a, weight, name, at)), ...(b === undefined ? [] : lossTerms(cx, b, -weight, name, at))];
    case "scale": {
      if (a === undefined) return [];
      const { schedule } = it.attrs;
      const terms = lossTerms(cx, a, schedule === undefined ? weight * (it.attrs.value ?? 1) : weight, name, at);
      if (schedule === undefined) return terms;
      if (terms.some((t) => t.weight.kind !== "constant")) misplacedCourse(cx, it, "the loss behind this factor has one already that changes over training", "Write one schedule for both.");
      return terms.map((t) => ({ ...t, weight: timesSchedule(t.weight, schedule) }));
    }
    case "shift": return a === undefined ? [] : lossTerms(cx, a, weight, name, at);
    case "neg": return a === undefined ? [] : lossTerms(cx, a, -weight, name, at);
    case "loss":
      refuseInside(cx, node);
      return [{ name: it.name ?? name ?? it.attrs.loss ?? "loss", node, kind: it.attrs.loss ?? "custom", weight: constantSchedule(weight), origin: it.origin }];
    default:
      refuseInside(cx, node);
      return [{ name: it.name ?? name ?? "loss", node, kind: "custom", weight: constantSchedule(weight), origin: at }];
  }
}

/** Factors that change over training weigh terms. Inside of one, what it would do to the others is not one weight, and no proof knows it. */
function refuseInside(cx: BodyCx, leaf: number): void {
  const seen = new Set([leaf]);
  for (const at of seen) {
    const node = cx.nodes[at];
    if (node === undefined) continue;
    if (node.op === "scale" && node.attrs.schedule !== undefined) misplacedCourse(cx, node, "a factor that changes over training stands inside of a term", "Put it before the whole term: `loss (0 -> 1) * mse(…)`.");
    for (const arg of node.args) seen.add(arg);
  }
}

function misplacedCourse(cx: BodyCx, { origin }: { readonly origin: Span }, why: string, help: string): void {
  cx.diagnostics.add(report("JEP2009", origin, { why }, { help }));
}

/** A weight that does not change, times a factor that does. */
function timesSchedule(weight: Schedule, factor: Schedule): Schedule {
  const by = weight.points[0] ?? 1;
  return { ...factor, points: factor.points.map((p) => p * by) };
}

/** Words that a space begins with. */
export const spaceWords: readonly string[] = ["pixels", "logits", "labels", "actions", "tokens", "latent"];

/** The space that an expression names: `pixels`, `latent(teacher)`, `logits`. */
export function readSpace(cx: BodyCx, expr: ast.Expr): Space | undefined {
  if (expr.kind === "hole") return undefined;
  if (expr.kind === "ref" && expr.name === "pixels") return { kind: "pixels" };
  if (expr.kind === "ref" && expr.name === "logits") return { kind: "logits" };
  if (expr.kind === "ref" && (expr.name === "labels" || expr.name === "actions")) return { kind: expr.name };
  if (expr.kind === "ref" && expr.name === "tokens") return anySpace;
  const latent = expr.kind === "call" && expr.callee.kind === "ref" && expr.callee.name === "latent" ? expr.args : [];
  const arg = latent[0]?.value;
  if (latent.length > 1) cx.diagnostics.add(report("JEP2006", expr.span, { callee: "latent", most: 1, found: latent.length }, { help: "A space is that of one encoder." }));
  if (arg?.kind === "ref") {
    const value = cx.scope.get(arg.name);
    // Its own line has a mistake, or could not be read: that has been told.
    if (value?.kind === "poison" || (value === undefined && (cx.env.lost.has(arg.name) || cx.env.unknown.has(arg.name)))) return undefined;
    if (value?.kind === "instance") return cx.env.instances.get(value.path)?.instance.role === "encoder" ? { kind: "latent", of: value.path } : { kind: "free", by: value.path };
    cx.diagnostics.add(report("JEP2001", arg.span, { name: arg.name }, didYouMean(arg.name, cx.env.instances.keys(), arg.span, "Name an encoder declared above.")));
    return undefined;
  }
  const word = expr.kind === "ref" ? expr : expr.kind === "call" && expr.callee.kind === "ref" ? expr.callee : undefined;
  cx.diagnostics.add(report("JEP2013", expr.span, {}, word === undefined || spaceWords.includes(word.name) ? {} : didYouMean(word.name, spaceWords, word.span)));
  return undefined;
}
