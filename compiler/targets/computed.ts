/**
 * What an encoder computes, as a text that says nothing else: equal texts compute equal values of equal parameters.
 *
 * Parameters with the right names and shapes are not yet the right function: a program may bring its own `block`, or other
 * heads. Owns the comparison of functions by their tensor IR; where weights of one program go into another one, and where an
 * encoder is held against the library's, it is asked. Reading weights is for the runtime.
 */
import type { Func, Module } from "../tensor/ir.js";
import { funcOf } from "../tensor/ir.js";
import { calleeOf } from "../tensor/visit.js";
import { encoderFunction } from "./encoders.js";

/** An encoder's function and all it calls as text without names, comments and places: equal text computes equal values. */
export function computed(module: Module, encoder: string): string {
  const root = encoderFunction(encoder);
  const names = new Map<string, string>();
  const parts: string[] = [];
  const visit = (name: string): void => {
    if (names.has(name)) return;
    names.set(name, `f${names.size}`);
    const func = funcOf(module, name);
    for (const node of func.nodes) {
      const callee = calleeOf(node);
      if (callee !== undefined) visit(callee);
    }
    parts.push(bare(func, names, name === root ? encoder : ""));
  };
  visit(root);
  return parts.join("\n");
}

/**
 * `encoder` is the owner of the parameters, where their paths begin with its name. Data is known by its place among
 * the inputs, and a table of positions by being the one, whatever grid is in its name.
 */
function bare(func: Func, names: ReadonlyMap<string, string>, encoder: string): string {
  const short = (path: string): string => (encoder !== "" && path.startsWith(`${encoder}.`) ? path.slice(encoder.length + 1) : path);
  const pathOf = ({ role, path }: Func["inputs"][number]): string => (role === "data" ? "" : short(path).replace(/^pos_embed_\d+x\d+(?:x\d+(?:_3d)?)?$/, "pos_embed"));
  const known = (key: string, value: unknown): unknown => (key === "fn" && typeof value === "string" ? names.get(value) ?? value : value);
  return JSON.stringify({
    dims: func.dims,
    inputs: func.inputs.map((i) => [i.value, i.role, pathOf(i)]),
    outputs: func.outputs.map((o) => o.value),
    types: func.values.map((v) => v.type),
    nodes: func.nodes.map((n) => [n.op, n.args, n.results, n.attrs]),
  }, known);
}
