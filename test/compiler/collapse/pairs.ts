/** Programs over two views of a picture for tests of single rules: lines of a model in, its verdict and reasons out. */
import { check } from "../../../compiler/compile.js";
import type { CheckResult } from "../../../compiler/compile.js";

/** The lines in a model with views `a` and `b`, an encoder `f`, its average `t`, and their pooled features `za`, `zb`, `tb`. */
export function pairOf(lines: string): string {
  return `use std.vit
use std.heads

model m {
  input image: Image[32, 32, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder f = vit(patch: 4, width: 32, depth: 2, heads: 2)
  encoder t = ema(f, momentum: 0.99)
  za = pool(f(a))
  zb = pool(f(b))
  tb = pool(t(b))
${lines.split("\n").map((line) => `  ${line}`).join("\n")}
}

train m {
  data shapes(count: 256)
  epochs 1
  batch 64
}
`;
}

/** The check of such a model. */
export function checked(lines: string): CheckResult {
  return check({ file: "m.jepa", text: pairOf(lines) });
}

/** Verdict and rules in one line. */
export function outcomeOf(lines: string): string {
  const { analyses, diagnostics } = checked(lines);
  return analyses === undefined ? `refused ${diagnostics.map((d) => `${d.code} ${d.message}`).join("; ")}` : [analyses.program.verdict, ...analyses.program.rules.toSorted()].join(" ");
}
