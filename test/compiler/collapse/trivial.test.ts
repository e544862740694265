/**
 * Trivial values of losses: against quadrature over a normal density, against the loss that a compiled program computes, and
 * which programs have which.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { check, compile } from "../../../compiler/compile.js";
import { expectedAtZero } from "../../../compiler/collapse/trivial.js";
import type { Manifest } from "../../../runtime/abi.js";
import { folder } from "./corpus.js";

const caseText = (name: string): string => readFileSync(join(folder, name), "utf8");

function manifestOf(text: string, target: Manifest["target"] = "tfjs"): Manifest {
  const { manifest, diagnostics } = compile({ file: "m.jepa", text }, { target });
  if (manifest === undefined) throw new Error(diagnostics.map((d) => d.message).join("; "));
  return manifest;
}

/** ∫ f(z) φ(z) dz over [−12, 12] by the midpoint rule. */
function normalMean(f: (z: number) => number): number {
  const n = 240_000;
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const z = -12 + (24 * (i + 0.5)) / n;
    sum += f(z) * Math.exp((-z * z) / 2);
  }
  return (sum * 24) / n / Math.sqrt(2 * Math.PI);
}

test.each([0.05, 0.5, 1, 2, 7])("what a prediction of 0 scores in smooth L1, beta %d", (beta) => {
  const loss = (z: number): number => (Math.abs(z) < beta ? (z * z) / (2 * beta) : Math.abs(z) - beta / 2);
  expect(expectedAtZero("smooth_l1", { beta })).toBeCloseTo(normalMean(loss), 7);
});

test("what a prediction of 0 scores in the other comparisons; 0.4247 is the published constant", () => {
  expect(expectedAtZero("smooth_l1", { beta: 1 })).toBeCloseTo(0.4247, 4);
  expect(expectedAtZero("mse", {})).toBeCloseTo(normalMean((z) => z * z), 7);
  expect(expectedAtZero("l1", {})).toBeCloseTo(normalMean(Math.abs), 6);
  expect(expectedAtZero("negative_cosine", {})).toBeUndefined();
});

const ijepa = caseText("c084-ijepa.jepa");

test.each(["tfjs", "wgsl"] as const)("I-JEPA is watched at the value of predicting nothing, and at 0 while its features fall together: %s", (target) => {
  const { losses, monitors } = manifestOf(ijepa, target);
  expect(losses[0]?.trivial.map((t) => [t.of, Number(t.value.toFixed(4))])).toEqual([["constant", 0], ["no prediction", 0.4247]]);
  const watched = monitors.filter((m) => m.kind === "loss-trivial").map(({ watch, loss, trivial, because }) => ({ watch, loss, of: trivial?.of, because }));
  expect(watched.map((m) => [m.of, m.watch])).toEqual([["constant", "f"], ["no prediction", undefined], ["foreseen", undefined]]);
  expect(watched[1]?.because).toContain("0.4247 is the value of predicting nothing");
});

const nothing = (text: string): number[] => [...(check({ file: "m.jepa", text }).analyses?.trivial.values() ?? [])].flat().flatMap((t) => (t.of === "no prediction" ? [Number(t.value.toFixed(4))] : []));

test("the value is that of the loss, its numbers, and the normalization of its target, however it is written", () => {
  expect(nothing(ijepa.replace("smooth_l1(", "mse("))).toEqual([1]);
  expect(nothing(ijepa.replace("smooth_l1(", "l1("))).toEqual([0.7979]);
  expect(nothing(ijepa.replace("at: targets), z)", "at: targets), z, beta: 2)"))).toEqual([0.2471]);
  expect(nothing(ijepa.replace(/loss smooth_l1\((.*), z\) in latent\(t\)/, "loss mean(square($1 - z))"))).toEqual([1]);
  expect(nothing(ijepa.replace("normalize(t(image))", "2 * normalize(t(image))"))).toEqual([]);
  expect(nothing(ijepa.replace("normalize(t(image))", "t(image)"))).toEqual([]);
  expect(nothing(caseText("c001-simsiam.jepa"))).toEqual([]);
});

test("codes have two constants, ln K and 0; a cosine has -1", () => {
  const dino = manifestOf(caseText("c076-dino.jepa"));
  expect(dino.losses[0]?.trivial).toEqual([{ value: 0, of: "one code" }, { value: Math.log(128), of: "uniform codes" }]);
  expect(dino.monitors.find((m) => m.trivial?.of === "uniform codes")?.because).toContain("4.8520");
  const simsiam = check({ file: "m.jepa", text: caseText("c001-simsiam.jepa") }).analyses;
  expect(simsiam?.trivial.get("negative_cosine")).toEqual([{ value: -1, of: "constant" }]);
  expect(simsiam?.monitors.find((m) => m.kind === "loss-trivial")?.watch).toBe("f");
});
