/** Compiles source text to a step program without any target, for comparing numbers. */
import { check, lowerChecked } from "../../../compiler/compile.js";
import { afterAutodiff, beforeAutodiff } from "../../../compiler/passes/pipelines.js";
import { buildStep } from "../../../compiler/targets/build-step.js";
import type { StepProgram } from "../../../compiler/targets/step.js";
import { read } from "./programs.js";

/** The step program of a text, with no target's own passes; fails on any diagnostic of severity error. */
export function compileStep(text: string, program?: string): StepProgram {
  const result = check({ file: "test.jepa", text, read }, program === undefined ? {} : { program });
  const errors = result.diagnostics.filter((d) => d.severity === "error");
  if (result.checked === undefined || errors.length > 0) throw new Error(errors.map((d) => `${d.code} ${d.message}`).join("\n"));
  const lowered = lowerChecked(result.checked);
  const source = { name: result.checked.graph.name, doc: undefined, file: "test.jepa", texts: result.texts };
  return buildStep(lowered, source, { before: beforeAutodiff, after: afterAutodiff }).step;
}
