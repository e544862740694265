/**
 * Modules: configuring them, applying them to data, and sharing the functions that come of it.
 *
 * A module as used becomes a `Func`, once per (module, configuration, kinds of arguments). The batch axis of a function
 * is always `B` and, where the body never asks where its tokens sit, token counts are `T`, `T2`, …; the call maps them to
 * the caller's dims. So a block is one function in the student, the teacher and the predictor alike. Owns argument
 * binding, the abstraction and instantiation of types at calls, recursion and work limits, and the naming of instances.
 * Leaves statements to `statements.ts`.
 */
import type { Span } from "../base/span.js";
import { didYouMean, surelyMeant } from "../messages/did-you-mean.js";
import { createDiagnostics, report } from "../messages/report.js";
import type { Diagnostic } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import type { Func, NodeId, ParamDecl, WeightsFrom } from "../model/ir.js";
import type { Dim } from "../types/dim.js";
import { constantDim, equal, mul, printDim, substitute, symbolDim, symbolsOf } from "../types/dim.js";
import type { Positions, Space, ValueType } from "../types/value-type.js";
import { anySpace, printPositions } from "../types/value-type.js";
import { printGrid } from "../model/print.js";
import type { BodyCx, Env } from "./body.js";
import { batch, createBody, emit, emitInput, register, uniquePart } from "./body.js";
import type { ArgValue } from "./expr.js";
import { evaluate, multipleOf } from "./expr.js";
import { createTaken, wholeOf } from "./given.js";
import { runModuleBody, bindPattern } from "./statements.js";
import { tellFaults } from "./tell.js";
import { standsAlone } from "./unknown.js";
import { configKey, describe, poison } from "./values.js";
import type { Given, Partial, Value } from "./values.js";

type Tensor = Value & { kind: "tensor" };

/** Deepest chain of modules inside modules, and most nodes of one program: bounds on what a program may ask for. */
const maxModuleDepth = 64;
const maxNodes = 400_000;

/** Binds configuration arguments: named, bare identifiers that match a formal, then positional. */
export function configure(cx: BodyCx, module: ast.Module, args: readonly ArgValue[], at: Span, base?: Partial): Partial | undefined {
  const formals = module.config.map((f) => f.name.text);
  const config = new Map<string, Value>(base?.config);
  const given = new Map<string, Given>(base?.given);
  const bare = (a: ArgValue): string | undefined => (a.name === undefined && a.bare !== undefined && formals.includes(a.bare) ? a.bare : undefined);
  const taken = createTaken(module.name.text, cx.diagnostics);
  const unknown: { readonly arg: ArgValue; readonly meant: string | undefined }[] = [];
  for (const [name, { span }] of base?.given ?? []) taken.take(name, { span });
  const byName = new Set([...config.keys(), ...args.map(bare)]);
  for (const arg of args) {
    const name = arg.name ?? bare(arg) ?? formals.find((f) => !byName.has(f) && !taken.has(f));
    if (name === undefined) {
      cx.diagnostics.add(report("JEP2006", at, { callee: module.name.text, most: formals.length, found: args.length }));
      return undefined;
    }
    if (!formals.includes(name)) {
      const extras = didYouMean(name, formals, arg.nameSpan ?? arg.span);
      cx.diagnostics.add(report("JEP2004", arg.nameSpan ?? arg.span, { callee: module.name.text, name, known: formals.map((f) => `\`${f}\``).join(", ") || "no configuration" }, extras));
      unknown.push({ arg, meant: surelyMeant(extras) });
      continue;
    }
    if (!taken.take(name, arg)) continue;
    config.set(name, arg.value);
    given.set(name, { span: wholeOf(arg), bare: arg.bare });
  }
  if (unknown.length > 0) cx.env.guesses.count++;
  for (const { arg, meant } of unknown) {
    if (meant === undefined || config.has(meant)) return undefined;
    config.set(meant, arg.value);
    given.set(meant, { span: wholeOf(arg), bare: arg.bare });
  }
  return { kind: "partial", module, config, given };
}

