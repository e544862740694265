/**
 * Checking the model graph.
 *
 * Owns the rules that every analysis and the lowering rely on: ids are positions, operands are older than users, each op
 * has its attributes and no others, types follow from operands (`rules.ts`), functions exist before they are used and
 * instances exist, parameters are declared once. A problem is a bug of the stage that made the graph, never a user's
 * mistake; all of them are reported and nothing is thrown. Leaves meaning (spaces, collapse, leaks) to the analyses.
 */
import type { Dim } from "../types/dim.js";
import { equalShapes, printShape, symbolsOf } from "../types/dim.js";
import type { ValueType } from "../types/value-type.js";
import { printPositions, samePositions } from "../types/value-type.js";
import type { Body, Func, Instance, Mask, ModelGraph, Node, NodeOf, ParamDecl } from "./ir.js";
import { missingAttrs } from "./node.js";
import { opTable } from "./ops.js";
import type { RuleContext } from "./rules.js";
import { callType, inferType } from "./rules.js";
import { isCall, joinPath, paramPrefix, producer, rootOf } from "./visit.js";

/** One broken rule. */
export interface Problem {
  /** The function; undefined for the model itself. */
  readonly func: string | undefined;
  readonly node: number | undefined;
  readonly message: string;
}

type Report = (message: string, node?: number) => void;

interface Cx extends RuleContext {
  readonly graph: ModelGraph;
  readonly instances: ReadonlyMap<string, Instance>;
  readonly masks: ReadonlyMap<string, Mask>;
  /** Parameters by path, per list of them: many calls ask the same list. */
  readonly tables: Map<readonly ParamDecl[], ReadonlyMap<string, ParamDecl>>;
}

/** All problems of a graph; empty where it is well-formed. */
export function verify(graph: ModelGraph): Problem[] {
  const problems: Problem[] = [];
  const known = new Map<string, Func>();
  const masks = new Map(graph.masks.map((m) => [m.name, m]));
  const instances = new Map(graph.instances.map((i) => [i.name, i]));
  const cx: Cx = { graph, masks, instances, tables: new Map(), func: (name) => known.get(name), mask: (name) => masks.get(name) };
  for (const func of graph.funcs) {
    const report: Report = (message, node) => problems.push({ func: func.name, node, message });
    if (known.has(func.name)) report("another function has its name");
    checkFunc(cx, func, report);
    known.set(func.name, func);
  }
  const report: Report = (message, node) => problems.push({ func: undefined, node, message });
  checkBody(cx, graph.body, undefined, report);
  checkModel(cx, report);
  return problems;
}

/** One line of text for a problem. */
export function printProblem(problem: Problem): string {
  const where = problem.func === undefined ? "the model" : `function \`${problem.func}\``;
  return `${where}${problem.node === undefined ? "" : `, node ${problem.node}`}: ${problem.message}`;
}

function checkFunc(cx: Cx, func: Func, report: Report): void {
  checkParams(func.params, report);
  checkUnique(func.dims, "dimension", report);
  for (const mask of func.masks) if (!cx.masks.has(mask)) report(`it reads the unknown mask \`${mask}\``);
  checkBody(cx, func.body, func, report);
  if (func.body.results.length === 0) report("it has no result");
}

function checkBody(cx: Cx, body: Body, func: Func | undefined, report: Report): void {
  body.nodes.forEach((node, i) => {
    if (node.id !== i) report(`it has the id ${node.id}`, i);
    checkNode(cx, body, func, node, i, (message) => report(message, i));
  });
  const sources = body.nodes.filter((n) => n.op === "input").map((n) => n.id);
  checkUnique(body.inputs.map(String), "input node", report);
  if (body.inputs.length !== sources.length || !body.inputs.every((id) => sources.includes(id))) report("its inputs are not its input nodes");
  for (const id of body.results) if (body.nodes[id] === undefined) report(`its result %${id} does not exist`);
}

