/**
 * Plans that do not fit: one diagnostic that names what is too large and ways out that work; and what cannot be accumulated.
 */
import { expect, test } from "vitest";
import type { CompileOptions } from "../../../../compiler/compile.js";
import { compile } from "../../../../compiler/compile.js";
import { large, portable } from "../../../../compiler/targets/wgsl/plan.js";
import type { PlanLimits } from "../../../../compiler/targets/wgsl/plan.js";
import { readRepo } from "../../../fidelity/compiled.js";
import { tinyText } from "./programs.js";

const file = "examples/wgsl-test.jepa";
const withTrain = (lines: string): string => tinyText.replace("batch          5", lines);
const compiled = (text: string, options: CompileOptions = {}): ReturnType<typeof compile> => compile({ file, text, read: readRepo }, { target: "wgsl", program: "tiny", ...options });
const codes = (result: ReturnType<typeof compile>): string[] => result.diagnostics.filter((d) => d.severity !== "note").map((d) => d.code);

/** The help of JEP7001 for a program that does not fit. */
function helpOf(text: string, device: PlanLimits): string {
  const [found] = compiled(text, { device }).diagnostics.filter((d) => d.code === "JEP7001");
  if (found?.help === undefined) throw new Error("this fits");
  return found.help;
}

/** Bytes as a plan that was made says them. */
function total(text: string, device: PlanLimits): string {
  const bytes = compiled(text, { device }).plan?.memory.total ?? NaN;
  return `${(bytes / 2 ** 20).toFixed(1)} MiB in all`;
}

/** Room for about a dozen images of the tiny program: no value may be larger than 200 kB. */
const small = { ...portable, bindingBytes: 200_000 };