/** Applies a module that has no name yet: it gets one (`linear`, `linear_2`) and parameters of its own. */
export function applyAnonymous(cx: BodyCx, partial: Partial, args: readonly ArgValue[], at: Span): Value {
  const hasData = args.some((a) => a.value.kind === "tensor" || a.value.kind === "mask");
  if (!hasData) return configure(cx, partial.module, args, at, partial) ?? poison;
  const path = uniquePart(cx, partial.module.name.text);
  if (cx.kind === "model") declareInstance(cx, path, "head", partial, at);
  return applyAt(cx, partial, path, args, at);
}

/** Makes a model-level instance, trained unless said otherwise. */
export function declareInstance(cx: BodyCx, name: string, role: "encoder" | "predictor" | "head", partial: Partial, at: Span, training: NonNullable<ReturnType<Env["instances"]["get"]>>["instance"]["training"] = { kind: "optimized" }, from?: WeightsFrom): Value {
  const config = Object.fromEntries([...partial.config].map(([k, v]) => [k, v.kind === "static" ? v.value : configKey(v)]));
  cx.env.instances.set(name, { instance: { name, role, module: partial.module.name.text, config, training, ...(from === undefined ? {} : { from }), origin: at }, params: new Map() });
  return { kind: "instance", path: name, partial };
}

/** Applies a named instance or part. What goes wrong with an average says what it is an average of: often that is the mistake. */
export function applyInstance(cx: BodyCx, instance: Value & { kind: "instance" }, args: readonly ArgValue[], at: Span): Value {
  const { list } = cx.diagnostics;
  const before = list.length;
  const value = applyAt(cx, instance.partial, instance.path, args, at);
  const made = cx.env.instances.get(instance.path)?.instance;
  if (made?.training.kind !== "ema") return value;
  const message = `\`${instance.path}\` is an average of \`${made.training.of}\`, and takes what \`${instance.partial.module.name.text}\` takes`;
  for (let i = before; i < list.length; i++) {
    const d = list[i];
    if (d?.severity === "error") list[i] = { ...d, related: [...d.related, { span: made.origin, message }] };
  }
  return value;
}

/** `student.patch_embed`: a part of an instance, with the parameters it has there. */
export function memberInstance(cx: BodyCx, object: Value & { kind: "instance" }, member: ast.Name): Value {
  const parts = object.partial.module.body.flatMap((s) => (s.kind === "part" ? [s] : []));
  const part = parts.find((p) => p.name.text === member.text);
  if (part === undefined) {
    cx.diagnostics.add(report("JEP2007", member.span, { object: object.path, member: member.text, known: parts.map((p) => `\`${p.name.text}\``).join(", ") || "no parts" },
      didYouMean(member.text, parts.map((p) => p.name.text), member.span)));
    return poison;
  }
  const inner = createBody(cx.env, createDiagnostics(), "module");
  for (const [name, value] of object.partial.config) inner.scope.set(name, value);
  for (const formal of object.partial.module.config) {
    if (!inner.scope.has(formal.name.text) && formal.default !== undefined) inner.scope.set(formal.name.text, evaluate(inner, formal.default));
  }
  const value = part.value.kind === "of" ? poison : evaluate(inner, part.value);
  const partial = value.kind === "module" ? { kind: "partial" as const, module: value.module, config: new Map<string, Value>() } : value;
  if (partial.kind === "partial") return { kind: "instance", path: `${object.path}.${member.text}`, partial };
  cx.diagnostics.add(report("JEP2008", member.span, { object: object.path, member: member.text }));
  return poison;
}

interface BoundArg {
  readonly formal: ast.Formal;
  readonly arg: ArgValue;
}

