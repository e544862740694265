/**
 * The built-in functions of the language: their arguments and typing rules. // tidy: table
 *
 * One entry per name. What is here is primitive (it has its own lowering); everything else, `vit` and `mlp` included, is
 * written in the language in `std/`. Losses are a table of their own (`model/losses.ts`) and are dispatched from here.
 */
import { own } from "../base/own.js";
import { didYouMean, surelyMeant } from "../messages/did-you-mean.js";
import { report } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import { momentOf } from "../model/rules.js";
import { isLoss, lossNames } from "../model/losses.js";
import type { ModelOp } from "../model/ir.js";
import type { Dim } from "../types/dim.js";
import { constantDim, constantOf, equalShapes } from "../types/dim.js";
import type { Axis, ValueType } from "../types/value-type.js";
import { namedAxes, noPositions, printPositions, samePositions, sidesOf, valuesOf } from "../types/value-type.js";
import type { BodyCx } from "./body.js";
import { emit } from "./body.js";
import type { ArgValue } from "./expr.js";
import { shapeText } from "./expr.js";
import { createTaken } from "./given.js";
import { applyLoss } from "./losses.js";
import type { Builtin, Call, Tensor } from "./builtin-call.js";
import { axisWords, count, maskName, number, pointwise, reduce, sides, tensor, within } from "./builtin-call.js";
import { batchBuiltins } from "./builtins-batch.js";
import { joinBuiltins } from "./builtins-join.js";
import { pairBuiltins, refusesPairs } from "./builtins-pairs.js";
import { queueBuiltins } from "./builtins-queue.js";
import { rotary } from "./builtins-rotary.js";
import type { Sides } from "./positions.js";
import { codes, concatTokens, patches, placeAt, spread } from "./positions.js";
import { asSchedule, constantSchedule } from "./static.js";
import { describe, num, poison } from "./values.js";
import type { Value } from "./values.js";

/** Whether a name is built in (losses included). */
export function isBuiltin(name: string): boolean {
  return Object.hasOwn(table, name) || isLoss(name);
}

/** All built-in names, for suggestions. */
export function builtinNames(): string[] {
  return [...Object.keys(table), ...lossNames()];
}

/** What a built-in takes: its formals in order, optional ones with a `?`; losses have theirs in `model/losses.ts`. */
export function builtinFormals(name: string): readonly string[] | undefined {
  return own(table, name)?.formals;
}

/** Binds the arguments of a built-in and runs its rule. */
export function callBuiltin(cx: BodyCx, name: string, args: readonly ArgValue[], expr: ast.Call): Value {
  if (isLoss(name)) return applyLoss(cx, name, args, expr.span);
  const entry = own(table, name);
  if (entry === undefined) return poison;
  const bound = new Map<string, ArgValue>();
  const rest: ArgValue[] = [];
  const formals = entry.formals.filter((f) => f !== "...").map((f) => f.replace("?", ""));
  const taken = createTaken(name, cx.diagnostics);
  const unknown: { readonly arg: ArgValue; readonly meant: string | undefined }[] = [];
  for (const arg of args) {
    if (arg.name !== undefined) {
      if (!formals.includes(arg.name)) {
        const extras = didYouMean(arg.name, formals, arg.nameSpan ?? arg.span);
        cx.diagnostics.add(report("JEP2004", arg.nameSpan ?? arg.span, { callee: name, name: arg.name, known: formals.map((f) => `\`${f}\``).join(", ") }, extras));
        unknown.push({ arg, meant: surelyMeant(extras) });
        continue;
      }
      if (!taken.take(arg.name, arg)) return poison;
      bound.set(arg.name, arg);
    } else {
      const formal = formals.find((f) => !taken.has(f));
      if (formal === undefined || entry.formals.includes("...")) rest.push(arg);
      else if (taken.take(formal, arg)) bound.set(formal, arg);
    }
  }
  if (rest.length > 0 && !entry.formals.includes("...")) {
    cx.diagnostics.add(report("JEP2006", expr.span, { callee: name, most: formals.length, found: args.length }));
    return poison;
  }
  if (unknown.length > 0) cx.env.guesses.count++;
  for (const { arg, meant } of unknown) {
    if (meant === undefined || bound.has(meant)) return poison;
    bound.set(meant, arg);
  }
  const missing = entry.formals.find((f) => f !== "..." && !f.endsWith("?") && !bound.has(f));
  if (missing !== undefined) {
    cx.diagnostics.add(report("JEP2005", expr.span, { callee: name, name: missing }));
    return poison;
  }
  return refusesPairs(cx, name, args) ? poison : entry.run({ cx, name, at: expr.span, args: bound, rest });
}

