/**
 * The meaning of expressions: AST in, `Value` out, nodes emitted on the way.
 *
 * Owns name lookup, arithmetic on statics and tensors, `at`, member access and the dispatch of calls. Leaves built-ins to
 * `builtins.ts` and the application of modules to `apply.ts`. After a reported mistake the value is poison, and poison is
 * accepted everywhere silently, so one mistake gives one message.
 */
import type { Span } from "../base/span.js";
import { insteadOf } from "../messages/elsewhere.js";
import { otherWord } from "../messages/other-words.js";
import { report } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import type { Dim } from "../types/dim.js";
import { constantOf, equal, divide, printDim } from "../types/dim.js";
import type { Axis, Positions, ValueType } from "../types/value-type.js";
import { isPairwise, printPositions, samePositions } from "../types/value-type.js";
import { mixedRows } from "../model/rules.js";
import type { BodyCx } from "./body.js";
import { emit, lookup, visibleNames } from "./body.js";
import { callBuiltin, builtinNames, isBuiltin } from "./builtins.js";
import { applyInstance, configure, applyAnonymous, memberInstance } from "./apply.js";
import { addTable, placeAt } from "./positions.js";
import { asSchedule, foldBinary } from "./static.js";
import { unknownName } from "./unknown.js";
import { describe, num, poison } from "./values.js";
import type { Value } from "./values.js";

/** An evaluated call argument. */
export interface ArgValue {
  readonly name: string | undefined;
  /** Where the name stands, for a fix of its spelling. */
  readonly nameSpan?: Span;
  readonly value: Value;
  readonly span: Span;
  /** The identifier, when the argument is a bare one: `vit(patch, width)` binds by name. */
  readonly bare: string | undefined;
}

/** Evaluates an expression in a body. */
export function evaluate(cx: BodyCx, expr: ast.Expr): Value {
  switch (expr.kind) {
    case "number": return num(expr.value);
    case "string": return { kind: "static", value: expr.value };
    case "bool": return { kind: "static", value: expr.value };
    case "hole": return poison;
    case "ref": return evaluateRef(cx, expr);
    case "negate": return evaluateNegate(cx, expr);
    case "binary": return evaluateBinary(cx, expr);
    case "call": return evaluateCall(cx, expr);
    case "member": return evaluateMember(cx, expr);
    case "at": return evaluateAt(cx, expr);
    case "range": return evaluateRange(cx, expr);
    case "arrow": return evaluateArrow(cx, expr);
    case "list": return { kind: "list", items: expr.items.map((item) => evaluate(cx, item)) };
    case "unit": return evaluateUnit(cx, expr);
    case "of": return evaluateOf(cx, expr);
    case "minus": return misplaced(cx, expr.span, "`minus` belongs in a mask");
  }
}

/** The same where a module may stand: its name may be one that a file brings which could not be had, and that has been told. */
export function evaluateModule(cx: BodyCx, expr: ast.Expr): Value {
  const isKnown = expr.kind !== "ref" || lookup(cx, expr.name) !== undefined || cx.env.modules.has(expr.name) || isBuiltin(expr.name);
  return cx.env.lacking && !isKnown ? poison : evaluate(cx, expr);
}

function misplaced(cx: BodyCx, span: Span, why: string, help?: string): Value {
  cx.diagnostics.add(report("JEP2009", span, { why }, help === undefined ? {} : { help }));
  return poison;
}

function evaluateRef(cx: BodyCx, expr: ast.Ref): Value {
  const value = lookup(cx, expr.name);
  if (value !== undefined) return isOfOutside(cx, expr.name, value, expr.span) ? poison : value;
  const module = cx.env.modules.get(expr.name);
  if (module !== undefined) return { kind: "module", module };
  if (isBuiltin(expr.name)) return { kind: "builtin", name: expr.name };
  // A line that could not be read, which has been told, may have declared it.
  if (cx.env.lost.has(expr.name)) return poison;
  // Reported once; checking goes on with the name that was most likely meant, so that one run finds the other mistakes.
  const meant = unknownName(cx, expr.name, expr.span, () => [...visibleNames(cx), ...cx.env.modules.keys(), ...builtinNames()]);
  if (meant !== undefined) cx.env.guesses.count++;
  return meant === undefined ? poison : lookup(cx, meant) ?? poison;
}