function bindData(cx: BodyCx, partial: Partial, args: readonly ArgValue[], at: Span): BoundArg[] | undefined {
  const module = partial.module;
  const inputs = module.inputs.map((f) => f.name.text);
  const bound = new Map<string, ArgValue>();
  const taken = createTaken(module.name.text, cx.diagnostics);
  for (const arg of args) {
    const name = arg.name ?? inputs.find((f) => !taken.has(f));
    if (name === undefined) {
      cx.diagnostics.add(report("JEP2006", at, { callee: module.name.text, most: inputs.length, found: args.length }));
      return undefined;
    }
    if (!inputs.includes(name)) {
      cx.diagnostics.add(report("JEP2004", arg.nameSpan ?? arg.span, { callee: module.name.text, name, known: inputs.map((f) => `\`${f}\``).join(", ") || "no data" }, didYouMean(name, inputs, arg.nameSpan ?? arg.span)));
      return undefined;
    }
    if (!taken.take(name, arg)) return undefined;
    bound.set(name, arg);
  }
  const result: BoundArg[] = [];
  for (const formal of module.inputs) {
    const arg = bound.get(formal.name.text);
    if (arg === undefined) {
      cx.diagnostics.add(report("JEP2005", at, { callee: module.name.text, name: formal.name.text }));
      return undefined;
    }
    if (arg.value.kind !== "tensor" && arg.value.kind !== "mask") {
      cx.diagnostics.add(report("JEP2010", arg.span, { what: `\`${formal.name.text}\` of \`${module.name.text}\``, expected: "a tensor", found: describe(arg.value) }));
      return undefined;
    }
    result.push({ formal, arg });
  }
  return result;
}

function applyAt(cx: BodyCx, partial: Partial, path: string, args: readonly ArgValue[], at: Span): Value {
  const bound = bindData(cx, partial, args, at);
  if (bound === undefined) return poison;
  const found = functionFor(cx, partial, bound, at);
  if (found === undefined) return poison;
  const { func, dims, opaque } = found;
  if (!registerParams(cx, path, func.params, at)) return poison;
  for (const mask of func.masks) cx.masks.add(mask);
  const operands: NodeId[] = bound.flatMap((b) => (b.arg.value.kind === "tensor" ? [b.arg.value.id] : []));
  const map = new Map(Object.entries(dims));
  for (const name of func.dims) if (!map.has(name)) map.set(name, symbolDim(name));
  const types = func.body.results.map((id) => instantiate(func.body.nodes[id]?.type, map, opaque, resultSpace(cx, partial, path, func, bound)));
  const first = types[0];
  if (first === undefined) return poison;
  const call = emit(cx, "call", operands, { instance: path, func: func.name, dims: Object.fromEntries(map) }, first, at);
  if (types.length === 1) return call;
  return { kind: "list", items: types.map((type, index) => emit(cx, "result", [call.id], { index }, type ?? first, at)) };
}

/** The space of what a module gives back: an encoder's own latent space, an annotated one, or one still to be decided. */
function resultSpace(cx: BodyCx, partial: Partial, path: string, func: Func, bound: readonly BoundArg[]): Space {
  if (cx.kind !== "model") return anySpace;
  const declared = partial.module.result?.space;
  if (declared?.kind === "ref" && declared.name === "pixels") return { kind: "pixels" };
  if (declared?.kind === "ref" && declared.name === "logits") return { kind: "logits" };
  if (func.params.length === 0) {
    const value = bound[0]?.arg.value;
    return value?.kind === "tensor" ? value.type.space : anySpace;
  }
  const root = path.split(".")[0] ?? path;
  return cx.env.instances.get(root)?.instance.role === "encoder" ? { kind: "latent", of: path } : { kind: "free", by: path };
}

function instantiate(type: ValueType | undefined, dims: ReadonlyMap<string, Dim>, opaque: ReadonlyMap<string, Positions>, space: Space): ValueType | undefined {
  if (type === undefined) return undefined;
  const place = (p: Positions): Positions => {
    if (p.kind === "opaque") return opaque.get(p.of) ?? p;
    if (p.kind === "concat") return { kind: "concat", parts: p.parts.map((x) => ({ positions: place(x.positions), length: substitute(x.length, dims) })) };
    return p;
  };
  return { ...type, shape: type.shape.map((d) => substitute(d, dims)), positions: place(type.positions), space };
}

function registerParams(cx: BodyCx, path: string, params: readonly ParamDecl[], at: Span): boolean {
  const [root, ...rest] = path.split(".");
  const target = cx.kind === "model" ? cx.env.instances.get(root ?? "")?.params : cx.params;
  if (target === undefined) return params.length === 0;
  const prefix = cx.kind === "model" ? rest.join(".") : path;
  return params.every((p) => register(target, { ...p, path: prefix === "" ? p.path : `${prefix}.${p.path}` }, at, cx.diagnostics));
}

