/**
 * Elementwise kernels, and epilogues: elementwise work at the end of another kernel, on what that has just computed.
 *
 * Texts of elements are made in `elements.ts`, words for headers in `words.ts`. Owns how epilogues address operands, one element or
 * four at a time.
 */
import { IrError } from "../../../tensor/ir.js";
import type { Dim } from "../../../types/dim.js";
import { printShape, product } from "../../../types/dim.js";
import { loadKind, movingAxes } from "../fuse.js";
import type { MapWork, Op, View } from "../graph.js";
import type { Draft } from "../kernel.js";
import { KernelWriter, linearEntry, up } from "../kernel.js";
import { exprText, mapLines, readerFor } from "./elements.js";
import { formulas, operandWords } from "./words.js";

/** The dispatch of a map. */
export function mapDraft(op: Op, work: MapWork): Draft {
  const moves = work.loads.length > 0 && work.exprs.every((e) => e.kind === "load");
  const w = new KernelWriter(moves ? "copy" : work.loads.length === 0 ? "fill" : "map", moves ? "Copies elements into another order." : "Elementwise");
  const entry = linearEntry(w.size("n", product(work.shape)));
  const { lines, values } = mapLines(w, work, "");
  const stores = work.outs.map((out, i) => {
    const value = values[i];
    if (value === undefined) throw new IrError("wgsl target: a map has as many expressions as results.");
    return `  ${w.write(work.outs.length === 1 ? "y" : `y${i}`, out)("i", value)}`;
  });
  if (!moves) w.also(`: ${formulas(work.exprs, { loads: operandWords(w, work.loads, "x"), acc: undefined })}.`);
  return w.finish(`${[entry, ...lines, ...stores].join("\n")}\n}`, [up(product(work.shape), 256)], op.origin, printShape(work.shape));
}

/**
 * Lines that finish one element: `i` is its place in the result, `col` its column, `acc` what was computed. Without an
 * epilogue `acc` is stored.
 */
export function finishLines(w: KernelWriter, epilogue: MapWork | undefined, out: MapWork["outs"][number], n: Dim, indent: string): string[] {
  if (epilogue === undefined) return [`${indent}${w.write("y", out)("i", "acc")}`];
  const loads = epilogue.loads.map((l, slot) => {
    return `${indent}let v${slot} = ${readerFor(w, `e${slot}`, l.tensor)(loadAddress(w, l, n, slot))};`;
  });
  const stores = epilogue.outs.map((t, i) => {
    const expr = epilogue.exprs[i];
    if (expr === undefined) throw new IrError("wgsl target: an epilogue has as many expressions as results.");
    return `${indent}${w.write(epilogue.outs.length === 1 ? "y" : `y${i}`, t)("i", exprText(w, expr))}`;
  });
  return [...loads, ...stores];
}

/** What an epilogue computes of `acc`, in words, and how its operands lie; for a kernel that has bound them. */
export function finishWords(w: KernelWriter, epilogue: MapWork | undefined, n: Dim, acc: string): string {
  if (epilogue === undefined) return `y = ${acc}`;
  const loads = operandWords(w, epilogue.loads, "e");
  const lie = epilogue.loads.map((l, slot): string => {
    const { word, variable } = loads[slot] ?? { word: "", variable: "" };
    return `${word}${word === variable ? "" : ` (${variable})`} ${laid[loadKind(l, n) ?? "element"]}`;
  });
  return `${formulas(epilogue.exprs, { loads, acc })}${lie.length === 0 ? "" : `, with ${[...new Set(lie)].join(", ")}`}`;
}

const laid = { element: "for each element", column: "for each column", one: "one number", cycle: "repeated" } as const;

/** Where an epilogue finds an operand for element `i` in column `col`. */
function loadAddress(w: KernelWriter, l: View, n: Dim, slot: number): string {
  switch (loadKind(l, n)) {
    case "element": return "i";
    case "column": return "col";
    case "one": return "0u";
    case "cycle": return `i % ${w.size(`cycle${slot}`, product(movingAxes(l)))}`;
    case undefined: throw new IrError("wgsl target: an epilogue cannot address an operand.");
  }
}

/** The same for four columns of a row at once: `accs` is a vec4, and `i` a multiple of 4. */
export function finishQuad(w: KernelWriter, epilogue: MapWork | undefined, out: MapWork["outs"][number], n: Dim, indent: string): string[] {
  if (epilogue === undefined) return [`${indent}${w.write("y", out, 4).quad("i", "accs")}`];
  const kinds = epilogue.loads.map((l) => loadKind(l, n));
  const loads = epilogue.loads.map((l, slot) => (kinds[slot] === "one"
    ? `${indent}let v${slot} = ${readerFor(w, `e${slot}`, l.tensor)("0u")};`
    : `${indent}let four${slot} = ${readerFor(w, `e${slot}`, l.tensor, 4).quad(loadAddress(w, l, n, slot))};`));
  const results = epilogue.outs.map((_, i) => `${indent}var result${i}: vec4<f32>;`);
  const lanes = [0, 1, 2, 3].flatMap((lane) => [
    `${indent}{`,
    `${indent}  let acc = accs[${lane}];`,
    ...kinds.flatMap((kind, slot) => (kind === "one" ? [] : [`${indent}  let v${slot} = four${slot}[${lane}];`])),
    ...epilogue.exprs.map((e, i) => `${indent}  result${i}[${lane}] = ${exprText(w, e)};`),
    `${indent}}`,
  ]);
  const stores = epilogue.outs.map((t, i) => `${indent}${w.write(epilogue.outs.length === 1 ? "y" : `y${i}`, t, 4).quad("i", `result${i}`)}`);
  return [...loads, ...results, ...lanes, ...stores];
}