const normalizing = (op: ModelOp, eps: number): Builtin => ({
  formals: ["x", "eps?"],
  run: (call) => {
    const x = tensor(call, "x");
    const e = within(call, "eps", eps, 0, 1);
    return x === undefined || e === undefined ? poison : emit(call.cx, op, [x.id], { eps: e }, x.type, call.at);
  },
});

const soft = (op: ModelOp): Builtin => ({
  formals: ["x", "temperature?", "over?"],
  run: (call) => {
    const x = tensor(call, "x");
    const t = number(call, "temperature", 1);
    if (x === undefined || t === undefined) return poison;
    const over = axisNamed(call, x.type, "features");
    if (over === undefined) return poison;
    if (t > 0) return emit(call.cx, op, [x.id], { temperature: t, ...(over === "feature" || over === "column" ? {} : { over: [over] }) }, { ...x.type, space: { kind: "logits" } }, call.at);
    call.cx.diagnostics.add(report("JEP2011", call.at, { what: "`temperature`", bounds: "a number above 0", found: t }));
    return poison;
  },
});

/** The one axis that `over` names. */
function axisNamed(call: Call, type: ValueType, fallback: string): Axis | "column" | undefined {
  const over = call.args.get("over");
  const word = over === undefined ? fallback : over.bare ?? (over.value.kind === "static" ? String(over.value.value) : "");
  const axis = own(axisWords, word)?.[0];
  if (axis !== undefined && namedAxes(type.axes, [axis]).includes(true)) return axis;
  call.cx.diagnostics.add(report("JEP3004", over?.span ?? call.at, { op: call.name, axis: word, axes: type.axes.join(", ") }));
  return undefined;
}

/** Whether operands of attention are tokens, all of one width, with a value for each key. */
function attends(call: Call, operands: readonly Tensor[]): boolean {
  for (const [i, { type }] of operands.entries()) {
    if (type.axes.includes("token")) continue;
    const help = type.axes.includes("time") ? "Attention over moments looks back only: `causal: true`." : "Attention is between the tokens of an image: give what an encoder says of each token, before it is pooled.";
    call.cx.diagnostics.add(report("JEP3004", call.args.get(["q", "k", "v"][i] ?? "")?.span ?? call.at, { op: "attend", axis: "tokens", axes: type.axes.join(", ") }, { help }));
    return false;
  }
  const [q, k, v] = operands.map((o) => o.type);
  const others = ({ shape, axes }: ValueType): Dim[] => shape.filter((_, i) => axes[i] !== "token");
  const misfit = q === undefined || k === undefined || v === undefined ? undefined : !equalShapes(k.shape, v.shape) ? [k, v] : !equalShapes(others(q), others(k)) ? [q, k] : undefined;
  const [left, right] = misfit ?? [];
  if (left === undefined || right === undefined) return true;
  call.cx.diagnostics.add(report("JEP3001", call.at, { op: call.name, left: shapeText(left), right: shapeText(right) }));
  return false;
}

/** How many tokens a moment has, where `causal: true` hides later ones; undefined after a report, or where an outer body has to say where tokens sit. */
function causal(call: Call, q: ValueType): number | "not" | undefined {
  const given = call.args.get("causal");
  if (given === undefined) return "not";
  if (given.value.kind !== "static" || typeof given.value.value !== "boolean") {
    if (given.value.kind !== "poison") call.cx.diagnostics.add(report("JEP2010", given.span, { what: "`causal` of `attend`", expected: "true or false", found: describe(given.value) }));
    return undefined;
  }
  if (!given.value.value) return "not";
  if (q.positions.kind === "opaque") {
    call.cx.attempt.needsPositions = true;
    return undefined;
  }
  const moment = momentOf(q);
  if (moment === undefined) call.cx.diagnostics.add(report("JEP3032", given.span, { found: q.positions.kind === "none" ? shapeText(q) : printPositions(q.positions) }));
  return moment;
}

