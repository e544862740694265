/**
 * Statements inside modules and loops: parts, parameters, bindings, `repeat`, results.
 *
 * Owns the order of evaluation in a body, the type patterns of formals (`x: Tokens[width]` binds `width`), and loops: a
 * `repeat` is one node whose body is a function of its own; names assigned in it that exist outside are carried from
 * iteration to iteration, other outer tensors are captured. Leaves model-level statements to `model.ts`.
 */
import { own } from "../base/own.js";
import type { Span } from "../base/span.js";
import { didYouMean } from "../messages/did-you-mean.js";
import { report } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import type { Func, NodeId } from "../model/ir.js";
import { constantDim, constantOf, equalShapes, symbolDim } from "../types/dim.js";
import type { ValueType } from "../types/value-type.js";
import { anySpace, noPositions, printPositions, samePositions } from "../types/value-type.js";
import { dimsOf, uniqueFuncName } from "./apply.js";
import type { BodyCx } from "./body.js";
import { createBody, declareParam, emit, emitInput, lookup, nameNode, register, uniquePart } from "./body.js";
import { evaluate, evaluateModule, isOfOutside, shapeText } from "./expr.js";
import { createTaken, placeOf } from "./given.js";
import { asCount, asNumber, bounds } from "./static.js";
import { describe, num, poison } from "./values.js";
import type { Partial, Value } from "./values.js";
import type { Initializer } from "../../runtime/abi.js";

type Tensor = Value & { kind: "tensor" };

const patternAxes: Readonly<Record<string, readonly string[]>> = {
  Tokens: ["batch", "token", "feature"],
  Vector: ["batch", "feature"],
  Image: ["batch", "height", "width", "channel"],
};

/** Types that a formal may name. */
export const typeNames = ["Tokens", "Vector", "Features", "Image", "Positions", "Tensor"] as const;

/** Checks an argument against `x: Tokens[width]` and binds the names of the pattern that are new. */
export function bindPattern(cx: BodyCx, pattern: ast.TypeExpr, type: ValueType | undefined, at: Span): boolean {
  const name = pattern.name.text;
  if (type === undefined || name === "Positions") {
    if ((type === undefined) === (name === "Positions")) return true;
    cx.diagnostics.add(report("JEP3003", at, { what: "this argument", expected: name === "Positions" ? "a mask" : name, found: type === undefined ? "a mask" : shapeText(type) }, { related: [{ span: pattern.span, message: `${name} is asked for here` }] }));
    return false;
  }
  const axes = own(patternAxes, name);
  const fits = axes === undefined ? name !== "Features" || type.axes.at(-1) === "feature" : axes.join() === type.axes.filter((a, j) => !(a === "time" && j === 1)).join();
  if (!fits || (axes === undefined && !typeNames.some((t) => t === name))) {
    cx.diagnostics.add(report("JEP3003", at, { what: "this argument", expected: printPattern(pattern), found: `${shapeText(type)} (${type.axes.join(", ")})` }, { related: [{ span: pattern.span, message: `${printPattern(pattern)} is asked for here` }] }));
    return false;
  }
  const sizes = name === "Image" ? type.shape.slice(-3) : type.shape.slice(-1);
  return pattern.args.every((arg, i) => {
    const size = sizes[i];
    return bindSize(cx, arg, size === undefined ? undefined : constantOf(size), at, pattern);
  });
}

function bindSize(cx: BodyCx, arg: ast.Expr, size: number | undefined, at: Span, pattern: ast.TypeExpr): boolean {
  if (size === undefined) return true;
  if (arg.kind === "ref" && !cx.scope.has(arg.name)) {
    cx.scope.set(arg.name, num(size));
    return true;
  }
  const wanted = evaluate(cx, arg);
  if (wanted.kind === "static" && wanted.value === size) return true;
  if (wanted.kind !== "poison") {
    cx.diagnostics.add(report("JEP3003", at, { what: "this argument", expected: `a width of ${describe(wanted).replace("the number ", "")}`, found: `a width of ${size}` }, { related: [{ span: pattern.span, message: "the width is fixed here" }] }));
  }
  return false;
}

function printPattern(pattern: ast.TypeExpr): string {
  return pattern.name.text;
}

