/**
 * Model-level statements: inputs, views, masks, encoders, bindings, losses → the model graph.
 *
 * Owns the assembly of a `ModelGraph` from an ordered list of statements. Instances made by `ema`, `frozen` or another
 * name of an encoder are resolved here, so the graph has one instance per set of parameters. Leaves every judgment about
 * the graph (collapse, leaks, dead parts) to the analyses.
 */
import { own } from "../base/own.js";
import type { Span } from "../base/span.js";
import type { Diagnostic, Diagnostics } from "../messages/report.js";
import { didYouMean } from "../messages/did-you-mean.js";
import { createDiagnostics, report } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import type { Func, ImageInput, Instance, LossTerm, ModelGraph, Node, NodeId, ParamDecl } from "../model/ir.js";
import type { Dim } from "../types/dim.js";
import { constantDim, constantOf } from "../types/dim.js";
import type { Axis, ValueType } from "../types/value-type.js";
import { noPositions } from "../types/value-type.js";
import { applyInstance, declareInstance } from "./apply.js";
import type { BodyCx, Env } from "./body.js";
import { batch, createBody, emitInput, nameNode } from "./body.js";
import { evaluate, evaluateModule } from "./expr.js";
import { createTaken, placeOf } from "./given.js";
import { checkDeclaredSpace, lossTerms, readSpace } from "./losses.js";
import { readMask } from "./masks.js";
import { freeNames, orderStatements } from "./order.js";
import type { Program } from "./program.js";
import { declaredNames } from "./program.js";
import type { Settable } from "./settable.js";
import { meantSetting } from "./settable.js";
import { runBinding } from "./statements.js";
import { asCount, asSides, bounds, maxDimension } from "./static.js";
import { mentionsIn } from "./unknown.js";
import { behindFirst, inBlock, readTransforms } from "./transforms.js";
import { describe, fromOutside, poison } from "./values.js";
import type { Static, Value } from "./values.js";

/** What is known of the model beside its graph. */
export interface CheckedModel {
  readonly graph: ModelGraph;
  readonly params: ReadonlyMap<string, Static>;
  readonly settable: Settable;
  /** Encoders with the function that runs each alone on whole images, for probes, features and export. */
  readonly encoders: readonly EncoderEntry[];
  /** Every name of an encoder, with the instance it stands for: `encoder other = student` gives two names to one. Undefined where a mistake was reported. */
  readonly encoderNames: ReadonlyMap<string, string | undefined>;
  /** Lines that rest on what was most likely meant by a name that is not known. */
  readonly guessed: readonly Span[];
}

/** How to run an encoder alone: `func` applied to `input`, an image or a view of that size, giving a value of type `result`. */
export interface EncoderEntry {
  readonly name: string;
  readonly input: string;
  readonly size: Pick<ImageInput, "frames" | "height" | "width" | "channels">;
  readonly func: string;
  readonly dims: Readonly<Record<string, Dim>>;
  readonly result: ValueType;
}

/** Values that replace what the program says: `width` or `predict.depth`. */
export type Overrides = ReadonlyMap<string, Static>;

