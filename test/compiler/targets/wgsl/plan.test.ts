/**
 * The plan of the ViT-B/16 step and of the small programs: how many dispatches, how many kernels, how much memory over the
 * least that any plan needs; and that what is written of it is all of it.
 */
import { expect, test } from "vitest";
import { compile } from "../../../../compiler/compile.js";
import { large } from "../../../../compiler/targets/wgsl/plan.js";
import type { WgslPlan } from "../../../../runtime/abi.js";
import { readRepo } from "../../../fidelity/compiled.js";

function planOf(file: string): WgslPlan {
  const { plan, diagnostics } = compile({ file, text: readRepo(file) ?? "", read: readRepo }, { target: "wgsl", device: large });
  if (plan === undefined) throw new Error(JSON.stringify(diagnostics));
  return plan;
}

/** The peak over weights, optimizer state and what is alive at once at the least. */
function ratio(plan: WgslPlan): number {
  const stays = plan.buffers.filter((b) => b.kind === "parameter" || b.kind === "slot").reduce((n, b) => n + b.bytes, 0);
  return plan.memory.total / (stays + plan.memory.lowerBound);
}

test("the ViT-B/16 step at batch 128 is at most 450 dispatches, in at most a quarter more memory than the least", () => {
  const plan = planOf("bench/vit-b.jepa");
  const dispatches = plan.step.dispatches.length + plan.update.dispatches.length;
  console.info(`ViT-B/16: ${dispatches} dispatches by ${plan.kernels.length} kernels; peak over the least ${ratio(plan).toFixed(3)}`);
  expect(dispatches).toBeLessThanOrEqual(450);
  expect(plan.kernels.length).toBeLessThanOrEqual(60);
  expect(ratio(plan)).toBeLessThanOrEqual(1.25);
}, 120_000);

test.each(["examples/ijepa-small.jepa", "examples/mae-small.jepa", "examples/simclr-small.jepa"])("%s: at most a quarter more memory than the least", (file) => {
  const plan = planOf(file);
  console.info(`${file}: ${plan.step.dispatches.length + plan.update.dispatches.length} dispatches; peak over the least ${ratio(plan).toFixed(3)}`);
  expect(ratio(plan)).toBeLessThanOrEqual(1.25);
}, 60_000);

test.each([
  ["as it is", {}, ""], ["in f16", { precision: "f16" as const }, ""], ["in parts", {}, "accumulate 4"], ["in f16, in parts, with blocks made again", { precision: "f16" as const }, "accumulate 2\n    recompute blocks"],
])("plan.json holds the whole plan, %s", (_, options, settings) => {
  const file = "examples/plan-test.jepa";
  const text = `use "./ijepa-small.jepa"\nvariant own of ijepa_small {\n  train {\n    batch 8\n    ${settings}\n  }\n}\n`;
  const { plan, files, diagnostics } = compile({ file, text, read: readRepo }, { target: "wgsl", program: "own", ...options });
  expect(diagnostics).toEqual([]);
  expect(plan?.held).toBe(8);
  expect(plan?.accumulate === undefined).toBe(!settings.includes("accumulate"));
  expect(JSON.parse(files.find((f) => f.path === "plan.json")?.text ?? "")).toEqual(plan);
});