/** Whether queries, keys and values are of the same moments and tokens; reports where not. */
function together(call: Call, [q, ...others]: readonly Tensor[]): boolean {
  const other = others.find((x) => q !== undefined && (!equalShapes(x.type.shape, q.type.shape) || !samePositions(x.type.positions, q.type.positions)));
  if (q === undefined || other === undefined) return true;
  call.cx.diagnostics.add(report("JEP3001", call.at, { op: call.name, left: shapeText(q.type), right: shapeText(other.type) }));
  return false;
}

const reducing = (op: "mean" | "sum"): Builtin => ({
  formals: ["x", "over?"],
  run: (call) => {
    const x = tensor(call, "x");
    if (x === undefined) return poison;
    const over = call.args.get("over");
    const word = over === undefined ? "all" : over.bare ?? (over.value.kind === "static" ? String(over.value.value) : "");
    const axes = word === "all" ? x.type.axes : own(axisWords, word);
    if (axes === undefined || axes.some((a) => !namedAxes(x.type.axes, [a]).includes(true))) {
      call.cx.diagnostics.add(report("JEP3004", over?.span ?? call.at, { op, axis: word, axes: x.type.axes.join(", ") }));
      return poison;
    }
    return emit(call.cx, op, [x.id], { over: axes }, reduce(x.type, axes), call.at);
  },
});

const schedule = (kind: "cosine" | "linear"): Builtin => ({
  formals: ["values", "warmup?", "stretch?"],
  run: (call) => {
    const values = call.args.get("values");
    if (values === undefined) return poison;
    const warm = call.args.get("warmup");
    const stretch = number(call, "stretch", 1);
    if (stretch === undefined) return poison;
    if (stretch <= 0) {
      call.cx.diagnostics.add(report("JEP2011", call.args.get("stretch")?.span ?? call.at, { what: "`stretch`", bounds: "a number above 0", found: stretch }));
      return poison;
    }
    const points = values.value.kind === "arrow" ? values.value.points : undefined;
    if (points === undefined || points.length > 3) {
      const simple = asSchedule(values.value, `\`${call.name}\``, values.span, call.cx.diagnostics);
      return simple === undefined ? poison : { kind: "schedule", schedule: simple };
    }
    const warmup = warm === undefined ? undefined : warm.value.kind === "duration" ? { unit: warm.value.unit, value: warm.value.value } : undefined;
    if (warm !== undefined && warmup === undefined) {
      call.cx.diagnostics.add(report("JEP2010", warm.span, { what: "`warmup`", expected: "a duration such as 40 epochs", found: describe(warm.value) }));
      return poison;
    }
    if ((points.length === 3) !== (warmup !== undefined)) {
      call.cx.diagnostics.add(report("JEP6001", call.at, { found: points.length }));
      return poison;
    }
    return { kind: "schedule", schedule: { kind: points.length === 3 ? "warmup_cosine" : kind, points, warmup, stretch } };
  },
});

/** A number of a value's grid. Patches that are no squares have no side of which it could be. */
function query(read: (type: ValueType) => number | undefined, isOblong: (type: ValueType) => boolean = () => false): Builtin {
  return {
    formals: ["x"],
    run: (call) => {
      const x = tensor(call, "x");
      if (x === undefined) return poison;
      if (x.type.positions.kind === "opaque") {
        call.cx.attempt.needsPositions = true;
        return poison;
      }
      const value = read(x.type);
      if (value !== undefined) return num(value);
      const found = isOblong(x.type) ? { expected: "tokens of square patches", found: "tokens of patches of two sides" } : { expected: "tokens on a patch grid", found: shapeText(x.type) };
      call.cx.diagnostics.add(report("JEP3003", call.at, { what: `the operand of \`${call.name}\``, ...found }, isOblong(x.type) ? { help: "`patch_values(x)` is how many numbers a patch has." } : {}));
      return poison;
    },
  };
}