/** Elaborates the statements of a program. Always gives a graph, partial where there were mistakes. */
export function elaborateModel(program: Program, overrides: Overrides, isLibrary: (file: string) => boolean, broken: readonly ast.Broken[], diagnostics: Diagnostics): CheckedModel {
  const env: Env = {
    modules: program.modules, funcs: new Map(), faults: new Map(), params: new Map(), lacking: program.lacking, funcNames: new Set(["main"]), positional: new Set(), masks: new Map(), gridOrigins: new Map(),
    instances: new Map(), spaces: new Map(), inputs: new Map(), views: new Map(), active: [], tableGrid: { first: undefined }, isLibrary, budget: { nodes: 0 }, told: new Set(),
    later: new Set(program.statements.flatMap((s) => declaredNames(s).map((n) => n.text))),
    unknown: new Map(), mentions: mentionsIn([...program.statements, ...program.probes]), lost: program.lost, guesses: { count: 0 },
  };
  const cx = createBody(env, diagnostics, "model");
  // Kept from modules that are applied without a name, also in lines before: they would share parameters.
  for (const s of program.statements) if (s.kind === "instance") cx.partNames.add(s.name.text);
  const losses: LossTerm[] = [];
  const lossNames = new Set<string>();
  const params = new Map<string, Static>();
  const unused = new Set(overrides.keys());
  const options: string[] = [];
  const ordered = orderStatements(program.statements, diagnostics);
  const left = new Set(ordered);
  // Lines of a cycle have been reported; what needs them is not at fault.
  for (const s of program.statements) if (!left.has(s)) for (const name of declaredNames(s)) cx.scope.set(name.text, poison);
  const out: Collected = { losses, lossNames, params, overrides, unused, options, lost: false };
  const guessed: ast.Statement[] = [];
  const resting = new Set<string>();
  for (const statement of ordered) {
    for (const name of declaredNames(statement)) env.later.delete(name.text);
    if (broken.some((b) => overlap(b.span, statement.span))) {
      // What could be read of it is not what was meant.
      for (const name of declaredNames(statement)) cx.scope.set(name.text, poison);
      continue;
    }
    const { count } = env.guesses;
    runStatement(cx, statement, out);
    if (env.guesses.count === count && !freeNames(statement).some((n) => resting.has(n))) continue;
    guessed.push(statement);
    for (const name of declaredNames(statement)) resting.add(name.text);
  }
  const settable: Settable = {
    // The seed of the recipe is what sweeps repeat a program with.
    names: [...params.keys(), ...options, ...(params.has("seed") ? [] : ["seed"])],
    follows: new Map([...env.instances.values()].flatMap(({ instance: i }) => (i.training.kind === "ema" ? [[i.name, i.training.of]] : []))),
  };
  if (!params.has("seed")) unused.delete("seed");
  for (const path of unused) {
    // An instance with a mistake of its own, which has been told, may have had that option.
    if (cx.scope.get(path.split(".")[0] ?? "")?.kind === "poison") continue;
    diagnostics.add(report("JEP2025", program.span, { path }, meantSetting(path, settable)));
  }
  if (out.lost && !diagnostics.hasErrors() && !program.lacking) throw new Error("a loss was left out, and nothing was said");
  if (losses.length === 0 && !diagnostics.hasErrors()) diagnostics.add(noLoss(program));
  const encoders = diagnostics.hasErrors() ? [] : standaloneEncoders(cx, losses);
  const funcs = [...env.funcs.values()].filter((f): f is Func => f !== "failed");
  const tables = ownTables(cx);
  const graph: ModelGraph = {
    name: program.name, doc: program.doc, inputs: [...env.inputs.values()], views: [...env.views.values()], masks: [...env.masks.values()],
    instances: [...finishInstances(env), ...tables.instances], funcs, body: { inputs: cx.inputs, nodes: tables.nodes, results: losses.map((l) => l.node) }, losses,
    allowed: program.statements.flatMap((s) => (s.kind === "allow" ? [{ what: s.what.text, reason: reasonOf(s), origin: s.span }] : [])),
    origin: program.span,
  };
  return { graph, params, settable, encoders, encoderNames: encoderNames(cx), guessed: guessed.map((s) => s.span) };
}

/** That there is no loss; where a value is called `loss`, that the line of one has no `=`. */
function noLoss(program: Program): Diagnostic {
  const named = program.statements.find((s): s is ast.Binding => s.kind === "binding" && s.names.length === 1 && s.names[0]?.text === "loss");
  const name = named?.names[0];
  if (named === undefined || name === undefined) return report("JEP2026", program.span, { name: program.name });
  const between = { file: name.span.file, start: name.span.end, end: named.value.span.start };
  return report("JEP2026", name.span, { name: program.name }, {
    help: "This is a value called `loss`. A loss is written without `=`: `loss mse(a, b)`, or `loss name = …` with a name.",
    fixes: [{ title: "Make it a loss", edits: [{ span: between, text: " " }] }],
  });
}

function overlap(a: Span, b: Span): boolean {
  return a.file === b.file && a.start <= b.end && b.start <= a.end;
}