/** Runs a module's statements; its results, or undefined after a reported mistake. */
export function runModuleBody(cx: BodyCx, partial: Partial, at: Span): readonly Tensor[] | undefined {
  const module = partial.module;
  for (const formal of module.config) {
    if (cx.scope.has(formal.name.text)) continue;
    if (formal.default === undefined) {
      cx.diagnostics.add(report("JEP2005", at, { callee: module.name.text, name: formal.name.text }));
      return undefined;
    }
    cx.scope.set(formal.name.text, evaluate(cx, formal.default));
  }
  const result = runStatements(cx, module.body);
  if (cx.attempt.needsPositions) return undefined;
  if (result === undefined) {
    if (!module.body.some((s) => s.kind === "result")) cx.diagnostics.add(report("JEP2016", module.name.span, { module: module.name.text }));
    return undefined;
  }
  const last = result.at(-1);
  if (module.result !== undefined && last !== undefined && result.length === 1 && !bindPattern(cx, module.result, last.type, module.result.span)) return undefined;
  return result;
}

/** Runs statements in order; the tensors of the last result statement, if it has one. */
function runStatements(cx: BodyCx, statements: readonly ast.Statement[]): readonly Tensor[] | undefined {
  let result: readonly Tensor[] | undefined;
  reserveNames(cx, statements);
  for (const statement of statements) {
    if (cx.attempt.needsPositions) return undefined;
    switch (statement.kind) {
      case "part": runPart(cx, statement); break;
      case "learn": runLearn(cx, statement); break;
      case "binding": runBinding(cx, statement); break;
      case "repeat": runRepeat(cx, statement); break;
      case "result": result = resultOf(cx, statement); break;
      case "param": cx.scope.set(statement.name.text, evaluate(cx, statement.value)); break;
      default: cx.diagnostics.add(report("JEP2009", statement.span, { why: `\`${statement.kind}\` belongs in a model, not in a module` }));
    }
  }
  return result;
}

/**
 * Keeps the names of parts and parameters, which parameters have their paths by, from modules that are applied without a
 * name, also from those in lines before; reports a second declaration, which would be the first one's parameters again.
 */
function reserveNames(cx: BodyCx, statements: readonly ast.Statement[]): void {
  const first = new Map<string, Span>();
  for (const statement of statements) {
    if (statement.kind !== "part" && statement.kind !== "learn") continue;
    const { text, span } = statement.name;
    const before = first.get(text);
    if (before !== undefined) cx.diagnostics.add(report("JEP2002", span, { name: text }, { related: [{ span: before, message: "declared first here" }] }));
    else first.set(text, span);
    cx.partNames.add(text);
  }
}

function resultOf(cx: BodyCx, statement: ast.Result): readonly Tensor[] | undefined {
  const value = evaluate(cx, statement.value);
  const items = value.kind === "list" ? value.items : [value];
  const tensors = items.flatMap((v) => (v.kind === "tensor" ? [v] : []));
  if (tensors.length === items.length && tensors.length > 0) return tensors;
  if (!items.some((v) => v.kind === "poison")) cx.diagnostics.add(report("JEP2010", statement.span, { what: "the result of a module", expected: "a tensor", found: describe(value) }));
  return undefined;
}

function closed(value: Value): Partial | undefined {
  if (value.kind === "partial") return value;
  return value.kind === "module" ? { kind: "partial", module: value.module, config: new Map() } : undefined;
}

function runPart(cx: BodyCx, statement: ast.Part): void {
  const name = statement.name.text;
  const list = statement.value.kind === "of" ? statement.value : undefined;
  const count = list === undefined ? undefined : asCount(evaluate(cx, list.count), "the number of parts", list.count.span, cx.diagnostics, 0, 4096);
  const value = evaluateModule(cx, list?.item ?? statement.value);
  const partial = closed(value);
  if (partial === undefined) {
    if (value.kind !== "poison") cx.diagnostics.add(report("JEP2010", statement.value.span, { what: `the part \`${name}\``, expected: "a module such as `linear(width)`", found: describe(value) }));
    cx.scope.set(name, poison);
  } else if (list === undefined) cx.scope.set(name, { kind: "instance", path: name, partial });
  else cx.scope.set(name, count === undefined ? poison : { kind: "instances", path: name, count, partial });
}

function runLearn(cx: BodyCx, statement: ast.Learn): void {
  const name = statement.name.text;
  const shape: number[] = [];
  for (const size of statement.shape) {
    const n = asCount(evaluate(cx, size), `a size of \`${name}\``, size.span, cx.diagnostics);
    if (n === undefined) {
      cx.scope.set(name, poison);
      return;
    }
    shape.push(n);
  }
  const init = readInit(cx, statement.init);
  const decl = init === undefined ? undefined : { path: name, shape, stack: [], init, role: statement.role, origin: statement.span } as const;
  if (decl === undefined || !declareParam(cx, decl, statement.span)) {
    cx.scope.set(name, poison);
    return;
  }
  const axes = shape.map(() => "feature" as const);
  cx.scope.set(name, emit(cx, "param", [], { path: name }, { shape: shape.map(constantDim), axes, positions: noPositions, space: anySpace, dtype: "f32", pending: undefined }, statement.span));
}