const gridOf = (type: ValueType) => (type.positions.kind === "all" || type.positions.kind === "mask" ? type.positions.grid : undefined);

/** The patch size when a program says it once: the grid of any mask already in use, or the square `patch` of its networks. */
function knownPatch(cx: BodyCx): Sides | undefined {
  for (const mask of cx.env.masks.values()) if (mask.grid !== undefined) return sidesOf(mask.grid);
  const sizes = new Set([...cx.env.instances.values()].map((i) => i.instance.config["patch"]).filter((patch) => patch !== undefined));
  const [side] = sizes;
  return sizes.size === 1 && typeof side === "number" ? [side, side] : undefined;
}

function instanceName(call: Call, formal: string): { path: string; value: Value & { kind: "instance" } } | undefined {
  const arg = call.args.get(formal);
  if (arg?.value.kind === "instance") return { path: arg.value.path, value: arg.value };
  if (arg !== undefined && arg.value.kind !== "poison") {
    call.cx.diagnostics.add(report("JEP2010", arg.span, { what: `\`${formal}\` of \`${call.name}\``, expected: "an encoder or head declared above", found: describe(arg.value) }));
  }
  return undefined;
}

/** What is not trained here, of a module or of an instance's module. */
function untrained(call: Call, init: "random" | "pretrained"): Value {
  const value = call.args.get("of")?.value;
  if (value?.kind === "partial") return { kind: "untrained", partial: value, init, copyOf: undefined };
  if (value?.kind === "module") return { kind: "untrained", partial: { kind: "partial", module: value.module, config: new Map() }, init, copyOf: undefined };
  const instance = instanceName(call, "of");
  return instance === undefined ? poison : { kind: "untrained", partial: instance.value.partial, init, copyOf: instance.path };
}

/** `pretrained(vit(…), from: "weights.safetensors", name: "teacher", tune: true)`: parameters of a file, by the name that they have there. */
function pretrained(call: Call): Value {
  const made = untrained(call, "pretrained");
  if (made.kind !== "untrained") return made;
  const read = <T extends string | boolean>(name: string, expected: string, takes: (value: unknown) => value is T): T | "wrong" | undefined => {
    const arg = call.args.get(name);
    if (arg === undefined) return undefined;
    if (arg.value.kind === "static" && takes(arg.value.value) && arg.value.value !== "") return arg.value.value;
    if (arg.value.kind !== "poison") call.cx.diagnostics.add(report("JEP2010", arg.span, { what: `\`${name}\` of \`pretrained\``, expected, found: describe(arg.value) }));
    return "wrong";
  };
  const isText = (value: unknown): value is string => typeof value === "string";
  const path = read("from", "the path of a file or a run's folder, as a text in quotes,", isText);
  const name = read("name", "the name that the module has in that file, as a text in quotes,", isText);
  const tune = read("tune", "`true` or `false`", (value): value is boolean => typeof value === "boolean");
  if (path === "wrong" || name === "wrong" || tune === "wrong") return poison;
  if (path === undefined && tune === true) call.cx.diagnostics.add(report("JEP2005", call.at, { callee: "pretrained", name: "from" }, { help: "Say where the weights are that training begins with: `from: \"weights.safetensors\"`." }));
  if (path === undefined) return tune === true ? poison : made;
  return { ...made, from: { path, ...(name === undefined ? {} : { name }) }, ...(tune === true ? { tuned: true } : {}) };
}

/** A table of positions; `sincos` is known to be the one or the other where it is added. */
const positionTable = (name: "sincos" | "sincos2d" | "sincos3d"): Builtin => ({
  formals: ["width"],
  run: (call) => {
    const width = count(call, "width");
    if (width === undefined) return poison;
    return name === "sincos" || codes(call.cx, name, width, call.at) ? { kind: "table", name, width, span: call.at } : poison;
  },
});