function encoderNames(cx: BodyCx): Map<string, string | undefined> {
  const told = [...cx.env.unknown.keys(), ...cx.env.lost].map((name): [string, undefined] => [name, undefined]);
  return new Map([...told, ...[...cx.scope].flatMap(([name, value]): [string, string | undefined][] => {
    if (value.kind === "poison") return [[name, undefined]];
    return value.kind === "instance" && cx.env.instances.get(value.path)?.instance.role === "encoder" ? [[name, value.path]] : [];
  })]);
}

/** Applies each encoder to a whole image in a body of its own; those that cannot run alone are left out. */
function standaloneEncoders(cx: BodyCx, losses: readonly LossTerm[]): EncoderEntry[] {
  const live = reachedFrom(cx.nodes, losses.map((l) => l.node));
  return [...cx.env.instances.values()].flatMap(({ instance }): EncoderEntry[] => {
    const scope = cx.scope.get(instance.name);
    if (instance.role !== "encoder" || scope?.kind !== "instance") return [];
    for (const image of pictures(cx, instance.name, live)) {
      const side: BodyCx = createBody(cx.env, createDiagnostics(), "model");
      const value = emitInput(side, image.name, imageType(image), image.origin);
      const all = applyInstance(side, scope, [{ name: undefined, value, span: instance.origin, bare: undefined }], instance.origin);
      // Of several results the first one is the encoder's output.
      const out = all.kind === "list" ? all.items[0] ?? poison : all;
      const node = out.kind === "tensor" ? side.nodes[out.id] : undefined;
      const call = node?.op === "result" ? side.nodes[node.args[0] ?? -1] : node;
      if (out.kind !== "tensor" || call?.op !== "call" || call.attrs.func === undefined) continue;
      const { name, origin: _, ...size } = image;
      return [{ name: instance.name, input: name, size, func: call.attrs.func, dims: call.attrs.dims ?? {}, result: out.type }];
    }
    return [];
  });
}

/**
 * The pictures that an encoder may be run alone on, best first: what the program applies it to where a loss sees that, what
 * it applies it to at all, and only then whatever else there is. An encoder of crops and of whole pictures takes the largest;
 * an average that is never applied, what its source takes. A view of its input's size counts as the input.
 */
function pictures(cx: BodyCx, name: string, live: ReadonlySet<NodeId>): ImageInput[] {
  const views = [...cx.env.views.values()].flatMap((v): ImageInput[] => {
    const source = cx.env.inputs.get(v.input);
    return source === undefined ? [] : [{ ...source, name: v.name, height: v.height, width: v.width, origin: v.origin }];
  });
  const all = [...cx.env.inputs.values(), ...views];
  const bySize = (given: ReadonlySet<string>): ImageInput[] => {
    const taken = all.filter((image) => given.has(image.name)).map((image) => {
      const input = cx.env.inputs.get(cx.env.views.get(image.name)?.input ?? "");
      return input !== undefined && input.height === image.height && input.width === image.width ? input : image;
    });
    return taken.sort((a, b) => b.height * b.width - a.height * a.width);
  };
  const given = appliedTo(cx, name);
  return [...new Set([...bySize(new Set(given.filter((g) => live.has(g.call)).map((g) => g.image))), ...bySize(new Set(given.map((g) => g.image))), ...all])];
}

/** The inputs and views that an instance is applied to, whole, at a mask or in a larger batch, by the call that does. */
function appliedTo(cx: BodyCx, name: string): { readonly call: NodeId; readonly image: string }[] {
  const found = cx.nodes.flatMap((node) => {
    if (node.op !== "call" || node.attrs.instance !== name) return [];
    return [...reachedFrom(cx.nodes, node.args)].flatMap((id) => {
      const source = cx.nodes[id];
      const same = node.args.some((arg) => samePicture(cx.nodes[arg]?.type, source?.type));
      return source?.op === "input" && same && source.attrs.path !== undefined ? [{ call: node.id, image: source.attrs.path }] : [];
    });
  });
  const training = cx.env.instances.get(name)?.instance.training;
  return found.length === 0 && training?.kind === "ema" ? appliedTo(cx, training.of) : found;
}