/**
 * Whether a name in a loop is that of a part outside of it, which is told: parameters of a loop are lists, one for each round,
 * so that what looks like one part would be as many.
 */
export function isOfOutside(cx: BodyCx, name: string, value: Value, at: Span): boolean {
  if (cx.kind !== "repeat" || cx.scope.has(name) || (value.kind !== "instance" && value.kind !== "instances")) return false;
  cx.diagnostics.add(report("JEP2035", at, { name }));
  return true;
}

function evaluateNegate(cx: BodyCx, expr: ast.Negate): Value {
  const value = evaluate(cx, expr.operand);
  if (value.kind === "static" && typeof value.value === "number") return num(-value.value);
  if (value.kind === "tensor") return emit(cx, "neg", [value.id], {}, value.type, expr.span);
  if (value.kind !== "poison") misplaced(cx, expr.span, `${describe(value)} has no negative`);
  return poison;
}

function evaluateBinary(cx: BodyCx, expr: ast.Binary): Value {
  const left = evaluate(cx, expr.left);
  const right = evaluate(cx, expr.right);
  if (left.kind === "poison" || right.kind === "poison") return poison;
  return combine(cx, expr.op, left, right, expr);
}

function combine(cx: BodyCx, op: ast.Binary["op"], left: Value, right: Value, expr: ast.Binary): Value {
  const a = left.kind === "static" && typeof left.value === "number" ? left.value : undefined;
  const b = right.kind === "static" && typeof right.value === "number" ? right.value : undefined;
  if (a !== undefined && b !== undefined) {
    const folded = foldBinary(op, a, b);
    if (folded === undefined) return misplaced(cx, expr.span, `${a} ${op} ${b} is not a finite number`);
    return num(folded);
  }
  if (op === "+" && left.kind === "tensor" && right.kind === "table") return addTable(cx, left, right, expr.span);
  if (op === "+" && left.kind === "table" && right.kind === "tensor") return addTable(cx, right, left, expr.span);
  if (left.kind === "tensor" && b !== undefined) return tensorWithNumber(cx, op, left, b, expr.span);
  if (right.kind === "tensor" && a !== undefined) return numberWithTensor(cx, op, a, right, expr.span);
  if (left.kind === "tensor" && right.kind === "tensor") return tensors(cx, op, left, right, expr);
  const course = op === "*" ? timesCourse(cx, left, right, expr) ?? timesCourse(cx, right, left, expr) : undefined;
  if (course !== undefined) return course;
  const odd = left.kind === "tensor" || a !== undefined ? right : left;
  return misplaced(cx, expr.span, `\`${op}\` does not take ${describe(odd)}`);
}

/** `cosine(0 -> 1) * loss`: a factor that changes over training, on a scalar; `25 * (0 -> 1)` is one as well. */
function timesCourse(cx: BodyCx, factor: Value, x: Value, expr: ast.Binary): Value | undefined {
  if (factor.kind !== "schedule" && factor.kind !== "arrow") return undefined;
  if (x.kind === "static" && typeof x.value === "number") {
    const [by, course] = [x.value, asSchedule(factor, "the factor", expr.span, cx.diagnostics)];
    return course === undefined ? poison : { kind: "schedule", schedule: { ...course, points: course.points.map((p) => p * by) } };
  }
  if (x.kind !== "tensor" || x.type.shape.length > 0) return undefined;
  if (cx.kind !== "model") return misplaced(cx, expr.span, "a factor that changes over training belongs to a loss of the model, not into a module");
  const schedule = asSchedule(factor, "the factor", expr.span, cx.diagnostics);
  return schedule === undefined ? poison : emit(cx, "scale", [x.id], { value: schedule.points[0] ?? 1, schedule }, x.type, expr.span);
}

