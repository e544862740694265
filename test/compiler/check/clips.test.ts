/** What a program's data and its inputs say of each other: films for a `Video`, pictures for an `Image`, and actions that are not mirrored. */
import { expect, test } from "vitest";
import type { CheckResult } from "../../../compiler/compile.js";
import { check } from "../../../compiler/compile.js";
import { diffPrograms } from "../../../compiler/diff.js";
import { completions } from "../../../compiler/editor/completion.js";
import { load } from "../../../compiler/load.js";
import { applyFixes } from "../../../compiler/messages/fixes.js";
import { createDiagnostics } from "../../../compiler/messages/report.js";

const film = (data: string, input = "Video[4, 16, 16, 3]", more = ""): string => `use std.vit
model m {
  input video: ${input}${more}
  encoder f = vit(patch: 8, width: 16, depth: 1, heads: 2)
  predictor h = mlp(16)
  z = pool(f(video))
  loss mse(h(z), stopgrad(z))
}
train m {
${data}
}
`;
const told = (text: string): string[] => check({ file: "m.jepa", text }).diagnostics.map(({ code }) => code);
const dataOf = (text: string): unknown => check({ file: "m.jepa", text }).checked?.training.train.data;

test("folders of films take a stride and say what happens to films that are not as they should be", () => {
  expect(dataOf(film(`  data videos("clips", every: 4, on_corrupt: refuse, on_small: skip, on_short: refuse) { random_resized_crop(scale: 0.5..1.0) }`)))
    .toEqual({ kind: "videos", path: "clips", every: 4, onCorrupt: "refuse", onSmall: "skip", onShort: "refuse" });
  expect(dataOf(film(`  data videos("clips")`))).toEqual({ kind: "videos", path: "clips", every: 1, onCorrupt: "skip", onSmall: "scale", onShort: "skip" });
  expect(dataOf(film("  data shapes(count: 100)"))).toEqual({ kind: "synthetic", count: 100 });
  expect(told(film(`  data videos("clips", every: 0)`))).toContain("JEP2011");
  expect(told(film(`  data videos("clips", evry: 2)`))).toContain("JEP2004");
  expect(told(film(`  data images("clips", every: 2)`))).toContain("JEP2004");
});

test("a folder of pictures is not what a video is made of; the fix writes the other word", () => {
  const text = film(`  data images("clips", on_corrupt: refuse)`);
  const { diagnostics } = check({ file: "m.jepa", text });
  const [wrong] = diagnostics.filter(({ code }) => code === "JEP6022");
  expect(wrong?.message).toBe("`images` reads pictures, and `video` is a film.");
  expect(text.slice(wrong?.span.start, wrong?.span.end)).toBe(`images("clips", on_corrupt: refuse)`);
  const fixed = applyFixes(text, "m.jepa", wrong?.fixes ?? []).text;
  expect(dataOf(fixed)).toMatchObject({ kind: "videos", path: "clips", onCorrupt: "refuse" });
  expect(told(fixed)).not.toContain("JEP6022");
});

test("nor are films what a picture is made of; an argument that only films take is left to a person", () => {
  const whole = check({ file: "m.jepa", text: film(`  data videos("clips")`, "Image[16, 16, 3]") }).diagnostics.find(({ code }) => code === "JEP6022");
  expect([whole?.message, whole?.fixes.map(({ edits }) => edits[0]?.text)]).toEqual(["`videos` reads films, and `video` is a picture.", ["images"]]);
  const strided = check({ file: "m.jepa", text: film(`  data videos("clips", every: 2)`, "Image[16, 16, 3]") }).diagnostics.find(({ code }) => code === "JEP6022");
  expect([strided?.help, strided?.fixes]).toEqual(["Write `images(\"…\")`.", []]);
});

