/**
 * Plans that do not fit: one diagnostic that names what is too large and ways out that work; and what cannot be accumulated.
 */
import { expect, test } from "vitest";
import type { CompileOptions } from "../../../../compiler/compile.js";
import { compile } from "../../../../compiler/compile.js";
import { portable } from "../../../../compiler/targets/wgsl/plan.js";
import { readRepo } from "../../../fidelity/compiled.js";
import { tinyText } from "./programs.js";

const file = "examples/wgsl-test.jepa";
const withTrain = (lines: string): string => tinyText.replace("batch          5", lines);
const compiled = (text: string, options: CompileOptions = {}): ReturnType<typeof compile> => compile({ file, text, read: readRepo }, { target: "wgsl", program: "tiny", ...options });
const codes = (result: ReturnType<typeof compile>): string[] => result.diagnostics.filter((d) => d.severity !== "note").map((d) => d.code);

/** Room for about a dozen images of the tiny program: no value may be larger than 200 kB. */
const small = { ...portable, bindingBytes: 200_000 };

test("JEP7001 names the largest batch that fits, and parts and recomputation that do", () => {
  const refused = compiled(withTrain("batch 48"), { device: small });
  expect(refused.ok).toBe(false);
  expect(refused.files).toEqual([]);
  const [found] = refused.diagnostics.filter((d) => d.code === "JEP7001");
  expect(found?.message).toMatch(/^At batch 48 this does not fit the device: .+ takes \d+\.\d MiB, and it has room for 0\.2 MiB\.$/);
  expect(found?.span.file).toBe(file);
  const [, batch = "0"] = /largest batch that fits is (\d+)/.exec(found?.help ?? "") ?? [];
  const [, parts = "0"] = /`accumulate (\d+)` runs this batch/.exec(found?.help ?? "") ?? [];
  expect(Number(batch)).toBeGreaterThan(1);
  expect(codes(compiled(withTrain(`batch ${batch}`), { device: small }))).not.toContain("JEP7001");
  expect(codes(compiled(withTrain(`batch ${Number(batch) + 1}`), { device: small }))).toContain("JEP7001");
  const cut = compiled(withTrain(`batch 48\n    accumulate ${parts}`), { device: small });
  expect(codes(cut)).toEqual([]);
  expect(cut.plan?.accumulate?.parts).toBe(Number(parts));
  expect(cut.plan?.bounds["B"]).toBe(48 / Number(parts));
}, 120_000);

test("JEP7001 counts all buffers where the device's memory is told, and knows what recomputation saves", () => {
  const deep = withTrain("batch 24").replace("param depth      = 2", "param depth      = 8");
  const whole = compiled(deep).plan?.memory.total ?? 0;
  const again = compiled(deep.replace("batch 24", "batch 24\n    recompute blocks")).plan?.memory.total ?? 0;
  expect(again).toBeLessThan(whole);
  const device = { ...portable, memoryBytes: Math.floor((whole + again) / 2) };
  const [found] = compiled(deep, { device }).diagnostics.filter((d) => d.code === "JEP7001");
  expect(found?.message).toContain("the sum of all buffers");
  expect(found?.help).toContain("`recompute blocks` makes it fit");
  expect(codes(compiled(deep.replace("batch 24", "batch 24\n    recompute blocks"), { device }))).toEqual([]);
}, 120_000);

test("JEP6012: parts are equal; JEP6013: images that are compared with each other do not come in parts; JEP7002: tfjs plans nothing", () => {
  expect(codes(compiled(withTrain("batch 6\n    accumulate 4")))).toEqual(["JEP6012"]);
  const vicreg = (readRepo("examples/vicreg-small.jepa") ?? "").replace(/^(\s*)batch .*$/m, "$1batch 8\n$1accumulate 2");
  expect(vicreg).toContain("accumulate 2");
  const refused = compile({ file: "examples/vicreg-small.jepa", text: vicreg, read: readRepo }, { target: "wgsl" });
  expect(codes(refused)).toContain("JEP6013");
  const tfjs = compiled(withTrain("batch 6\n    recompute blocks"), { target: "tfjs" });
  expect(tfjs.ok).toBe(true);
  expect(codes(tfjs)).toEqual(["JEP7002"]);
});