function tensorWithNumber(cx: BodyCx, op: ast.Binary["op"], x: Value & { kind: "tensor" }, c: number, at: Span): Value {
  switch (op) {
    case "+": return emit(cx, "shift", [x.id], { value: c }, x.type, at);
    case "-": return emit(cx, "shift", [x.id], { value: -c }, x.type, at);
    case "*": return emit(cx, "scale", [x.id], { value: c }, x.type, at);
    case "/": return c === 0 ? misplaced(cx, at, "this divides by zero") : emit(cx, "scale", [x.id], { value: 1 / c }, x.type, at);
    case "^": return c === 2 ? emit(cx, "square", [x.id], {}, x.type, at) : c === 0.5 ? emit(cx, "sqrt", [x.id], {}, x.type, at) : misplaced(cx, at, "only the powers 2 and 0.5 of a tensor are part of the language");
    case "@": return misplaced(cx, at, "`@` multiplies two matrices");
  }
}

function numberWithTensor(cx: BodyCx, op: ast.Binary["op"], c: number, x: Value & { kind: "tensor" }, at: Span): Value {
  if (op === "+" || op === "*") return tensorWithNumber(cx, op, x, c, at);
  if (op === "-") {
    const negative = emit(cx, "neg", [x.id], {}, x.type, at);
    return emit(cx, "shift", [negative.id], { value: c }, x.type, at);
  }
  return misplaced(cx, at, `a number ${op} a tensor is not part of the language`);
}

function tensors(cx: BodyCx, op: ast.Binary["op"], a: Value & { kind: "tensor" }, b: Value & { kind: "tensor" }, expr: ast.Binary): Value {
  if (op === "@") return matmul(cx, a, b, expr);
  if (op === "^") return misplaced(cx, expr.span, "the exponent must be a number");
  const type = broadcastTypes(cx, a.type, b.type, expr);
  if (type === undefined) return poison;
  const names = { "+": "add", "-": "sub", "*": "mul", "/": "div" } as const;
  return emit(cx, names[op], [a.id, b.id], {}, type, expr.span);
}

function matmul(cx: BodyCx, a: Value & { kind: "tensor" }, b: Value & { kind: "tensor" }, expr: ast.Binary): Value {
  const inner = a.type.shape.at(-1);
  if (inner === undefined || b.type.shape.length !== 2 || b.type.shape[0] === undefined || !equal(inner, b.type.shape[0])) {
    cx.diagnostics.add(report("JEP3001", expr.span, { op: "@", left: shapeText(a.type), right: shapeText(b.type) }));
    return poison;
  }
  const out = b.type.shape[1];
  if (out === undefined) return poison;
  return emit(cx, "matmul", [a.id, b.id], {}, { ...a.type, shape: [...a.type.shape.slice(0, -1), out], ...mixedRows(a.type, b.type) }, expr.span);
}

/** `[B, 64, 128]` */
export function shapeText(type: ValueType): string {
  return `[${type.shape.map(printDim).join(", ")}]`;
}