test("JEP7001 names the largest batch that fits, and parts and recomputation that do", () => {
  const refused = compiled(withTrain("batch 48"), { device: small });
  expect(refused.ok).toBe(false);
  expect(refused.files).toEqual([]);
  const [found] = refused.diagnostics.filter((d) => d.code === "JEP7001");
  expect(found?.message).toMatch(/^At batch 48 this does not fit the device: .+ takes \d+\.\d MiB, and a binding holds 0\.2 MiB\.$/);
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

test("JEP7001 says what each way out takes in all, and what keeps the next batch out", () => {
  const help = helpOf(withTrain("batch 48"), small);
  const [, batch = "0", memory, next = "0", why] = /largest batch that fits is (\d+), (.+? in all) \(at (\d+) (.+)\);/.exec(help) ?? [];
  expect(memory).toBe(total(withTrain(`batch ${batch}`), small));
  expect(Number(next)).toBe(Number(batch) + 1);
  expect(compiled(withTrain(`batch ${next}`), { device: small }).diagnostics.find((d) => d.code === "JEP7001")?.message).toBe(`At batch ${next} this does not fit the device: ${why ?? ""}.`);
  const [, parts = "0", images = "0", cut] = /`accumulate (\d+)` runs this batch in parts of (\d+), (.+? in all)/.exec(help) ?? [];
  expect(Number(parts) * Number(images)).toBe(48);
  expect(cut).toBe(total(withTrain(`batch 48\n    accumulate ${parts}`), small));
}, 120_000);

test("JEP7001 names the limit that decides: of a binding, of a buffer, or of the memory that was told", () => {
  const text = withTrain("batch 48");
  const messageFor = (device: PlanLimits): string | undefined => compiled(text, { device }).diagnostics.find((d) => d.code === "JEP7001")?.message;
  expect(messageFor({ ...portable, bindingBytes: 200_000 })).toMatch(/, and a binding holds 0\.2 MiB\.$/);
  expect(messageFor({ ...portable, bindingBytes: 200_000, bufferBytes: 400_000 })).toMatch(/, and a binding holds 0\.2 MiB\.$/);
  expect(messageFor({ ...portable, bufferBytes: 200_000 })).toMatch(/, and a buffer holds 0\.2 MiB\.$/);
  // The batch has values beyond a binding; smaller ones are beyond the memory first.
  const both = { ...small, memoryBytes: compiled(withTrain("batch 4"), { device: small }).plan?.memory.total ?? 0 };
  expect(messageFor(both)).toContain("a binding holds");
  expect(helpOf(text, both)).toMatch(/largest batch that fits is 4, .* \(at 5 the sum of all buffers takes .*, and the device has /);
}, 120_000);

test("JEP7001 proposes devices that may take more, and not the one that was chosen", () => {
  const text = withTrain("batch 48");
  expect(helpOf(text, small)).toMatch(/`--device large` .* 2\.00 GiB, `--device here`/);
  expect(helpOf(text, { bindingBytes: 200_000, bufferBytes: 400_000 })).toMatch(/`--device large`/);
  expect(helpOf(text, { bindingBytes: 200_000, bufferBytes: 400_000 })).not.toContain("`--device here`");
  expect(helpOf(text, { ...small, memoryBytes: compiled(withTrain("batch 4"), { device: small }).plan?.memory.total ?? 0 })).not.toContain("--device");
  // Weights of 3.4 GB: a graphics card's binding does not hold one of them.
  const wide = helpOf(withTrain("batch 5").replace("param width      = 36", "param width      = 17280"), large);
  expect(wide).toContain("No batch fits as it is");
  expect(wide).not.toContain("--device large");
}, 120_000);

test("JEP7001: with `accumulate` the largest batch is one that fits with it, sums of gradients included", () => {
  const cut = (batch: number): string => withTrain(`batch ${batch}\n    accumulate 2`);
  const device = { ...portable, memoryBytes: compiled(cut(12)).plan?.memory.total ?? 0 };
  const [, batch = "0"] = /largest batch that fits is (\d+)/.exec(helpOf(cut(48), device)) ?? [];
  expect(Number(batch)).toBe(12);
}, 120_000);

test("JEP7001 counts all buffers where the device's memory is told, and knows what recomputation saves", () => {
  const deep = withTrain("batch 24").replace("param depth      = 2", "param depth      = 8");
  const whole = compiled(deep).plan?.memory.total ?? 0;
  const again = compiled(deep.replace("batch 24", "batch 24\n    recompute blocks")).plan?.memory.total ?? 0;
  expect(again).toBeLessThan(whole);
  const device = { ...portable, memoryBytes: Math.floor((whole + again) / 2) };
  const [found] = compiled(deep, { device }).diagnostics.filter((d) => d.code === "JEP7001");
  expect(found?.message).toContain("the sum of all buffers");
  expect(found?.help).toContain(`\`recompute blocks\` makes it fit, ${(again / 2 ** 20).toFixed(1)} MiB in all`);
  expect(codes(compiled(deep.replace("batch 24", "batch 24\n    recompute blocks"), { device }))).toEqual([]);
}, 120_000);

test("JEP7001: rows cut within groups: the batch and the parts that are offered compile, and fit", () => {
  const grouped = (lines: string): string => withTrain(lines).replace("min_keep: 2) minus", "min_keep: 2, trim_group: 12) minus");
  const whole = grouped("batch 48");
  const peak = compiled(whole).plan?.memory.total ?? 0;
  const small = { ...portable, memoryBytes: Math.floor(0.7 * peak) };
  const help = helpOf(whole, small);
  const [, largest = "0"] = /largest batch that fits is (\d+)/.exec(help) ?? [];
  const [, parts = "0"] = /`accumulate (\d+)` runs this batch/.exec(help) ?? [];
  expect(Number(largest)).toBeGreaterThan(0);
  expect(Number(largest), "smaller than a group, as whole groups are all alike").toBeLessThan(12);
  for (const text of [grouped(`batch ${largest}`), grouped(`batch 48\n    accumulate ${parts}`)]) expect(codes(compiled(text, { device: small }))).toEqual([]);
  expect(codes(compiled(grouped(`batch ${Number(largest) + 1}`), { device: small }))).toEqual(["JEP7001"]);
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