function samePicture(one: ValueType | undefined, other: ValueType | undefined): boolean {
  return one !== undefined && one.axes.includes("height") && one.shape.slice(1).map(constantOf).join() === other?.shape.slice(1).map(constantOf).join();
}

/** Nodes and all that they are computed from. */
function reachedFrom(nodes: readonly Node[], ids: readonly NodeId[]): ReadonlySet<NodeId> {
  const reached = new Set<NodeId>();
  const todo = [...ids];
  for (let id = todo.pop(); id !== undefined; id = todo.pop()) {
    if (reached.has(id)) continue;
    reached.add(id);
    todo.push(...(nodes[id]?.args ?? []));
  }
  return reached;
}

function reasonOf(statement: ast.Allow): string {
  return statement.reason?.kind === "string" ? statement.reason.value : "";
}

/** Instances with their parameters; a moving average that is never applied still has those of what it follows. */
function finishInstances(env: Env): Instance[] {
  return [...env.instances.values()].map(({ instance, params }) => {
    let own: ReadonlyMap<string, ParamDecl> = params;
    for (let at = instance; at.training.kind === "ema" && own.size === 0;) {
      const source = env.instances.get(at.training.of);
      if (source === undefined) break;
      own = source.params;
      at = source.instance;
    }
    return { ...instance, params: [...own.values()] };
  });
}

/** Position tables that the model itself adds, outside of any module: they are an instance of their own, which never trains. */
function ownTables(cx: BodyCx): { readonly instances: readonly Instance[]; readonly nodes: readonly Node[] } {
  const [first] = cx.params.values();
  if (first === undefined) return { instances: [], nodes: cx.nodes };
  let name = "positions";
  for (let i = 2; cx.scope.has(name) || cx.env.instances.has(name); i++) name = `positions_${i}`;
  const nodes = cx.nodes.map((node) => (node.op === "param" ? { ...node, attrs: { ...node.attrs, path: `${name}.${node.attrs.path ?? ""}` } } : node));
  return { instances: [{ name, role: "head", module: "sincos2d", config: {}, training: { kind: "frozen", init: "random" }, params: [...cx.params.values()], origin: first.origin }], nodes };
}

interface Collected {
  readonly losses: LossTerm[];
  readonly lossNames: Set<string>;
  readonly params: Map<string, Static>;
  readonly overrides: Overrides;
  readonly unused: Set<string>;
  /** Options of instances that can be overridden: `predict.depth`. */
  readonly options: string[];
  /** Whether a loss had no value: something was wrong, and has been told. */
  lost: boolean;
}

function runStatement(cx: BodyCx, statement: ast.Statement, out: Collected): void {
  switch (statement.kind) {
    case "param": runParam(cx, statement, out); break;
    case "input": runInput(cx, statement); break;
    case "view": runView(cx, statement); break;
    case "mask": runMask(cx, statement); break;
    case "instance": runInstance(cx, statement, out); break;
    case "binding": runModelBinding(cx, statement); break;
    case "loss": runLoss(cx, statement, out); break;
    case "allow": case "train": case "probe": break;
    default: cx.diagnostics.add(report("JEP2009", statement.span, { why: `\`${statement.kind === "learn" ? statement.role : statement.kind}\` belongs in a module, not in a model` }));
  }
}

function runParam(cx: BodyCx, statement: ast.Param, out: Collected): void {
  const name = statement.name.text;
  const override = out.overrides.get(name);
  out.unused.delete(name);
  if (override === undefined) cx.env.params.set(name, statement.span);
  const value: Value = override === undefined ? evaluate(cx, statement.value) : fromOutside(override);
  cx.scope.set(name, value);
  if (value.kind === "static") out.params.set(name, value.value);
}