function broadcastTypes(cx: BodyCx, a: ValueType, b: ValueType, expr: ast.Binary): ValueType | undefined {
  // Positions first: that two values show different places says more than that there are not as many of them.
  const positions = mergePositions(cx, a, b, expr);
  if (positions === undefined) return undefined;
  const long = a.shape.length >= b.shape.length ? a : b;
  const short = long === a ? b : a;
  if (isPairwise(long) && long.axes[0] === "batch" && short.axes.join() === "batch") {
    // Whether it is meant for rows or for columns cannot be told, and both fit.
    cx.diagnostics.add(report("JEP3001", expr.span, { op: expr.op, left: shapeText(a), right: shapeText(b) }, { help: "A number for each image could stand for a row of the matrix or for a column: say it for pairs, or reduce the matrix first." }));
    return undefined;
  }
  const offset = long.shape.length - short.shape.length;
  const shape: Dim[] = [];
  for (let i = 0; i < long.shape.length; i++) {
    const x = long.shape[i];
    const y = i >= offset ? short.shape[i - offset] : undefined;
    if (x === undefined) continue;
    if (y === undefined || equal(x, y) || constantOf(y) === 1) shape.push(x);
    else if (constantOf(x) === 1) shape.push(y);
    else {
      cx.diagnostics.add(report("JEP3001", expr.span, { op: expr.op, left: shapeText(a), right: shapeText(b) }, {
        related: [{ span: expr.left.span, message: `this is ${shapeText(a)} ${axesText(a)}` }, { span: expr.right.span, message: `this is ${shapeText(b)} ${axesText(b)}` }],
      }));
      return undefined;
    }
  }
  return { ...long, shape, positions, space: a.space.kind === "any" ? b.space : a.space };
}

/** `(batch, token, feature)` */
function axesText(type: ValueType): string {
  return `(${type.axes.join(", ")})`;
}

function mergePositions(cx: BodyCx, a: ValueType, b: ValueType, expr: ast.Binary): Positions | undefined {
  const hasTokens = (t: ValueType): boolean => t.axes.includes("token" satisfies Axis);
  if (!hasTokens(a)) return b.positions;
  if (!hasTokens(b) || samePositions(a.positions, b.positions)) return a.positions;
  if (a.positions.kind === "none") return b.positions;
  if (b.positions.kind === "none") return a.positions;
  cx.diagnostics.add(report("JEP3002", expr.span, { op: `\`${expr.op}\``, left: printPositions(a.positions), right: printPositions(b.positions) }, {
    related: [{ span: expr.left.span, message: `these tokens sit at ${printPositions(a.positions)}` }, { span: expr.right.span, message: `these sit at ${printPositions(b.positions)}` }],
  }));
  return undefined;
}

/** Arguments whose value is a word of the language where no name of the program is meant: `over: tokens`. */
const wordArguments: ReadonlySet<string> = new Set(["over", "negatives", "candidates"]);

function evaluateArg(cx: BodyCx, arg: ast.Arg): Value {
  const { name, value } = arg;
  const isWord = name !== undefined && wordArguments.has(name.text) && value.kind === "ref" && lookup(cx, value.name) === undefined;
  return isWord ? { kind: "static", value: value.name } : evaluateModule(cx, value);
}

function evaluateArgs(cx: BodyCx, args: readonly ast.Arg[]): ArgValue[] {
  return args.map((arg) => ({
    name: arg.name?.text,
    nameSpan: arg.name?.span,
    value: evaluateArg(cx, arg),
    span: arg.value.span,
    bare: arg.value.kind === "ref" ? arg.value.name : undefined,
  }));
}

function evaluateCall(cx: BodyCx, expr: ast.Call): Value {
  const callee = evaluateModule(cx, expr.callee);
  if (callee.kind === "poison") {
    evaluateArgs(cx, expr.args);
    return poison;
  }
  const args = evaluateArgs(cx, expr.args);
  if (args.some((a) => a.value.kind === "poison")) return poison;
  switch (callee.kind) {
    case "builtin": return callBuiltin(cx, callee.name, args, expr);
    case "module": return callModule(cx, callee.module, args, expr.span);
    case "partial": return applyAnonymous(cx, callee, args, expr.span);
    case "instance": return applyInstance(cx, callee, args, expr.span);
    default: return misplaced(cx, expr.callee.span, `${describe(callee)} cannot be called`);
  }
}

