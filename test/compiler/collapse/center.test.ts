/** A center that never moves from zero centers nothing. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { applyFixes, certainFixes } from "../../../compiler/messages/fixes.js";
import { outcomeOf, pairOf } from "./pairs.js";

const dino = (center: string, temperature = 0.04): string => `head d = dino_head(64, 32, 64)\nhead dt = ema(d, momentum: 0.99)\n${center}\nloss cross_entropy(d(za), stopgrad(softmax(c(dt(tb)), temperature: ${temperature})), temperature: 0.1)`;
const none = "head c = same()";
const modules = "module same() (x: Features[w]) -> Features[w] {\n  x\n}\n\nmodule own_center() (x: Features[w]) -> Features[w] {\n  state running[w] ~ zeros\n  recenter(x, running, 1)\n}\n\nmodel m";
const outcome = (lines: string): string => {
  const { analyses, diagnostics } = check({ file: "m.jepa", text: pairOf(lines).replace("model m", modules) });
  return analyses === undefined ? diagnostics.map((d) => d.message).join() : [analyses.program.verdict, ...analyses.program.rules].join(" ");
};

test.each(["head c = center(momentum: 1)", "head c = center(momentum: 1.0)", "head c = center(1)", "param keep = 1\nhead c = center(momentum: keep)", "head c = own_center()", none])("%s: one code takes all images", (center) => {
  expect(outcome(dino(center))).toBe("error E-ONEHOT");
  expect(outcome(dino(center, 0.1))).toBe(outcome(dino(none, 0.1)));
  expect(outcome(`${center}\nloss mse(za, stopgrad(c(tb)))`)).toBe("error E-NOPRED");
});

test("below 1 it centers, if slowly", () => {
  expect(outcomeOf(dino("head c = center()"))).toBe("sound");
  expect(outcomeOf(dino("head c = center(momentum: 0.99)"))).toBe("sound");
  expect(outcomeOf(dino("head c = center(momentum: 0.9999)"))).toBe("risky W-TEMP");
});

test("the fix lets it move", () => {
  const text = pairOf(dino("head c = center(momentum: 1.0)"));
  const { diagnostics } = check({ file: "m.jepa", text });
  const mended = applyFixes(text, "m.jepa", certainFixes(diagnostics)).text;
  expect(mended).toContain("head c = center(momentum: 0.9)");
  expect(check({ file: "m.jepa", text: mended }).analyses?.program.verdict).toBe("sound");
});