function runInput(cx: BodyCx, statement: ast.Input): void {
  const name = statement.name.text;
  const { type } = statement;
  if (Object.hasOwn(otherInputs, type.name.text)) {
    runOtherInput(cx, statement);
    return;
  }
  const film = type.name.text === "Video";
  if (!film && type.name.text !== "Image") {
    cx.diagnostics.add(report("JEP3016", type.name.span, { type: type.name.text }, didYouMean(type.name.text, inputTypes, type.name.span)));
    cx.scope.set(name, poison);
    return;
  }
  const told = new Set<string>();
  const sizes = type.args.map((arg) => {
    // A wrong size is told once where height and width have it from one name.
    const again = arg.kind === "ref" && told.has(arg.name);
    if (arg.kind === "ref") told.add(arg.name);
    return asCount(evaluate(cx, arg), film ? "a size" : "an image size", arg.span, again ? createDiagnostics() : cx.diagnostics, 1, maxDimension);
  });
  const wanted = film ? 4 : 3;
  const frames = film ? sizes[0] : undefined;
  const [height, width, channels] = sizes.slice(-3);
  if (sizes.length !== wanted) cx.diagnostics.add(film ? report("JEP3019", type.span, { type: "Video", usage: "Video[frames, height, width, channels]", found: sizes.length }) : report("JEP3017", type.span, { found: sizes.length }));
  if (height === undefined || width === undefined || channels === undefined || sizes.length !== wanted || (film && frames === undefined)) {
    cx.scope.set(name, poison);
    return;
  }
  const size = height * width * channels * (frames ?? 1);
  if (size > maxDimension) {
    cx.diagnostics.add(report("JEP2011", type.span, { what: film ? "the size of the clip" : "the size of the image", bounds: bounds(1, maxDimension), found: size }));
    cx.scope.set(name, poison);
    return;
  }
  const [other] = cx.env.inputs.values();
  if (other !== undefined && other.channels !== channels) cx.diagnostics.add(report("JEP3023", type.args.at(-1)?.span ?? type.span, { name, found: channels, other: other.name, others: other.channels }, { related: [{ span: other.origin, message: `\`${other.name}\` is declared here` }] }));
  const image: ImageInput = { name, ...(frames === undefined ? {} : { frames }), height, width, channels, origin: statement.span };
  cx.env.inputs.set(name, image);
  cx.scope.set(name, emitInput(cx, name, imageType(image), statement.span));
}

interface OtherInput {
  readonly axes: readonly (readonly Axis[])[];
  readonly space: ValueType["space"];
  readonly usage: string;
}

/** What may come with a picture or clip. */
const otherInputs: Readonly<Record<string, OtherInput>> = {
  Action: { axes: [["feature"], ["time", "feature"]], space: { kind: "actions" }, usage: "Action[size] or Action[moments, size]" },
  Label: { axes: [["feature"]], space: { kind: "labels" }, usage: "Label[classes]" },
};

/** All types that an input may have. */
export const inputTypes: readonly string[] = ["Image", "Video", ...Object.keys(otherInputs)];

/** `input action: Action[15, 7]`: `[B, 15, 7]`. A label is the one-hot row `[B, classes]`. */
function runOtherInput(cx: BodyCx, statement: ast.Input): void {
  const name = statement.name.text;
  const kind = own(otherInputs, statement.type.name.text);
  const sizes = statement.type.args.map((arg) => asCount(evaluate(cx, arg), "a size", arg.span, cx.diagnostics, 1, maxDimension));
  const axes = kind?.axes.find((a) => a.length === sizes.length);
  const shape = sizes.flatMap((n) => (n === undefined ? [] : [constantDim(n)]));
  if (kind !== undefined && axes === undefined) cx.diagnostics.add(report("JEP3019", statement.type.span, { type: statement.type.name.text, usage: kind.usage, found: sizes.length }));
  if (kind === undefined || axes === undefined || shape.length !== sizes.length) {
    cx.scope.set(name, poison);
    return;
  }
  const type: ValueType = { shape: [batch, ...shape], axes: ["batch", ...axes], positions: noPositions, space: kind.space, dtype: "f32", pending: undefined };
  cx.scope.set(name, emitInput(cx, name, type, statement.span));
}

