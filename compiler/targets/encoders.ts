/**
 * The encoders of a program as text: tensor IR before any pass of a target, without gradients.
 *
 * Owns the one file that lets somebody who has only a compiled program (a run's folder) go on to other formats: what an
 * encoder computes, in the notation of docs/ir/tensor-ir.md, free of everything that training needs. Its size does not follow depth.
 */
import type { Lowered } from "../lower/program.js";
import type { Module } from "../tensor/ir.js";
import { printModule } from "../tensor/print.js";
import { reachable } from "../tensor/visit.js";

/** The name of the file in a compiled program. */
export const encodersFile = "encoders.txt";

/** The function of an encoder in that file. */
export function encoderFunction(encoder: string): string {
  return `encode_${encoder}`;
}

/** The functions that encoders need, and nothing else. */
function encoderModule(lowered: Pick<Lowered, "module" | "encoders">): Module {
  const needed = reachable(lowered.module, lowered.encoders.map((e) => e.func));
  return { funcs: new Map([...lowered.module.funcs].filter(([name]) => needed.has(name))) };
}

/** The text of the file. */
export function encodersText(lowered: Pick<Lowered, "module" | "encoders">): string {
  return printModule(encoderModule(lowered));
}
