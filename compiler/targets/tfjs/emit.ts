/**
 * The tfjs target: a step program as one readable ES module.
 *
 * Owns the file as a whole: header, `step` and `encoders` (the contract of `TfjsModule`), and the order of functions: from
 * the whole to its parts, each forward with its backward beside it. Functions that come out as the same text are written
 * once (the block of an encoder and that of a predictor). Single functions are `function.ts`. Length does not follow depth:
 * a repeated block is one function and one loop.
 */
import type { Func } from "../../tensor/ir.js";
import { IrError, typeOf } from "../../tensor/ir.js";
import { reachable } from "../../tensor/visit.js";
import { printShape } from "../../types/dim.js";
import type { OutputFile } from "../files.js";
import type { StepProgram } from "../step.js";
import type { Leaf } from "./access.js";
import { bundleText } from "./access.js";
import type { WrittenFunc } from "./function.js";
import { writeFunc } from "./function.js";
import { Scope, property, propertyKey } from "./names.js";
import type { Signature } from "./signature.js";
import { baseName, signatureOf } from "./signature.js";
import { Lines, docComment, wrap } from "./text.js";

/** The module of a program, `model.mjs`: see `TfjsModule` in the runtime's contract. */
export function emitTfjs(program: StepProgram): readonly OutputFile[] {
  const { order, written, signatures } = writeAll(program);
  const blocks = [
    header(program),
    stepText(program, signatures),
    encodersText(program, signatures),
    ...order.map((name) => functionText(name, written)),
  ];
  return [{ path: "model.mjs", text: `${blocks.map((lines) => lines.join("\n")).join("\n\n")}\n` }];
}

interface Written {
  readonly text: WrittenFunc;
  /** All functions that this text serves. */
  readonly serves: Func[];
}

interface AllWritten {
  readonly order: readonly string[];
  readonly written: ReadonlyMap<string, Written>;
  readonly signatures: ReadonlyMap<string, Signature>;
}

/** Writes all functions twice: which of them come out the same is known after the first time, and then so are the names. */
function writeAll(program: StepProgram): AllWritten {
  const roots = [program.forward, program.backward, ...program.encoders.map((e) => e.func)];
  const names = reachable(program.module, roots);
  const first = new Scope();
  const draft = writeNamed(program, new Map([...names].map((name) => [name, first.take(name)])), first);
  const top = new Scope();
  const shared = [...draft.written.values()].flatMap(({ serves }) => {
    const name = top.take(plainName(serves.map((f) => f.name)));
    return serves.map((f): [string, string] => [f.name, name]);
  });
  return writeNamed(program, new Map(shared), top);
}

/** What to call a function that serves several: the shortest of their names, without the number that kept them apart. */
function plainName(names: readonly string[]): string {
  const [shortest = "f"] = names.toSorted((a, b) => a.length - b.length || (a < b ? -1 : 1));
  return shortest.replace(/_\d+(?=_(forward|backward)|$)/, "");
}

function writeNamed(program: StepProgram, jsNames: ReadonlyMap<string, string>, top: Scope): AllWritten {
  const { module } = program;
  const lines = new Lines(program.sources);
  const signatures = new Map<string, Signature>();
  const written = new Map<string, Written>();
  const byKey = new Map<string, Written>();
  for (const func of module.funcs.values()) {
    const { name } = func;
    const jsName = jsNames.get(name);
    if (jsName === undefined) continue;
    const start = signatureOf(module, func, jsName, [...signatures.values()]);
    const text = writeFunc({ module, signatures, top, lines }, start);
    const same = byKey.get(text.key);
    if (same === undefined) {
      const entry: Written = { text, serves: [func] };
      byKey.set(text.key, entry);
      written.set(text.signature.name, entry);
    } else same.serves.push(func);
    signatures.set(name, { ...text.signature, name: (same?.text ?? text).signature.name });
  }
  return { order: readingOrder([...written.values()]), written, signatures };
}

/** From the whole to its parts; functions of one module beside each other, forward before backward. */
function readingOrder(entries: readonly Written[]): string[] {
  const families = new Map<string, string[]>();
  for (const { text } of entries) {
    const family = baseName(text.signature.name);
    families.set(family, [...(families.get(family) ?? []), text.signature.name]);
  }
  // A family stands where its last function does: callees come before callers in a module, so this is parts first.
  const last = new Map(entries.map(({ text }, i) => [baseName(text.signature.name), i]));
  return [...families].sort(([a], [b]) => (last.get(b) ?? 0) - (last.get(a) ?? 0)).flatMap(([, names]) => names);
}