function checkNode(cx: Cx, body: Body, func: Func | undefined, node: Node, at: number, report: (message: string) => void): void {
  const row = opTable[node.op];
  const [least, most] = row.args;
  if (node.args.length < least || node.args.length > most) report(`\`${node.op}\` has ${node.args.length} operands`);
  checkAttrs(node, report);
  const late = node.args.filter((a) => !(Number.isInteger(a) && a >= 0 && a < at));
  for (const a of late) report(`\`${node.op}\` uses %${a}, which is not older`);
  if (node.type.shape.length !== node.type.axes.length) report(`its type has ${node.type.shape.length} sizes for ${node.type.axes.length} axes`);
  if (func !== undefined) checkSymbols(func, node, report);
  checkNames(cx, func, node, report);
  if (late.length === 0) checkType(cx, body, node, report);
}

function checkAttrs(node: Node, report: (message: string) => void): void {
  const row = opTable[node.op];
  const present = Object.entries(node.attrs).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  const allowed: readonly string[] = [...row.required, ...row.optional];
  for (const name of missingAttrs(node)) report(`\`${node.op}\` lacks \`${name}\``);
  for (const name of present) if (!allowed.includes(name)) report(`\`${node.op}\` does not take \`${name}\``);
}

function checkSymbols(func: Func, node: Node, report: (message: string) => void): void {
  const own: readonly Dim[] = [...node.type.shape, ...Object.values(node.attrs.dims ?? {})];
  for (const symbol of new Set(own.flatMap(symbolsOf))) {
    if (!func.dims.includes(symbol)) report(`it mentions the unknown dimension \`${symbol}\``);
  }
}

function checkNames(cx: Cx, func: Func | undefined, node: Node, report: (message: string) => void): void {
  const { mask } = node.attrs;
  if (mask !== undefined && !cx.masks.has(mask)) report(`it reads the unknown mask \`${mask}\``);
  // A run of tokens is picked by where it begins, without the rows of its mask.
  if (mask !== undefined && func !== undefined && node.type.pending === undefined && node.attrs.select === undefined && !func.masks.includes(mask)) report(`\`${func.name}\` does not say that it reads \`${mask}\``);
  if (node.op === "param") checkParamNode(cx, func, node, report);
  if (!isCall(node)) return;
  const callee = cx.func(node.attrs.func);
  if (callee === undefined) return;
  const prefix = paramPrefix(node);
  if (func === undefined && node.op === "call" && !cx.instances.has(rootOf(prefix))) report(`the instance \`${rootOf(prefix)}\` does not exist`);
  checkOwned(cx, func, prefix, callee, report);
  for (const m of callee.masks) if (func !== undefined && !func.masks.includes(m)) report(`\`${callee.name}\` reads \`${m}\`, which \`${func.name}\` does not say`);
  for (const d of callee.dims) if (node.attrs.dims[d] === undefined) report(`the dimension \`${d}\` of \`${callee.name}\` is not given`);
}

function checkParamNode(cx: Cx, func: Func | undefined, node: NodeOf<"param">, report: (message: string) => void): void {
  const { path } = node.attrs;
  const decl = ownedParams(cx, func, path).get(func === undefined ? path.slice(rootOf(path).length + 1) : path);
  if (decl === undefined) report(`the parameter \`${path}\` is not declared`);
  else if (printShape(node.type.shape) !== `[${decl.shape.join(", ")}]`) report(`\`${path}\` is declared as [${decl.shape.join(", ")}]`);
}

/** Every parameter of the callee must be one of the caller, under the call's prefix. */
function checkOwned(cx: Cx, func: Func | undefined, prefix: string, callee: Func, report: (message: string) => void): void {
  const owned = ownedParams(cx, func, prefix);
  const inner = func === undefined ? prefix.slice(rootOf(prefix).length + 1) : prefix;
  for (const p of callee.params) {
    const path = joinPath(inner, p.path);
    const found = owned.get(path);
    if (found === undefined) report(`the parameter \`${path}\` of \`${callee.name}\` is not declared by ${func === undefined ? `\`${rootOf(prefix)}\`` : `\`${func.name}\``}`);
    else if (found.shape.join() !== p.shape.join()) report(`the parameter \`${path}\` is [${found.shape.join(", ")}] here and [${p.shape.join(", ")}] in \`${callee.name}\``);
  }
}

function ownedParams(cx: Cx, func: Func | undefined, path: string): ReadonlyMap<string, ParamDecl> {
  const list = func === undefined ? (cx.instances.get(rootOf(path))?.params ?? []) : func.params;
  const known = cx.tables.get(list);
  if (known !== undefined) return known;
  const table = new Map(list.map((p) => [p.path, p]));
  cx.tables.set(list, table);
  return table;
}