const inits: Readonly<Record<string, readonly string[]>> = {
  zeros: [], ones: [], constant: ["value"], normal: ["std"], trunc_normal: ["std", "cut"], uniform: ["low", "high"], xavier_uniform: [],
};

/** Words that a parameter may start as. */
export const initNames: readonly string[] = Object.keys(inits);

/** What a number of an initializer may be: float32 holds no more, and no normal lies within a cut of nought. */
const initRanges: Readonly<Record<string, readonly [low: number, high: number]>> = {
  value: [-1e30, 1e30], std: [0, 1e30], cut: [1e-30, 1e30], low: [-1e30, 1e30], high: [-1e30, 1e30],
};

/** `zeros`, `trunc_normal(std: 0.02)`, … */
function readInit(cx: BodyCx, expr: ast.Expr): Initializer | undefined {
  const name = expr.kind === "ref" ? expr.name : expr.kind === "call" && expr.callee.kind === "ref" ? expr.callee.name : undefined;
  const formals = name === undefined ? undefined : own(inits, name);
  if (name === undefined || formals === undefined) {
    if (expr.kind !== "hole") cx.diagnostics.add(report("JEP2017", expr.span, { known: initNames.map((n) => `\`${n}\``).join(", ") }, didYouMean(name ?? "", initNames, expr.kind === "call" ? expr.callee.span : expr.span)));
    return undefined;
  }
  const given = new Map<string, number>();
  const taken = createTaken(name, cx.diagnostics);
  for (const arg of expr.kind === "call" ? expr.args : []) {
    const key = arg.name?.text ?? formals.find((f) => !taken.has(f)) ?? "";
    const value = asNumber(evaluate(cx, arg.value), `\`${key}\``, arg.span, cx.diagnostics);
    if (value === undefined) return undefined;
    if (!formals.includes(key)) {
      cx.diagnostics.add(report("JEP2004", arg.name?.span ?? arg.span, { callee: name, name: key, known: formals.map((f) => `\`${f}\``).join(", ") || "no arguments" }));
      return undefined;
    }
    if (!taken.take(key, placeOf(arg))) return undefined;
    const [low = -Infinity, high = Infinity] = own(initRanges, key) ?? [];
    if (value < low || value > high) {
      cx.diagnostics.add(report("JEP2011", arg.span, { what: `\`${key}\` of \`${name}\``, bounds: bounds(low, high), found: value }));
      return undefined;
    }
    given.set(key, value);
  }
  const [low, high] = [given.get("low") ?? -1, given.get("high") ?? 1];
  if (name === "uniform" && low > high) {
    cx.diagnostics.add(report("JEP2011", expr.span, { what: "`low` of `uniform`", bounds: `at most \`high\`, which is ${high}`, found: low }));
    return undefined;
  }
  switch (name) {
    case "zeros": return { kind: "zeros" };
    case "ones": return { kind: "ones" };
    case "constant": return { kind: "constant", value: given.get("value") ?? 0 };
    case "normal": return { kind: "normal", std: given.get("std") ?? 0.02 };
    case "trunc_normal": return { kind: "trunc_normal", std: given.get("std") ?? 0.02, cut: given.get("cut") ?? 2 };
    case "uniform": return { kind: "uniform", low, high };
    default: return { kind: "xavier_uniform" };
  }
}

/** `z = …` and `a, b = …`: binds, and names the nodes for readers. */
export function runBinding(cx: BodyCx, statement: ast.Binding): void {
  const value = evaluate(cx, statement.value);
  const names = statement.names.map((n) => n.text);
  const items: readonly Value[] = names.length === 1 ? [value] : value.kind === "list" ? value.items : [];
  if (value.kind === "poison") {
    for (const name of names) cx.scope.set(name, poison);
    return;
  }
  if (items.length !== names.length) {
    cx.diagnostics.add(report("JEP2018", statement.span, { names: names.length, values: value.kind === "list" ? value.items.length : 1 }));
    for (const name of names) cx.scope.set(name, poison);
    return;
  }
  names.forEach((name, i) => {
    const item = items[i] ?? poison;
    if (item.kind === "tensor") nameNode(cx, item.id, name);
    cx.scope.set(name, item);
  });
}