function functionText(name: string, written: ReadonlyMap<string, Written>): string[] {
  const entry = written.get(name);
  if (entry === undefined) throw new IrError(`tfjs target: \`${name}\` has not been written.`);
  const { text, serves } = entry;
  const docs = [...new Set(serves.map((f) => docOf(f, name)).filter((doc) => doc !== ""))];
  const forms = [...new Set(serves.map((f) => formOf(f, text.signature)))];
  const shown = forms.length > 3 ? [...forms.slice(0, 3), `and ${forms.length - 3} more`] : forms;
  return [
    ...docComment([...docs, ...shown]),
    ...wrap(`function ${name}(${text.parameters.join(", ")}) {`, ""),
    ...text.body,
    "}",
  ];
}

/** The function's documentation as one paragraph; a backward names the function that it stands beside in this file. */
function docOf(func: Func, name: string): string {
  const doc = (func.doc ?? "").replace(/\s+/g, " ").trim();
  return /^The backward of `[^`]*`\.$/.test(doc) ? `The backward of \`${baseName(name)}\`.` : doc;
}

/** `x [B, T, 192] -> out [B, T, 192]`: what goes in and out beside parameters and saved values. */
function formOf(func: Func, { grads }: Signature): string {
  const item = (path: string, id: number): string => {
    const { stack, shape } = typeOf(func, id);
    return `${path} ${stack.map((n) => `${n} of `).join("")}${printShape(shape)}`;
  };
  const inputs = func.inputs.filter((i) => i.role !== "param" && i.role !== "saved").map((i) => item(i.path, i.value));
  const own = new Set(grads.map((g) => g.index));
  const outputs = func.outputs.filter((o, i) => o.role !== "saved" && !own.has(i));
  const results = outputs.map((o) => item(o.role === "grad" ? `d ${o.path}` : o.path, o.value));
  return `${inputs.join(", ")}${inputs.length > 0 ? " " : ""}-> ${results.join(", ") || "gradients"}`;
}

function header(program: StepProgram): string[] {
  const doc = [(program.doc ?? "").replace(/\s+/g, " ").trim()].filter((text) => text !== "");
  return docComment([
    `${program.name}: one training step, forward and backward, on TensorFlow.js.`,
    ...doc,
    "",
    `Generated by jepac from ${program.file}; edit that, not this. Beside it, train.mjs trains (node train.mjs) and manifest.json holds`
      + " names, shapes and schedules. Depends on nothing: k is jepac's kernel library, p the tree of parameters.",
    "",
    "Reading it: f_forward returns what f returns, and last the values that f_backward will read; f_backward takes these, and returns"
      + " gradients of inputs, and last an object of parameter gradients shaped like p. A function frees what it made at last use;"
      + " saved values belong to the backward that takes them; arguments otherwise stay the caller's.",
  ]);
}

// The contract.

function stepText(program: StepProgram, signatures: ReadonlyMap<string, Signature>): string[] {
  const forward = signatureFor(signatures, program.forward);
  const backward = signatureFor(signatures, program.backward);
  const scope = new Scope();
  for (const sig of signatures.values()) scope.take(sig.name);
  const inputs = new Map<string, string>();
  const lines: string[] = [];
  for (const [kind, list] of [["images", program.images], ["numbers", program.numbers], ["masks", undefined], ["draws", program.draws], ["weights", program.weights.map((w) => w.input)]] as const) {
    const names = entryInputs([forward, backward], list);
    const bound = names.map((name) => {
      inputs.set(name, scope.take(name));
      return name;
    });
    if (bound.length > 0) lines.push(`const { ${bound.map((n) => boundProperty(program.weights.find((w) => w.input === n)?.loss ?? n, inputs.get(n) ?? n)).join(", ")} } = inputs.${kind};`);
  }
  const results = forward.results.map((index) => {
    const output = forward.func.outputs[index];
    const { path, role } = output ?? { path: "", role: "data" as const };
    const stack = output === undefined ? [] : typeOf(forward.func, output.value).stack;
    return { path, role, stack, name: scope.take(role === "data" ? "state" : path) };
  });
  const saved = forward.savedResults.length > 0 ? scope.take("saved") : undefined;
  const names = [...results.map((r) => r.name), ...(saved === undefined ? [] : [saved])];
  const target = names.length === 1 ? (names[0] ?? "") : `[${names.join(", ")}]`;
  const grads = scope.take("grads");
  lines.push(`const ${target} = ${callOf(forward, inputs, undefined)};`);
  lines.push(`const ${grads} = ${callOf(backward, inputs, savedText(forward, backward, saved))};`);
  const [total, ...terms] = results.filter((r) => r.role === "loss");
  if (total === undefined) throw new IrError("tfjs target: the program has no objective.");
  const object = (list: readonly { path: string; name: string }[]): string =>
    list.length === 0 ? "{}" : `{ ${list.map((r) => property(r.path, r.name)).join(", ")} }`;
  const fields = [
    property("loss", total.name),
    `losses: ${object(terms)}`,
    property("grads", grads),
    `watch: ${object(results.filter((r) => r.role === "watch"))}`,
    `state: ${object(results.filter((r) => r.role === "data").flatMap((r) => elements(r.path, r.name, r.stack)))}`,
  ];
  lines.push(`return { ${fields.join(", ")} };`);
  return [
    ...docComment(["One forward and backward pass. The caller owns every tensor of the result; parameters and inputs stay his."]),
    "export function step(k, p, inputs) {",
    ...lines.flatMap((line) => wrap(line, "  ")),
    "}",
  ];
}