/** The type of an image input: `[B, height, width, channels]` in pixels; of clips `[B, frames, height, width, channels]`. */
function imageType({ frames, height, width, channels }: Pick<ImageInput, "frames" | "height" | "width" | "channels">): ValueType {
  return {
    shape: [batch, ...[...(frames === undefined ? [] : [frames]), height, width, channels].map(constantDim)],
    axes: ["batch", ...(frames === undefined ? [] : ["time" as const]), "height", "width", "channel"], positions: noPositions, space: { kind: "pixels" }, dtype: "f32", pending: undefined,
  };
}

/** `view a, b = augment(image) { random_resized_crop(…) flip(p: 0.5) }` */
function runView(cx: BodyCx, statement: ast.View): void {
  const call = statement.value;
  const source = call.kind === "call" && call.callee.kind === "ref" && call.callee.name === "augment" ? call.args[0]?.value : undefined;
  const input = source?.kind === "ref" ? cx.env.inputs.get(source.name) : undefined;
  if (call.kind !== "call" || input === undefined) {
    const known = source?.kind === "ref" ? cx.scope.get(source.name) : undefined;
    // What stands there is not known, or has a mistake of its own: that is told, and not that a view is made otherwise.
    if (source?.kind === "ref" && known === undefined && !cx.env.modules.has(source.name)) evaluate(cx, source);
    else if (call.kind !== "hole" && known?.kind !== "poison") cx.diagnostics.add(report("JEP2027", call.span, {}));
    for (const name of statement.names) cx.scope.set(name.text, poison);
    return;
  }
  const named = call.args.filter((a) => a.name !== undefined);
  const taken = createTaken("augment", cx.diagnostics);
  const [size] = named.filter((a) => a.name?.text === "size" && taken.take("size", placeOf(a)));
  for (const { name } of named) {
    if (name !== undefined && name.text !== "size") cx.diagnostics.add(report("JEP2004", name.span, { callee: "augment", name: name.text, known: "`size`, the side of the view where it is not the input's" }, ["crop", "crop_size", "side", "resolution", "image_size"].includes(name.text) ? { fixes: [{ title: "write `size`", edits: [{ span: name.span, text: "size" }] }] } : { help: "`size` is its one argument; transforms stand in braces behind it: `{ flip(p: 0.5) }`." }));
  }
  const [high, wide] = (size === undefined ? undefined : asSides(evaluate(cx, size.value), "`size`", size.span, cx.diagnostics)) ?? [];
  const transforms = readTransforms(cx, [...behindFirst(call.args).filter(({ arg }) => !named.includes(arg)), ...inBlock(call.block ?? [])], input.channels);
  for (const name of statement.names) {
    const view = { name: name.text, input: input.name, height: high ?? input.height, width: wide ?? input.width, transforms, origin: statement.span };
    cx.env.views.set(name.text, view);
    cx.scope.set(name.text, emitInput(cx, name.text, imageType({ ...input, height: view.height, width: view.width }), name.span));
  }
}

function runMask(cx: BodyCx, statement: ast.Mask): void {
  // A mask with a mistake still stands as far as it was read, so that the lines that use it are checked too.
  const mask = readMask(cx, statement);
  cx.env.masks.set(mask.name, mask);
  cx.scope.set(mask.name, { kind: "mask", name: mask.name });
}

function runInstance(cx: BodyCx, statement: ast.Instance, out: Collected): void {
  const name = statement.name.text;
  const value = evaluateModule(cx, statement.value);
  switch (value.kind) {
    case "module": case "partial": {
      const plain = value.kind === "module" ? { kind: "partial" as const, module: value.module, config: new Map<string, Value>() } : value;
      const partial = overridden(name, plain, statement, out);
      cx.scope.set(name, lacks(cx, partial, statement.value.span) ? poison : declareInstance(cx, name, statement.role, partial, statement.span));
      break;
    }
    case "following": {
      const source = cx.scope.get(value.of) ?? poison;
      const of = cx.env.instances.get(value.of);
      if (source.kind !== "instance" || of === undefined) {
        cx.diagnostics.add(report("JEP2010", statement.value.span, { what: "the source of `ema`", expected: "an encoder or head declared above", found: `\`${value.of}\`` }));
        cx.scope.set(name, poison);
      } else cx.scope.set(name, declareInstance(cx, name, statement.role, source.partial, statement.span, { kind: "ema", of: value.of, momentum: value.momentum }));
      break;
    }
    case "untrained":
      cx.scope.set(name, declareInstance(cx, name, statement.role, value.partial, statement.span, value.tuned === true ? { kind: "optimized" } : { kind: "frozen", init: value.init }, value.from));
      break;
    // Another name for the same parameters.
    case "instance": cx.scope.set(name, value); break;
    case "poison": cx.scope.set(name, poison); break;
    default:
      cx.diagnostics.add(report("JEP2010", statement.value.span, { what: `the ${statement.role} \`${name}\``, expected: "a module such as `vit(…)` or `ema(student, momentum: 0.996 -> 1.0)`", found: describe(value) }));
      cx.scope.set(name, poison);
  }
}