function runRepeat(cx: BodyCx, statement: ast.Repeat): void {
  const target = repeatTarget(cx, statement);
  if (target === undefined) return;
  const assigned = [...new Set(assignedIn(statement.body))];
  const carried = assigned.flatMap((name) => {
    const outer = lookup(cx, name);
    return outer?.kind === "tensor" ? [{ name, outer }] : [];
  });
  if (carried.length === 0) {
    // What should be carried has a mistake of its own, which has been told.
    if (assigned.some((name) => lookup(cx, name)?.kind === "poison")) return;
    cx.diagnostics.add(report("JEP2019", statement.span, {}));
    return;
  }
  if (target.count === 0) return;
  const inner = createBody(cx.env, cx.diagnostics, "repeat", cx);
  for (const { name, outer } of carried) inner.scope.set(name, emitInput(inner, name, outer.type, statement.span));
  if (target.element !== undefined) inner.scope.set(target.element.name, { kind: "instance", path: "", partial: target.element.partial });
  runStatements(inner, statement.body);
  if (cx.attempt.needsPositions) return;
  const results = carried.map(({ name, outer }) => carriedResult(inner, name, outer, statement));
  if (results.some((r) => r === undefined)) return;
  finishRepeat(cx, inner, statement, target, carried, results.flatMap((r) => (r === undefined ? [] : [r.id])));
}

/** Names that statements give, those of loops among them. */
function assignedIn(statements: ast.Repeat["body"]): string[] {
  return statements.flatMap((s) => (s.kind === "binding" ? s.names.map((n) => n.text) : s.kind === "repeat" ? assignedIn(s.body) : []));
}

interface RepeatTarget {
  readonly count: number;
  readonly list: string;
  readonly element: { readonly name: string; readonly partial: Partial } | undefined;
}

function repeatTarget(cx: BodyCx, statement: ast.Repeat): RepeatTarget | undefined {
  if (statement.over !== undefined) {
    const { element, list } = statement.over;
    const value = lookup(cx, list.text);
    if (value !== undefined && isOfOutside(cx, list.text, value, list.span)) return undefined;
    if (value?.kind === "instances") return { count: value.count, list: value.path, element: { name: element.text, partial: value.partial } };
    if (value?.kind !== "poison") {
      cx.diagnostics.add(report("JEP2010", list.span, { what: `\`${list.text}\``, expected: "a list of parts such as `part blocks = depth of block(heads)`", found: value === undefined ? "an unknown name" : describe(value) }));
    }
    return undefined;
  }
  if (statement.count === undefined || statement.count.kind === "hole") return undefined;
  const value = evaluate(cx, statement.count);
  if (value.kind !== "static" && value.kind !== "poison") {
    cx.diagnostics.add(report("JEP2020", statement.count.span, { found: describe(value) }));
    return undefined;
  }
  const count = asCount(value, "the count of `repeat`", statement.count.span, cx.diagnostics, 0, 4096);
  return count === undefined ? undefined : { count, list: uniquePart(cx, "layers"), element: undefined };
}

function carriedResult(inner: BodyCx, name: string, outer: Tensor, statement: ast.Repeat): Tensor | undefined {
  const value = inner.scope.get(name);
  if (value === undefined || value.kind !== "tensor") return undefined;
  if (equalShapes(value.type.shape, outer.type.shape) && samePositions(value.type.positions, outer.type.positions)) return value;
  inner.diagnostics.add(report("JEP3015", statement.span, {
    name, before: `${shapeText(outer.type)} at ${printPositions(outer.type.positions)}`, after: `${shapeText(value.type)} at ${printPositions(value.type.positions)}`,
  }));
  return undefined;
}

function finishRepeat(cx: BodyCx, inner: BodyCx, statement: ast.Repeat, target: RepeatTarget, carried: readonly { name: string; outer: Tensor }[], results: readonly NodeId[]): void {
  const dims = dimsOf(inner);
  const wanted = target.element?.partial.module.name.text ?? "body";
  const func: Func = {
    name: uniqueFuncName(cx.env, `each_${wanted}`), module: "repeat", doc: statement.doc, config: {}, params: [...inner.params.values()],
    masks: [...inner.masks].sort(), dims, body: { inputs: inner.inputs, nodes: inner.nodes, results }, origin: statement.span,
  };
  cx.env.funcs.set(`repeat|${func.name}`, func);
  for (const p of func.params) register(cx.params, { ...p, path: `${target.list}.*.${p.path}`, stack: [target.count, ...p.stack] }, statement.span, cx.diagnostics);
  for (const mask of inner.masks) cx.masks.add(mask);
  const captured = [...inner.captured.entries()].map(([outer]) => outer);
  const args = [...carried.map((c) => c.outer.id), ...captured];
  const first = carried[0];
  if (first === undefined) return;
  const attrs = { func: func.name, count: target.count, list: target.list, carries: carried.length, dims: Object.fromEntries(dims.map((d) => [d, symbolDim(d)])) };
  const node = emit(cx, "repeat", args, attrs, first.outer.type, statement.span);
  carried.forEach(({ name, outer }, index) => {
    cx.scope.set(name, index === 0 ? node : emit(cx, "result", [node.id], { index }, outer.type, statement.span));
  });
}