const table: Readonly<Record<string, Builtin>> = {
  ...batchBuiltins,
  ...joinBuiltins,
  ...pairBuiltins,
  ...queueBuiltins,
  patches: {
    formals: ["image", "patch?"],
    run: (call) => {
      const image = tensor(call, "image");
      if (image === undefined) return poison;
      const patch = call.args.has("patch") ? sides(call, "patch") : knownPatch(call.cx);
      if (patch !== undefined) return patches(call.cx, image, patch, call.at);
      if (!call.args.has("patch")) call.cx.diagnostics.add(report("JEP2005", call.at, { callee: "patches", name: "patch" }));
      return poison;
    },
  },
  affine: {
    formals: ["x", "weight", "bias?"],
    run: (call) => {
      const x = tensor(call, "x");
      const weight = tensor(call, "weight");
      const bias = tensor(call, "bias");
      if (x === undefined || weight === undefined || (call.args.has("bias") && bias === undefined)) return poison;
      const inner = x.type.shape.at(-1);
      const [from, to] = weight.type.shape;
      if (weight.type.shape.length !== 2 || inner === undefined || from === undefined || to === undefined || constantOf(inner) !== constantOf(from)) {
        call.cx.diagnostics.add(report("JEP3001", call.at, { op: "affine", left: shapeText(x.type), right: shapeText(weight.type) }));
        return poison;
      }
      const args = bias === undefined ? [x.id, weight.id] : [x.id, weight.id, bias.id];
      return emit(call.cx, "affine", args, {}, { ...x.type, shape: [...x.type.shape.slice(0, -1), to] }, call.at);
    },
  },
  attend: {
    formals: ["q", "k", "v", "heads", "causal?"],
    run: (call) => {
      const q = tensor(call, "q");
      const k = tensor(call, "k");
      const v = tensor(call, "v");
      const heads = count(call, "heads");
      if (q === undefined || k === undefined || v === undefined || heads === undefined) return poison;
      const hides = causal(call, q.type);
      if (hides === undefined || (hides === "not" && !attends(call, [q, k, v])) || (hides !== "not" && !together(call, [q, k, v]))) return poison;
      const block = hides === "not" ? {} : { block: hides };
      const width = constantOf(q.type.shape.at(-1) ?? constantDim(0)) ?? 0;
      if (width % heads === 0 && width > 0) return emit(call.cx, "attend", [q.id, k.id, v.id], { heads, ...block }, q.type, call.at);
      call.cx.diagnostics.add(report("JEP3011", call.at, { width, heads }));
      // Whatever the heads, what comes out is known: what it is given to is checked in the same run.
      return emit(call.cx, "attend", [q.id, k.id, v.id], { heads: 1, ...block }, q.type, call.at);
    },
  },
  split: {
    formals: ["x", "into"],
    run: (call) => {
      const x = tensor(call, "x");
      const into = count(call, "into");
      if (x === undefined || into === undefined) return poison;
      const width = constantOf(x.type.shape.at(-1) ?? constantDim(0)) ?? 0;
      if (width % into !== 0 || width === 0 || into > 1024) {
        call.cx.diagnostics.add(report("JEP3011", call.at, { width, heads: into }));
        return poison;
      }
      const size = width / into;
      const type = { ...x.type, shape: [...x.type.shape.slice(0, -1), constantDim(size)] };
      const items = Array.from({ length: into }, (_, i) => emit(call.cx, "slice_features", [x.id], { start: i * size, size }, type, call.at));
      return { kind: "list", items };
    },
  },
  concat: {
    formals: ["..."],
    run: (call) => {
      const items: Tensor[] = [];
      for (const arg of call.rest) {
        if (arg.value.kind === "tensor") items.push(arg.value);
        else {
          call.cx.diagnostics.add(report("JEP2010", arg.span, { what: "an operand of `concat`", expected: "tokens", found: describe(arg.value) }));
          return poison;
        }
      }
      return concatTokens(call.cx, items, call.at);
    },
  },
  spread: {
    formals: ["vector", "at"],
    run: (call) => {
      const vector = tensor(call, "vector");
      const mask = maskName(call, "at");
      return vector === undefined || mask === undefined ? poison : spread(call.cx, vector, mask, call.at);
    },
  },
  pick: {
    formals: ["x", "at"],
    run: (call) => {
      const x = tensor(call, "x");
      const mask = maskName(call, "at");
      return x === undefined || mask === undefined ? poison : placeAt(call.cx, x, mask, call.at);
    },
  },
  sincos: positionTable("sincos"),
  sincos2d: positionTable("sincos2d"),
  sincos3d: positionTable("sincos3d"),
  rotary,
  stopgrad: { formals: ["x"], run: (call) => pointwise("stop_gradient").run(call) },
  normalize: normalizing("normalize", 1e-5),
  l2_normalize: normalizing("l2_normalize", 1e-12),
  batch_normalize: normalizing("batch_normalize", 1e-5),
  softmax: soft("softmax"),
  log_softmax: soft("log_softmax"),
  gelu: pointwise("gelu"), relu: pointwise("relu"), tanh: pointwise("tanh"), sigmoid: pointwise("sigmoid"),
  exp: pointwise("exp"), log: pointwise("log"), sqrt: pointwise("sqrt"), square: pointwise("square"), abs: pointwise("abs"),
  mean: reducing("mean"),
  sum: reducing("sum"),
  pool: { formals: ["x"], run: (call) => reducing("mean").run({ ...call, args: new Map([...call.args, ["over", { name: "over", value: { kind: "static", value: "tokens" }, span: call.at, bare: "tokens" }]]) }) },
  flatten: {
    formals: ["x"],
    run: (call) => {
      const x = tensor(call, "x");
      if (x === undefined) return poison;
      const [rows, ...rest] = x.type.shape;
      const size = rest.reduce((n, d) => n * (constantOf(d) ?? NaN), 1);
      if (rows === undefined || x.type.axes[0] !== "batch" || !Number.isInteger(size)) {
        call.cx.diagnostics.add(report("JEP3003", call.at, { what: "the operand of `flatten`", expected: "a batch of fixed shape", found: shapeText(x.type) }));
        return poison;
      }
      return emit(call.cx, "flatten", [x.id], {}, { ...x.type, shape: [rows, constantDim(size)], axes: ["batch", "feature"], positions: noPositions, pending: undefined }, call.at);
    },
  },
  ema: {
    formals: ["of", "momentum"],
    run: (call) => {
      const of = instanceName(call, "of");
      const momentum = call.args.get("momentum");
      if (of === undefined || momentum === undefined) return poison;
      const values = asSchedule(momentum.value, "`momentum`", momentum.span, call.cx.diagnostics);
      if (values === undefined) return poison;
      if (values.points.every((m) => m >= 0 && m <= 1)) return { kind: "following", of: of.path, momentum: values };
      call.cx.diagnostics.add(report("JEP6002", momentum.span, { found: values.points.join(" -> ") }));
      return poison;
    },
  },
  frozen: { formals: ["of"], run: (call) => untrained(call, "random") },
  pretrained: { formals: ["of", "from?", "name?", "tune?"], run: pretrained },
  patch_size: query((type) => {
    const grid = gridOf(type);
    return grid === undefined || grid.across !== undefined ? undefined : grid.patch;
  }, (type) => gridOf(type)?.across !== undefined),
  patch_values: query((type) => {
    const grid = gridOf(type);
    return grid === undefined ? undefined : valuesOf(grid);
  }),
  patch_frames: query((type) => {
    const grid = gridOf(type);
    return grid === undefined ? undefined : (grid.tube ?? 1);
  }),
  channels: query((type) => gridOf(type)?.channels),
  cosine: schedule("cosine"),
  linear_schedule: schedule("linear"),
  constant: {
    formals: ["value"],
    run: (call) => {
      const value = number(call, "value", 0);
      return value === undefined ? poison : { kind: "schedule", schedule: constantSchedule(value) };
    },
  },
};
