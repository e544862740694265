/**
 * Devices of the library's API: the three profiles are there by name, limits of one's own are taken, and what is no device
 * is refused before anything is compiled.
 */
import { expect, test } from "vitest";
import { compile, large, portable, software } from "../../../compiler/index.js";
import type { CompileResult, PlanLimits } from "../../../compiler/index.js";
import { small } from "../cli/support.js";

const source = { file: "small.jepa", text: small };
const planFor = (device: PlanLimits): CompileResult => compile(source, { target: "wgsl", device });

/** What a caller without types may pass. */
function refusal(device: unknown): string {
  const options = { target: "wgsl" } as const;
  Object.assign(options, { device });
  try {
    compile(source, options);
  } catch (error) {
    if (error instanceof TypeError) return error.message;
    throw error;
  }
  throw new Error(`${JSON.stringify(device)} was accepted`);
}

test("the profiles of the index are devices, and decide what is planned", () => {
  for (const device of [portable, software, large, { ...portable, memoryBytes: 2 ** 30, tiles: [] }]) expect(planFor(device).ok).toBe(true);
  const barriers = (device: PlanLimits): number => planFor(device).files.filter((f) => f.path.endsWith(".wgsl")).map((f) => f.text.split("workgroupBarrier").length - 1).reduce((a, b) => a + b, 0);
  expect(barriers(software)).toBeLessThan(barriers(portable));
  const tight = planFor({ bindingBytes: 64, bufferBytes: 256 });
  expect([tight.ok, tight.diagnostics.map((d) => d.code)]).toEqual([false, ["JEP7001"]]);
});

test("what is no device is refused with what is", () => {
  expect(refusal("gibberish")).toBe('`device` is "gibberish", which is no device. Give `portable`, `software` or `large` of jepac, or { bindingBytes, bufferBytes } of your own.');
  expect(refusal("large")).toContain('is "large", which is no device');
  for (const device of [null, 7, true]) expect(refusal(device)).toContain(`is ${String(device)}, which is no device`);
  expect(refusal({})).toContain("has bindingBytes undefined, which is no number of bytes");
  expect(refusal({ bindingBytes: 2 ** 27 })).toContain("has bufferBytes undefined");
  expect(refusal({ ...portable, bindingBytes: "128 MiB" })).toContain("has bindingBytes 128 MiB");
  for (const memoryBytes of [NaN, 0, -1]) expect(refusal({ ...portable, memoryBytes })).toContain(`has memoryBytes ${memoryBytes}`);
  expect(refusal({ ...portable, software: "yes" })).toContain("has software yes, which is neither true nor false");
  expect(refusal({ ...portable, tiles: 4 })).toContain("has tiles that are no list");
});

test("a device is refused even where the program has mistakes or the target has no use for it", () => {
  const options = {};
  Object.assign(options, { device: "gibberish" });
  expect(() => compile({ file: "bad.jepa", text: "model {" }, options)).toThrow(TypeError);
});