test("a variant that takes films in the place of pictures may have its data from its base: the fix is a guess", () => {
  const text = `${film(`  data images("photos")`, "Image[16, 16, 3]")}
variant moving of m {
  input video: Video[4, 16, 16, 3]
}
`;
  const found = check({ file: "m.jepa", text }, { program: "moving" }).diagnostics.find(({ code }) => code === "JEP6022");
  expect(found?.fixes.map(({ guess }) => guess)).toEqual([true]);
  expect(told(text)).not.toContain("JEP6022");
});

test("films that are mirrored do not move as their actions say", () => {
  const acting = (data: string, action = "\n  input action: Action[4, 2]\n  head g = mlp(2)\n  loss act = mse(g(z), mean(action, over: time))"): string => film(data, "Video[4, 16, 16, 3]", action);
  expect(told(acting("  data shapes(count: 100) { flip(p: 0.5) }"))).toContain("JEP6023");
  expect(told(acting("  data shapes(count: 100) { flip(p: 0) }"))).not.toContain("JEP6023");
  expect(told(acting("  data shapes(count: 100) { random_resized_crop(scale: 0.5..1.0) }"))).not.toContain("JEP6023");
  expect(told(acting("  data shapes(count: 100) { flip(p: 0.5) }", ""))).not.toContain("JEP6023");
});

test("editors offer films, and what their folders take", () => {
  const text = film("  data videos(\"clips\", every: 2)");
  const { main, used, library } = load("m.jepa", text, () => undefined, createDiagnostics());
  const at = (words: string): readonly string[] => completions({ main, used, library }, text, text.indexOf(words) + words.length).map(({ label }) => label);
  expect(at("data vi")).toEqual(["images", "videos", "arrays", "shapes", "waves"]);
  const chosen = (line: string): readonly string[] => completions({ main, used, library }, `${text.slice(0, text.indexOf("}\ntrain"))}  ${line}`, text.indexOf("}\ntrain") + 2 + line.length).map(({ label }) => label);
  for (const line of ["encoder p = pretrained(f, tune: ", "y = attend(z, z, z, heads: 2, causal: "]) expect(chosen(line), line).toEqual(["true", "false"]);
  expect(chosen("data videos(\"clips\", on_short: ")).toEqual(["skip", "refuse"]);
  expect(at("\"clips\", ev")).toEqual(expect.arrayContaining(["every:", "on_corrupt:", "on_small:", "on_short:"]));
});

test("tubes that do not tile a clip are told as such, with what to change", () => {
  const cut = (patch: number, frames: number): (string | undefined)[] => {
    const found = check({ file: "m.jepa", text: film("  data shapes(count: 64)").replace("vit(patch: 8,", `video_vit(patch: ${patch}, frames: ${frames},`) }).diagnostics.find(({ code }) => code === "JEP3005");
    return [found?.message, found?.help];
  };
  expect(cut(8, 2)).toEqual([undefined, undefined]);
  expect(cut(8, 3)).toEqual(["A clip of 4 frames of 16x16 cannot be cut into tubes of 3 frames of 8x8.", "Choose a number of frames for each tube that divides those of the clip."]);
  expect(cut(5, 1)).toEqual(["A clip of 4 frames of 16x16 cannot be cut into tubes of 1 frame of 5x5.", "Choose a patch size that divides both sides."]);
  expect(cut(5, 3)[1]).toContain("divides both sides, and a number of frames");
});