/** State of a list of modules, one entry for each: `blocks.*.mean` held in `state` as `blocks.0.mean: state[0]`, … */
function elements(path: string, name: string, stack: readonly number[]): { path: string; name: string }[] {
  const [count, ...rest] = stack;
  if (count === undefined) return [{ path, name }];
  return Array.from({ length: count }, (_, i) => elements(path.replace("*", String(i)), `${name}[${i}]`, rest)).flat();
}

function boundProperty(key: string, name: string): string {
  return key === name ? key : `${propertyKey(key)}: ${name}`;
}

/** Names of entry inputs: those of a list, or the index inputs. */
function entryInputs(sigs: readonly Signature[], list: readonly string[] | undefined): string[] {
  const all = sigs.flatMap((sig) => sig.inputs.flatMap((i) => sig.func.inputs[i] ?? []));
  const own = all.filter((i) => (list === undefined ? i.role === "index" : (i.role === "data" || i.role === "scalar") && list.includes(i.path)));
  return [...new Set(own.map((i) => i.path))];
}

function signatureFor(signatures: ReadonlyMap<string, Signature>, name: string): Signature {
  const sig = signatures.get(name);
  if (sig === undefined) throw new IrError(`tfjs target: there is no function \`${name}\`.`);
  if (sig.extraDims.length > 0) throw new IrError(`tfjs target: no input of \`${name}\` decides the dimension ${sig.extraDims.join(", ")}.`);
  return sig;
}

function callOf(sig: Signature, inputs: ReadonlyMap<string, string>, saved: string | undefined): string {
  const args = ["k"];
  if (sig.params.length > 0) args.push("p");
  if (sig.saved.length > 0) args.push(saved ?? "{}");
  for (const index of sig.inputs) {
    const input = sig.func.inputs[index];
    if (input?.role === "cotangent") args.push("k.scalar(1)");
    else args.push(inputs.get(input?.path ?? "") ?? unknownInput(sig, input?.path));
  }
  return `${sig.name}(${args.join(", ")})`;
}

/** What forward saved, in the form in which backward takes it: as a rule the same object. */
function savedText(forward: Signature, backward: Signature, root: string | undefined): string | undefined {
  if (root === undefined) return undefined;
  const places = new Map(forward.savedResults.map(({ index, rel }) => [forward.func.outputs[index]?.path, rel]));
  return bundleText(backward.saved.map(({ index, rel }): Leaf => {
    const input = backward.func.inputs[index];
    const path = places.get(input?.path);
    if (input === undefined || path === undefined) throw new IrError(`tfjs target: \`${backward.func.name}\` wants \`${input?.path}\`, which is not saved.`);
    return { rel, from: { root, path }, stack: typeOf(backward.func, input.value).stack };
  }));
}

function unknownInput(sig: Signature, path: string | undefined): never {
  throw new IrError(`tfjs target: input \`${path}\` of \`${sig.func.name}\` is neither an image, a number beside one, a mask nor a draw.`);
}

function encodersText(program: StepProgram, signatures: ReadonlyMap<string, Signature>): string[] {
  const entries = program.encoders.map(({ name, func }) => {
    const sig = signatureFor(signatures, func);
    const args = ["k", ...(sig.params.length > 0 ? ["p"] : []), ...sig.inputs.map(() => "image")];
    return `  ${property(name, `(k, p, image) => ${sig.name}(${args.join(", ")})`)},`;
  });
  return [
    ...docComment(["Encoders alone: token features of normalized images [n, H, W, C]. The caller owns the result."]),
    ...(entries.length === 0 ? ["export const encoders = {};"] : ["export const encoders = {", ...entries, "};"]),
  ];
}