/** Whether a module lacks arguments that have no default: all of them are told where it is configured, and not where it is applied. */
function lacks(cx: BodyCx, { module, config }: Value & { kind: "partial" }, at: Span): boolean {
  const missing = module.config.filter((f) => f.default === undefined && !config.has(f.name.text)).map((f) => f.name.text);
  if (missing.length === 0) return false;
  const listed = missing.map((name) => `\`${name}: …\``);
  cx.diagnostics.add(report("JEP2005", at, { callee: module.name.text, name: missing.join("`, `") }, { help: `Add ${listed.length === 1 ? listed.join("") : `${listed.slice(0, -1).join(", ")} and ${listed.at(-1) ?? ""}`}.` }));
  return true;
}

/** Applies overrides of the form `predict.depth` to an instance's configuration. */
function overridden(name: string, partial: Value & { kind: "partial" }, statement: ast.Instance, out: Collected): Value & { kind: "partial" } {
  out.options.push(...partial.module.config.map((f) => `${name}.${f.name.text}`));
  const args = [...out.overrides].flatMap(([path, value]) => {
    if (!path.startsWith(`${name}.`) || !partial.module.config.some((f) => `${name}.${f.name.text}` === path)) return [];
    out.unused.delete(path);
    return [[path.slice(name.length + 1), fromOutside(value)] as const];
  });
  if (args.length === 0) return partial;
  // What is said from outside takes the place of what the program says.
  return { ...partial, config: new Map([...partial.config, ...args]), given: new Map([...(partial.given ?? []), ...args.map(([option]) => [option, { span: statement.span, bare: undefined }] as const)]) };
}

function runModelBinding(cx: BodyCx, statement: ast.Binding): void {
  runBinding(cx, statement);
  for (const name of statement.names) {
    const value = cx.scope.get(name.text);
    if (value?.kind === "tensor") nameNode(cx, value.id, name.text);
  }
}

function runLoss(cx: BodyCx, statement: ast.Loss, out: Collected): void {
  const value = evaluate(cx, statement.value);
  if (value.kind === "poison") out.lost = true;
  if (statement.name !== undefined && !isTaken(cx, statement.name.text)) cx.scope.set(statement.name.text, value);
  if (value.kind === "poison") return;
  if (value.kind !== "tensor" || value.type.shape.length > 0) {
    cx.diagnostics.add(report("JEP3018", statement.value.span, { found: value.kind === "tensor" ? `a tensor with the axes ${value.type.axes.join(", ")}` : describe(value) }));
    return;
  }
  if (statement.space !== undefined) {
    const declared = readSpace(cx, statement.space);
    if (declared !== undefined) checkDeclaredSpace(cx, value.id, declared, statement.space.span);
  }
  const terms = lossTerms(cx, value.id, 1, statement.name?.text, statement.span);
  for (const term of terms) {
    out.losses.push({ ...term, name: freeName(term.name, out.lossNames) });
  }
}

/** Whether a name stands for something else than a term: that it is declared twice has been told. */
function isTaken(cx: BodyCx, name: string): boolean {
  const known = cx.scope.get(name);
  return known !== undefined && (known.kind !== "tensor" || known.type.space.kind !== "scalar");
}

/** A name that no other has: `mse`, then `mse_2`. */
function freeName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let n = 2; taken.has(name); n++) name = `${wanted}_${n}`;
  taken.add(name);
  return name;
}
