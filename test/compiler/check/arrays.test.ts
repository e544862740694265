/** Arrays and generated signals as data of a program: what may be said of them, what they are normalized by, and what is refused. */
import { expect, test } from "vitest";
import { compile } from "../../../compiler/compile.js";

const program = (data: string, input = "Image[1, 64, 3]", patch = "[1, 4]", more = ""): string => `use std.vit
model m {
  input x: ${input}
${more}  encoder f = vit(patch: ${patch}, width: 8, depth: 1, heads: 2)
  encoder t = ema(f, momentum: 0.99)
  predictor h = vit_predictor(width: 8, depth: 1, heads: 2)
  mask targets = random(0.3)
  mask context = all minus targets
  loss l1(h(f(x at context), at: targets), stopgrad(normalize(t(x))) at targets)
}
train m {
  data ${data}
  epochs 1
  batch 8
}
`;
const read = (text: string) => compile({ file: "m.jepa", text });
const told = (text: string): string[] => read(text).diagnostics.filter((d) => d.severity !== "note").map((d) => `${d.code} ${d.severity}`);

test("numbers are taken as they stand unless normalized, which is warned of for files", () => {
  const bare = read(program('arrays("recordings")'));
  expect(bare.diagnostics.filter((d) => d.severity !== "note").map((d) => d.code)).toEqual(["JEP6028"]);
  expect(bare.manifest?.train).toMatchObject({ data: { kind: "arrays", path: "recordings", onCorrupt: "skip", onSmall: "refuse" }, mean: [0, 0, 0], std: [1, 1, 1] });
  const said = read(program('arrays("x.npy", on_corrupt: refuse, on_small: skip) { random_crop, normalize(mean: [1, 2, 3], std: [4, 5, 6]) }'));
  expect(said.diagnostics.filter((d) => d.severity !== "note")).toEqual([]);
  expect(said.manifest?.train).toMatchObject({ data: { onCorrupt: "refuse", onSmall: "skip" }, mean: [1, 2, 3], std: [4, 5, 6] });
  expect(said.manifest?.views[0]?.transforms).toEqual([{ name: "random_crop", args: {} }]);
  const waves = read(program("waves(count: 64)"));
  expect(waves.diagnostics.filter((d) => d.severity !== "note")).toEqual([]);
  expect(waves.manifest?.train).toMatchObject({ data: { kind: "waves", count: 64 }, mean: [0, 0, 0], std: [1, 1, 1] });
});

test("what does not go with numbers is refused", () => {
  for (const change of ["color_jitter", "grayscale(p: 0.5)", "solarize"]) expect(told(program(`arrays("x") { normalize(mean: [0, 0, 0], std: [1, 1, 1]), ${change} }`)), change).toEqual(["JEP6027 error"]);
  expect(told(program('arrays("x") { normalize(mean: [0, 0, 0], std: [1, 1, 1]), flip, blur, random_resized_crop(scale: 0.5..1.0), resize }'))).toEqual([]);
  expect(told(program('arrays("x", bands: [1, 2, 3]) { normalize(mean: [0, 0, 0], std: [1, 1, 1]) }'))).toEqual(["JEP2004 error"]);
  expect(told(program("waves(count: 64)", "Image[8, 64, 3]", "[8, 4]"))).toEqual(["JEP6029 error"]);
  expect(told(program("waves(count: 4)"))).toEqual(["JEP6014 warning"]);
  const film = (data: string): string => program(data, "Video[2, 8, 8, 3]", "4");
  expect(told(film('arrays("x") { normalize(mean: [0, 0, 0], std: [1, 1, 1]) }'))).toContain("JEP6022 error");
  expect(told(film("waves(count: 64)"))).toContain("JEP6022 error");
  expect(told(program('array("x")'))).toEqual(["JEP6007 error"]);
  expect(told(program("arrays(recordings/train.npy) { normalize(mean: [0, 0, 0], std: [1, 1, 1]) }"))).toHaveLength(1);
});