interface Abstracted {
  readonly types: readonly (ValueType | undefined)[];
  readonly dims: Record<string, Dim>;
  readonly opaque: Map<string, Positions>;
}

/** Argument types as the callee sees them: batch as `B`; in a position-free attempt, tokens as `T`… at opaque positions. */
function abstractTypes(bound: readonly BoundArg[], opaquely: boolean): Abstracted {
  const rows = bound.flatMap(({ arg }) => (arg.value.kind === "tensor" && arg.value.type.axes[0] === "batch" ? [arg.value.type.shape[0] ?? batch] : []));
  // Several sets of tokens for each image are rows like others where nothing asks for their places, and no other operand has fewer.
  const [first = batch] = rows;
  const base = opaquely && rows.every((d) => equal(d, first)) ? first : batch;
  const dims: Record<string, Dim> = { B: base };
  const opaque = new Map<string, Positions>();
  const tokens = new Map<string, Dim>();
  const types = bound.map(({ formal, arg }) => {
    if (arg.value.kind !== "tensor") return undefined;
    const type = arg.value.type;
    const shape = type.shape.map((d, i) => {
      if (type.axes[i] === "batch") return timesBatch(multipleOf(d, base) ?? 1);
      if (type.axes[i] !== "token" || !opaquely) return d;
      const key = printDim(d);
      const known = tokens.get(key);
      if (known !== undefined) return known;
      const symbol = tokens.size === 0 ? "T" : `T${tokens.size + 1}`;
      tokens.set(key, symbolDim(symbol));
      dims[symbol] = d;
      return symbolDim(symbol);
    });
    const hide = opaquely && type.positions.kind !== "none";
    if (hide) opaque.set(formal.name.text, type.positions);
    return { ...type, shape, space: anySpace, positions: hide ? ({ kind: "opaque", of: sharedName(bound, type.positions, formal.name.text) } as const) : type.positions };
  });
  for (const { formal, arg } of bound) if (arg.value.kind === "tensor" && opaquely) opaque.set(formal.name.text, arg.value.type.positions);
  return { types, dims, opaque };
}

function timesBatch(count: number): Dim {
  return count === 1 ? batch : mul(batch, constantDim(count));
}

/** Two arguments at the same positions must look so inside: the first one's name stands for both. */
function sharedName(bound: readonly BoundArg[], positions: Positions, own: string): string {
  const key = printPositions(positions);
  const first = bound.find(({ arg }) => arg.value.kind === "tensor" && printPositions(arg.value.type.positions) === key);
  return first?.formal.name.text ?? own;
}

const identities = new WeakMap<Partial, string>();

/** Which module, configured how. */
function identityOf(partial: Partial): string {
  const known = identities.get(partial) ?? describeIdentity(partial);
  identities.set(partial, known);
  return known;
}

function describeIdentity(partial: Partial): string {
  return `${partial.module.name.span.file}:${partial.module.span.start}(${[...partial.config].map(([k, v]) => `${k}=${configKey(v)}`).sort().join(",")})`;
}

function functionFor(cx: BodyCx, partial: Partial, bound: readonly BoundArg[], at: Span): { func: Func; dims: Record<string, Dim>; opaque: Map<string, Positions> } | undefined {
  const identity = identityOf(partial);
  const hasMask = bound.some(({ arg }) => arg.value.kind === "mask" || (arg.value.kind === "tensor" && arg.value.type.pending !== undefined));
  const modes = hasMask || cx.env.positional.has(identity) ? [false] : [true, false];
  for (const opaquely of modes) {
    const abstract = abstractTypes(bound, opaquely);
    const key = `${identity}|${bound.map(({ arg }, i) => (arg.value.kind === "mask" ? `mask ${arg.value.name}` : typeKey(abstract.types[i]))).join(";")}`;
    let func = cx.env.funcs.get(key);
    if (func === undefined) {
      const built = buildFunction(cx, partial, bound, abstract.types, at);
      if (built === "needs positions") {
        cx.env.positional.add(identity);
        continue;
      }
      func = built.func;
      cx.env.funcs.set(key, func);
      cx.env.faults.set(key, built.faults);
    }
    tellFaults(cx, cx.env.faults.get(key) ?? [], partial, identity, at);
    return func === "failed" ? undefined : { func, dims: abstract.dims, opaque: abstract.opaque };
  }
  // What this body itself does not know of its operands, it is to be built again with.
  cx.attempt.needsPositions = true;
  return undefined;
}