function checkType(cx: Cx, body: Body, node: Node, report: (message: string) => void): void {
  const typesOf = (ids: readonly number[]): ValueType[] => ids.flatMap((id) => body.nodes[id]?.type ?? []);
  const from = producer(body, node);
  if (node.op === "result" && !isCall(from.node)) return report("it picks a result of something that is not a call");
  const inferred = from.node.op === "call" || from.node.op === "repeat"
    ? callType(cx, typesOf(from.node.args), from.node.attrs, from.index)
    : inferType(cx, node.op, typesOf(node.args), node.attrs);
  if (inferred.kind === "declared") return;
  if (inferred.kind === "problem") return report(`\`${node.op}\`: ${inferred.message}`);
  const { type } = inferred;
  if (!equalShapes(type.shape, node.type.shape)) report(`\`${node.op}\` makes ${printShape(type.shape)}, but its type says ${printShape(node.type.shape)}`);
  else if (type.axes.join() !== node.type.axes.join()) report(`\`${node.op}\` makes the axes ${type.axes.join(", ")}, but its type says ${node.type.axes.join(", ")}`);
  else if (!samePositions(type.positions, node.type.positions)) report(`\`${node.op}\` is at ${printPositions(type.positions)}, but its type says ${printPositions(node.type.positions)}`);
  else if (type.dtype !== node.type.dtype) report(`\`${node.op}\` makes ${type.dtype}, but its type says ${node.type.dtype}`);
}

function checkModel(cx: Cx, report: Report): void {
  const { graph } = cx;
  checkUnique([...graph.inputs, ...graph.views].map((x) => x.name), "input or view", report);
  checkUnique(graph.masks.map((m) => m.name), "mask", report);
  checkUnique(graph.instances.map((i) => i.name), "instance", report);
  checkUnique(graph.losses.map((l) => l.name), "loss", report);
  const sources = new Set([...graph.inputs, ...graph.views].map((x) => x.name));
  for (const id of graph.body.inputs) {
    const path = graph.body.nodes[id]?.attrs.path ?? "";
    const isImage = graph.body.nodes[id]?.type.axes.includes("height") === true;
    if (isImage && !sources.has(path)) report(`the input \`${path}\` is not declared`, id);
  }
  for (const view of graph.views) if (!graph.inputs.some((i) => i.name === view.input)) report(`the view \`${view.name}\` is of the unknown input \`${view.input}\``);
  for (const mask of graph.masks) for (const other of mask.minus) if (!cx.masks.has(other)) report(`the mask \`${mask.name}\` removes the unknown \`${other}\``);
  for (const instance of graph.instances) checkInstance(cx, instance, report);
  for (const loss of graph.losses) {
    const node = graph.body.nodes[loss.node];
    if (node === undefined) report(`the loss \`${loss.name}\` is %${loss.node}, which does not exist`);
    else if (node.type.shape.length > 0) report(`the loss \`${loss.name}\` is not a scalar`, loss.node);
  }
}

function checkInstance(cx: Cx, instance: Instance, report: Report): void {
  checkParams(instance.params, (message) => report(`\`${instance.name}\`: ${message}`));
  const seen = new Set([instance.name]);
  for (let at = instance; at.training.kind === "ema";) {
    const next = cx.instances.get(at.training.of);
    if (next === undefined) return report(`\`${at.name}\` follows the unknown instance \`${at.training.of}\``);
    if (seen.has(next.name)) return report(`\`${instance.name}\` follows itself`);
    seen.add(next.name);
    at = next;
  }
}

function checkParams(params: readonly ParamDecl[], report: Report): void {
  checkUnique(params.map((p) => p.path), "parameter", report);
  for (const p of params) {
    if (![...p.shape, ...p.stack].every((n) => Number.isSafeInteger(n) && n >= 0)) report(`the parameter \`${p.path}\` has the shape [${p.shape.join(", ")}]`);
    const stars = p.path.split(".").filter((s) => s === "*").length;
    if (stars !== p.stack.length) report(`the parameter \`${p.path}\` stands in ${stars} lists and has ${p.stack.length} counts`);
  }
}

function checkUnique(names: readonly string[], what: string, report: Report): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) report(`the ${what} \`${name}\` occurs twice`);
    seen.add(name);
  }
}
