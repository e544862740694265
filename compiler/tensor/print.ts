/**
 * The IR as text.
 *
 * Owns the notation of `docs/ir/tensor-ir.md`; `parse.ts` reads exactly what this writes, so that any stage can be dumped,
 * edited and fed back, and tests can be written in it. Attributes print by their kind in the op table: a new op needs
 * nothing here. Long lines are not broken: one node, one line, so that differences of dumps are differences of nodes.
 */
import { printDim, printShape } from "../types/dim.js";
import type { Func, Module, Node, ValueId } from "./ir.js";
import { typeOf } from "./ir.js";
import type { AttrKind } from "./ops.js";
import { specOf } from "./ops.js";
import { printType } from "./shapes.js";
import type { Dim } from "../types/dim.js";

/** How to print. */
export interface PrintOptions {
  /** Source positions at the end of lines; needed for reading back what was printed. Default true. */
  readonly origins?: boolean;
}

/** Text of a module, functions in order. */
export function printModule(module: Module, options: PrintOptions = {}): string {
  return [...module.funcs.values()].map((f) => printFunc(f, options)).join("\n");
}

/** Text of a function. */
export function printFunc(func: Func, options: PrintOptions = {}): string {
  const origins = options.origins ?? true;
  const origin = (span: Func["origin"]): string => (origins && span ? ` @${JSON.stringify(span.file)}:${span.start}:${span.end}` : "");
  const lines = [
    ...(func.doc === undefined ? [] : func.doc.split("\n").map((line) => `/// ${line}`.trimEnd())),
    `func ${func.name}(${func.dims.join(", ")})${origin(func.origin)} {`,
    ...func.inputs.map((i) => `  ${label(func, i.value)} = ${i.role} ${JSON.stringify(i.path)}: ${printType(typeOf(func, i.value))}`),
    ...func.nodes.map((node) => `  ${printNode(func, node)}${origin(node.origin)}`),
    ...func.outputs.map((o) => `  return ${o.role} ${JSON.stringify(o.path)} = %${o.value}`),
    "}",
  ];
  return `${lines.join("\n")}\n`;
}

/** Text of a node, without its origin. */
function printNode(func: Func, node: Node): string {
  const results = node.results.map((r) => label(func, r)).join(", ");
  const types = node.results.map((r) => printType(typeOf(func, r))).join(", ");
  return `${results} = ${node.op}(${node.args.map((a) => `%${a}`).join(", ")})${printAttrs(node)}: ${types}`;
}

function label(func: Func, id: ValueId): string {
  const name = func.values[id]?.name;
  return name === undefined ? `%${id}` : `%${id} ${JSON.stringify(name)}`;
}

function printAttrs(node: Node): string {
  const own = new Map<string, unknown>(Object.entries(node.attrs));
  const kinds = Object.entries(specOf(node.op).attrs);
  if (kinds.length === 0) return "";
  return ` {${kinds.map(([name, kind]) => `${name}: ${printAttr(kind, own.get(name))}`).join(", ")}}`;
}

function printAttr(kind: AttrKind, value: unknown): string {
  switch (kind) {
    case "dim":
      return isDim(value) ? printDim(value) : "?";
    case "dims":
      return Array.isArray(value) ? printShape(value.filter(isDim)) : "?";
    case "integers":
      return Array.isArray(value) ? `[${value.join(", ")}]` : "?";
    case "bindings":
      return typeof value === "object" && value !== null ? printBindings(value) : "?";
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "integer":
    case "boolean":
    case "name":
      return String(value);
  }
}

function printBindings(value: object): string {
  return `{${Object.entries(value).map(([s, d]) => `${s}: ${isDim(d) ? printDim(d) : "?"}`).join(", ")}}`;
}

function isDim(x: unknown): x is Dim {
  return typeof x === "object" && x !== null && "kind" in x && x.kind === "dim";
}