function typeKey(type: ValueType | undefined): string {
  if (type === undefined) return "-";
  const p = type.positions;
  const where = p.kind === "all" || p.kind === "mask" ? `${printPositions(p)}/${printGrid(p.grid)}` : p.kind === "opaque" ? `?${p.of}` : printPositions(p);
  return `${type.shape.map(printDim).join(",")}:${type.axes.join(",")}:${where}:${type.pending ?? ""}`;
}

/** A module as used, and the mistakes of its body, which every application tells in its own place. */
interface Built {
  readonly func: Func | "failed";
  readonly faults: readonly Diagnostic[];
}

function buildFunction(cx: BodyCx, partial: Partial, bound: readonly BoundArg[], types: readonly (ValueType | undefined)[], at: Span): Built | "needs positions" {
  const module = partial.module;
  const env = cx.env;
  if (env.active.includes(module.name.text) || env.active.length >= maxModuleDepth) {
    const cycle = [...env.active.slice(Math.max(0, env.active.indexOf(module.name.text))), module.name.text];
    cx.diagnostics.add(report("JEP2014", at, { cycle: cycle.slice(0, 8).join(" -> ") }, { related: [{ span: module.name.span, message: "declared here" }] }));
    return { func: "failed", faults: [] };
  }
  if (env.budget.nodes > maxNodes) {
    cx.diagnostics.add(report("JEP2015", at, { limit: maxNodes }));
    return { func: "failed", faults: [] };
  }
  const sink = createDiagnostics();
  const inner = createBody(env, sink, "module");
  const guesses = env.guesses.count;
  env.active.push(module.name.text);
  const masks = new Set<string>();
  bound.forEach(({ formal, arg }, i) => {
    const type = types[i];
    if (arg.value.kind === "mask") {
      inner.scope.set(formal.name.text, arg.value);
      masks.add(arg.value.name);
    } else if (type !== undefined) inner.scope.set(formal.name.text, emitInput(inner, formal.name.text, type, formal.span));
  });
  for (const [name, value] of partial.config) inner.scope.set(name, value);
  const fits = bound.every(({ formal, arg }, i) => formal.type === undefined || bindPattern(inner, formal.type, types[i], arg.span));
  const results = fits ? runModuleBody(inner, partial, at) : undefined;
  env.active.pop();
  if (inner.attempt.needsPositions) return "needs positions";
  // With a mistake on the way to a result that is known all the same, what it is given to is checked too.
  return { func: results === undefined ? "failed" : finish(inner, partial, results, module), faults: env.guesses.count > guesses ? sink.list.filter(standsAlone) : sink.list };
}

function finish(inner: BodyCx, partial: Partial, results: readonly Tensor[], module: ast.Module): Func {
  const config = Object.fromEntries([...partial.config].map(([k, v]) => [k, v.kind === "static" ? v.value : configKey(v)]));
  const place = [...inner.masks].sort();
  const at = inner.nodes.find((n) => n.op === "input" && n.type.pending !== undefined)?.type.pending ?? (place.length > 0 ? place.join("_") : undefined);
  const name = uniqueFuncName(inner.env, at === undefined ? module.name.text : `${module.name.text}_at_${at}`);
  return {
    name, module: module.name.text, doc: module.doc, config, params: [...inner.params.values()], masks: place, dims: dimsOf(inner),
    body: { inputs: inner.inputs, nodes: inner.nodes, results: results.map((r) => r.id) }, origin: module.span,
  };
}

/** A function name that no other has. */
export function uniqueFuncName(env: Env, wanted: string): string {
  let name = wanted;
  for (let i = 2; env.funcNames.has(name); i++) name = `${wanted}_${i}`;
  env.funcNames.add(name);
  return name;
}

/** Every symbol that the shapes of a body speak of. */
export function dimsOf(cx: BodyCx): string[] {
  const names = new Set<string>();
  for (const node of cx.nodes) for (const d of node.type.shape) for (const s of symbolsOf(d)) names.add(s);
  return [...names].sort();
}