/** A module by name: with data among the arguments it is applied at once, otherwise it is configured. */
function callModule(cx: BodyCx, module: ast.Module, args: readonly ArgValue[], at: Span): Value {
  const isData = (a: ArgValue): boolean => a.value.kind === "tensor" || (a.value.kind === "mask" && module.inputs.some((f) => f.name.text === a.name));
  const data = args.filter(isData);
  const partial = configure(cx, module, args.filter((a) => !isData(a)), at);
  if (partial === undefined) return poison;
  return data.length > 0 ? applyAnonymous(cx, partial, data, at) : partial;
}

function evaluateMember(cx: BodyCx, expr: ast.Member): Value {
  const object = evaluate(cx, expr.object);
  if (object.kind === "poison") return poison;
  if (object.kind === "instance") return memberInstance(cx, object, expr.member);
  const { text } = expr.member;
  const called = isBuiltin(text) ? text : otherWord(text, builtinNames());
  return misplaced(cx, expr.span, `${describe(object)} has no parts`, called !== undefined ? `Functions stand before what they are applied to: \`${called}(…)\`.` : insteadOf(text));
}

function evaluateAt(cx: BodyCx, expr: ast.At): Value {
  const value = evaluate(cx, expr.value);
  const positions = evaluate(cx, expr.positions);
  if (value.kind === "poison" || positions.kind === "poison") return poison;
  if (positions.kind !== "mask") return misplaced(cx, expr.positions.span, `\`at\` takes a mask, and this is ${describe(positions)}`);
  if (value.kind !== "tensor") return misplaced(cx, expr.value.span, `\`at\` picks tokens, and this is ${describe(value)}`);
  return placeAt(cx, value, positions.name, expr.span);
}

function evaluateRange(cx: BodyCx, expr: ast.Range): Value {
  const low = evaluate(cx, expr.low);
  const high = evaluate(cx, expr.high);
  if (low.kind === "static" && high.kind === "static" && typeof low.value === "number" && typeof high.value === "number") {
    if (low.value <= high.value) return { kind: "range", low: low.value, high: high.value };
    cx.diagnostics.add(report("JEP2012", expr.span, { low: low.value, high: high.value }, {
      fixes: [{ title: "Swap its ends", edits: [{ span: expr.low.span, text: String(high.value) }, { span: expr.high.span, text: String(low.value) }] }],
    }));
    return poison;
  }
  if (low.kind !== "poison" && high.kind !== "poison") misplaced(cx, expr.span, "both ends of a range must be numbers");
  return poison;
}

function evaluateArrow(cx: BodyCx, expr: ast.Arrow): Value {
  const points: number[] = [];
  for (const point of expr.points) {
    const value = evaluate(cx, point);
    if (value.kind === "poison") return poison;
    if (value.kind !== "static" || typeof value.value !== "number") return misplaced(cx, point.span, "the points of a schedule must be numbers");
    points.push(value.value);
  }
  return { kind: "arrow", points };
}

function evaluateUnit(cx: BodyCx, expr: ast.Unit): Value {
  const value = evaluate(cx, expr.value);
  if (value.kind !== "static" || typeof value.value !== "number") return value.kind === "poison" ? poison : misplaced(cx, expr.span, "a unit belongs to a number");
  const unit = expr.unit.text;
  if (unit === "epochs" || unit === "epoch") return { kind: "duration", unit: "epochs", value: value.value };
  if (unit === "steps" || unit === "step") return { kind: "duration", unit: "steps", value: value.value };
  if (unit === "percent") return { kind: "static", value: value.value / 100, written: `${value.value} percent` };
  // Which units there are has been told by the grammar.
  return poison;
}

function evaluateOf(cx: BodyCx, expr: ast.Of): Value {
  return misplaced(cx, expr.span, "`of` belongs in a mask (`4 of block(…)`) or a part (`depth of block(…)`)");
}

/** Whether one batch dim is a whole multiple of another; the factor. */
export function multipleOf(many: Dim, one: Dim): number | undefined {
  const factor = divide(many, one);
  const n = factor === undefined ? undefined : constantOf(factor);
  return n !== undefined && Number.isInteger(n) && n >= 1 ? n : undefined;
}