test("the library's decoders give the pixels of whole tubes (VideoMAE)", () => {
  const masked = (head: string, encoder: string, aim: string): unknown => {
    const { diagnostics, graph } = check({ file: "m.jepa", text: `use std.vit
model m {
  input video: Video[4, 16, 16, 3]
  mask hidden = random(0.5)
  mask seen = all minus hidden
  encoder f = ${encoder}
  ${head}
  loss mse(z, normalize(${aim}) at hidden) in pixels
}
train m { epochs 1 }
` });
    const out = graph?.instances.find(({ name }) => name === "out")?.params.find(({ path }) => path.endsWith("proj.weight") && !path.includes("attn"));
    return [diagnostics.filter(({ severity }) => severity === "error").map(({ code }) => code), out?.shape];
  };
  const tubes = "video_vit(patch: 8, frames: 2, width: 12, depth: 1, heads: 2)";
  const decoder = "predictor out = vit_decoder(width: 10, depth: 1, heads: 2)\n  z = out(f(video at seen), at: hidden)";
  expect(masked(decoder, tubes, "tubes(video, 8, 2)")).toEqual([[], [10, 2 * 8 * 8 * 3]]);
  expect(masked("predictor p = vit_predictor(width: 10, depth: 1, heads: 2)\n  head out = decode()\n  z = out(p(f(video at seen), at: hidden))", tubes, "tubes(video, 8, 2)")).toEqual([[], [12, 2 * 8 * 8 * 3]]);
  expect(masked(decoder, tubes, "tubes(video, 8, 4)")).toEqual([["JEP3001", "JEP3008"], [10, 2 * 8 * 8 * 3]]);
});

test("a predictor over the tokens of single frames is refused with what encodes a clip as one run of tokens", () => {
  const { diagnostics } = check({ file: "m.jepa", text: film("  data shapes(count: 64)").replace("h = mlp(16)", "h = vit_predictor(width: 8, depth: 1, heads: 2)").replace("z = pool(f(video))", "mask u = random(0.5)\n  z = f(video)").replace("mse(h(z), stopgrad(z))", "mse(h(z, at: u), stopgrad(z) at u)") });
  const [told] = diagnostics;
  expect([told?.code, told?.message]).toEqual(["JEP3003", "An operand of `concat` should be one run of tokens, and is a run for each frame, [B, 4, 4, 8]."]);
  expect(told?.help).toContain("`video_vit`");
});

test("what has no moments, or too few, is told what has", () => {
  const help = (value: string, input?: string): string | undefined => check({ file: "m.jepa", text: film("  data shapes(count: 8)", input).replace("h(z)", `h(${value})`) }).diagnostics.find(({ code }) => code === "JEP3004")?.help;
  expect(help("later(z)", "Image[16, 16, 3]")).toContain("frames of a `Video` under an encoder of pictures");
  expect(help("later(z, by: 4)")).toBe("There are 4 moments: give `by` at most 3.");
  expect(help("attend(z, z, z, heads: 2)")).toBe("Attention over moments looks back only: `causal: true`.");
});

test("a guard over moments is told of moments, and the fix holds it over images", () => {
  const text = film("  data shapes(count: 8)").replace("mse(h(z), stopgrad(z))", "mse(h(earlier(z)), later(z)) + variance(z, over: time)");
  const found = check({ file: "m.jepa", text }).diagnostics.find(({ code }) => code === "JEP4009");
  expect(found?.message).toBe("The term that should keep `f` from a constant runs over moments, so that moments alone can satisfy it.");
  expect(told(applyFixes(text, "m.jepa", found?.fixes ?? []).text)).not.toContain("JEP4009");
});

test("a difference tells how long clips are, and their arithmetic", () => {
  const of = (input: string, more?: string): CheckResult => check({ file: "m.jepa", text: film("  data shapes(count: 8)", input, more).replace("h(z), stopgrad(z)", "h(earlier(z)), stopgrad(later(z))") });
  const acting = (moments: number): string => `\n  input action: Action[${moments}, 2]\n  head g = linear(2)\n  loss act = mse(g(z), action)`;
  const changes = diffPrograms(of("Video[4, 16, 16, 3]", acting(4)), of("Video[8, 16, 16, 3]", acting(8)))?.changes ?? [];
  expect(changes.filter(({ what }) => what === "input").map(({ before, after }) => [before, after])).toEqual([["4 frames of 16x16x3", "8 frames of 16x16x3"], ["actions 4x2", "actions 8x2"]]);
  const [flops] = changes.filter(({ what }) => what === "flops");
  expect(Number(flops?.after) / Number(flops?.before)).toBeCloseTo(2, 1);
});
