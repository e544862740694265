/**
 * How an IR function looks in JavaScript: which values go by themselves and which in objects.
 *
 * `f(k, p, saved, a, b)` returns its results, or an array of them where there are several: the ordinary ones, then the
 * object of parameter gradients, then the object of saved values. Also the sizes a function cannot read off a shape,
 * which come as numbers at the end. Callers and the function itself read the same signature, so they agree.
 */
import type { Func, Module } from "../../tensor/ir.js";
import type { Seg } from "./access.js";
import { pathOf, star } from "./access.js";

/** An input or output (by index) at its place in an object. */
export interface Place {
  readonly index: number;
  readonly rel: readonly Seg[];
}

/** The form of one function. */
export interface Signature {
  /** Its JavaScript name. */
  readonly name: string;
  readonly func: Func;
  readonly params: readonly Place[];
  readonly saved: readonly Place[];
  /** Inputs by themselves. */
  readonly inputs: readonly number[];
  /** Outputs by themselves. */
  readonly results: readonly number[];
  readonly grads: readonly Place[];
  /** Filled when the function has been written: names of saved values come from its locals. */
  readonly savedResults: readonly Place[];
  /** Dimension symbols that the caller passes as numbers. */
  readonly extraDims: readonly string[];
}

/** The signature as far as it is known before the body is written. */
export function signatureOf(module: Module, func: Func, name: string, layouts: readonly Signature[]): Signature {
  const paramPaths = parameterPaths(module, func);
  const params = places(func.inputs, (input) => (input.role === "param" ? pathOf(input.path) : undefined));
  const savedIds = func.inputs.flatMap((input, i) => (input.role === "saved" ? [i] : []));
  const layout = forwardLayout(func, layouts);
  const saved = savedIds.map((index): Place => {
    const path = func.inputs[index]?.path ?? "";
    const depth = func.values[func.inputs[index]?.value ?? -1]?.type.stack.length ?? 0;
    return { index, rel: layout?.get(path) ?? [{ kind: "key", key: path }, ...Array.from({ length: depth }, () => star)] };
  });
  const grads = places(func.outputs, (o) => (o.role === "grad" && paramPaths.has(o.path) ? pathOf(o.path) : undefined));
  const own = new Set(grads.map((g) => g.index));
  return {
    name,
    func,
    params,
    saved,
    inputs: func.inputs.flatMap((input, i) => (input.role === "param" || input.role === "saved" ? [] : [i])),
    results: func.outputs.flatMap((o, i) => (o.role === "saved" || own.has(i) ? [] : [i])),
    grads,
    savedResults: [],
    extraDims: [],
  };
}

function places<T>(items: readonly T[], rel: (item: T) => Seg[] | undefined): Place[] {
  return items.flatMap((item, index) => {
    const path = rel(item);
    return path === undefined ? [] : [{ index, rel: path }];
  });
}

/** The name of the function whose derivative this one belongs to. */
export function baseName(name: string): string {
  return name.replace(/(_(forward|backward|step)(_\d+)?)+$/, "");
}

/** Paths of parameters, also those that a backward function has a gradient for but no need of. */
function parameterPaths(module: Module, func: Func): Set<string> {
  const base = baseName(func.name);
  const family = [func, ...[...module.funcs.values()].filter((f) => f.name === base || baseName(f.name) === base)];
  return new Set(family.flatMap((f) => f.inputs.flatMap((i) => (i.role === "param" ? [i.path] : []))));
}

/** The places that the forward of the same name gave its saved values, where it saved all that this function takes. */
function forwardLayout(func: Func, known: readonly Signature[]): Map<string, readonly Seg[]> | undefined {
  const wanted = func.inputs.flatMap((i) => (i.role === "saved" ? [i.path] : []));
  for (const sig of known) {
    if (baseName(sig.func.name) !== baseName(func.name)) continue;
    const layout = new Map(sig.savedResults.map((p) => [sig.func.outputs[p.index]?.path ?? "", p.rel]));
    if (wanted.length > 0 && wanted.every((path) => layout.has(path))) return layout;
  }
  return undefined;
}
