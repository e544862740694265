/**
 * Checking the IR.
 *
 * Owns every rule of `docs/ir/tensor-ir.md`: ids, order, types by the shape rules, calls only to earlier functions, known
 * dimensions, unique paths. Runs after every pass. A problem names function and node; it is a bug of the stage that ran
 * last, never a user's mistake. The function reports all it finds and throws nothing.
 */
import { symbolsOf } from "../types/dim.js";
import type { Func, Module, Node, TensorType, ValueId } from "./ir.js";
import { IrError, equalTypes, isNode } from "./ir.js";
import { inferNode, printType } from "./shapes.js";
import { calleesOf, dimsOfNode, symbolsOfType } from "./visit.js";

/** One broken rule. */
export interface Problem {
  readonly func: string;
  /** Index in `func.nodes`, where the problem is at a node. */
  readonly node?: number;
  readonly message: string;
}

/** All problems of a module; empty where it is well-formed. */
export function verify(module: Module, verified?: WeakMap<Func, readonly Func[]>): Problem[] {
  const known = new Map<string, Func>();
  return [...module.funcs].flatMap(([name, func]) => {
    const callees = verified?.get(func);
    const isKnown = callees !== undefined && callees.every((c) => known.get(c.name) === c);
    const problems = isKnown ? [] : verifyFunc(func, known);
    if (!isKnown && problems.length === 0) verified?.set(func, calleesOf(func, known));
    if (name !== func.name) problems.unshift({ func: func.name, message: `it is filed under \`${name}\`` });
    known.set(name, func);
    return problems;
  });
}

/** One line of text for a problem. */
export function printProblem(problem: Problem): string {
  const where = problem.node === undefined ? "" : `, node ${problem.node}`;
  return `function \`${problem.func}\`${where}: ${problem.message}`;
}

/**
 * @throws IrError naming every problem, where there is one. `after` says which stage is to blame; `verified` remembers
 * functions that verify with the functions they call, so that only what changed is looked at again.
 */
export function assertVerified(module: Module, after: string, verified?: WeakMap<Func, readonly Func[]>): void {
  const problems = verify(module, verified);
  if (problems.length === 0) return;
  throw new IrError(`The IR is broken after ${after}:\n${problems.map((p) => `  ${printProblem(p)}`).join("\n")}`);
}

function verifyFunc(func: Func, known: ReadonlyMap<string, Func>): Problem[] {
  const problems: Problem[] = [];
  const report = (message: string, node?: number): void => {
    problems.push(node === undefined ? { func: func.name, message } : { func: func.name, node, message });
  };
  checkValues(func, report);
  const made = new Set<ValueId>();
  for (const input of func.inputs) {
    if (made.has(input.value)) report(`input \`${input.path}\` shares a value with another input`);
    made.add(input.value);
  }
  func.nodes.forEach((node, i) => checkNode(func, known, node, made, (message) => report(message, i)));
  for (const value of func.values) if (!made.has(value.id)) report(`%${value.id} is made by no input and no node`);
  for (const o of func.outputs) if (!made.has(o.value)) report(`output \`${o.path}\` is %${o.value}, which does not exist`);
  checkUnique(func.inputs.map((i) => i.path), "input path", report);
  checkUnique(func.outputs.map((o) => `${o.role} ${o.path}`), "output", report);
  return problems;
}

type Report = (message: string, node?: number) => void;

function checkValues(func: Func, report: Report): void {
  func.values.forEach((value, i) => {
    if (value.id !== i) report(`value ${i} has the id ${value.id}`);
    checkSymbols(func, symbolsOfType(value.type), `the type of %${i}`, report);
  });
}

function checkSymbols(func: Func, symbols: readonly string[], what: string, report: Report): void {
  for (const s of new Set(symbols)) if (!func.dims.includes(s)) report(`${what} mentions the unknown dimension \`${s}\``);
}

function checkNode(func: Func, known: ReadonlyMap<string, Func>, node: Node, made: Set<ValueId>, report: (message: string) => void): void {
  const late = node.args.filter((a) => !made.has(a));
  for (const a of late) report(`\`${node.op}\` uses %${a} before it is made`);
  const oldest = Math.min(...node.results);
  if (node.args.some((a) => a >= oldest)) report(`\`${node.op}\` has an operand that is not older than its results`);
  for (const r of node.results) {
    if (made.has(r)) report(`%${r} is made twice`);
    made.add(r);
  }
  if (!isNode(node)) return report(`the attributes of an op do not fit its row`);
  checkSymbols(func, dimsOfNode(node).flatMap(symbolsOf), `\`${node.op}\``, report);
  if (late.length === 0) checkTypes(func, known, node, report);
}

function checkTypes(func: Func, known: ReadonlyMap<string, Func>, node: Node, report: (message: string) => void): void {
  const lookup = (name: string): Func => {
    const callee = known.get(name);
    if (callee === undefined) throw new IrError(`there is no function \`${name}\` before this one`);
    return callee;
  };
  const inferred = inferNode(lookup, node, typesOf(func, node.args));
  if (inferred.kind === "problem") return report(`\`${node.op}\`: ${inferred.problem}`);
  const actual = typesOf(func, node.results);
  if (actual.length !== inferred.types.length) return report(`\`${node.op}\` makes ${inferred.types.length} values, not ${actual.length}`);
  inferred.types.forEach((type, i) => {
    const own = actual[i];
    if (own !== undefined && !equalTypes(own, type)) report(`\`${node.op}\` makes ${printType(type)}, but %${node.results[i]} says ${printType(own)}`);
  });
}

function typesOf(func: Func, ids: readonly ValueId[]): TensorType[] {
  return ids.flatMap((id) => func.values[id]?.type ?? []);
}

function checkUnique(names: readonly string[], what: string, report: Report): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) report(`${what} \`${name}\` occurs twice`);
    seen.add(name);
  }
}
