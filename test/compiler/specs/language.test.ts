/** What the language says beyond images and one view: time, inputs that do not train together, state, several crops, and what is refused. */
import { describe, expect, it } from "vitest";
import { check, compile } from "../../../compiler/compile.js";
import type { CheckResult } from "../../../compiler/compile.js";
import { checkEvery } from "../../../compiler/every-program.js";
import { diffPrograms } from "../../../compiler/diff.js";
import { sampleMasks } from "../../../runtime/masks/sample.js";
import { read } from "./harness.js";

const train = "train m { data shapes(count: 64) }\n";

function checkModel(body: string): CheckResult {
  return check({ file: "m.jepa", text: `use std.vit\nuse std.heads\nmodel m {\n${body}\n}\n${train}`, read });
}

/** Codes of errors that are about the language, not about collapse, leaks or dead parts. */
const codes = (result: CheckResult): string[] => result.diagnostics.filter((d) => d.severity === "error" && !/^JEP[45]/.test(d.code)).map((d) => d.code);

const shapeOf = (result: CheckResult, name: string): string | undefined => {
  const node = result.graph?.body.nodes.find((n) => n.name === name);
  return node === undefined ? undefined : `${node.type.axes.join(" ")}: ${node.type.shape.map((d) => d.terms.map((t) => `${t.coefficient}${t.powers.map(([s]) => s).join("")}`).join("+")).join(" ")}`;
};

const world = `
  input video: Video[4, 32, 32, 3]
  input action: Action[4, 7]
  encoder f = vit(8, 16, 1, 2)
  predictor dynamics = mlp(32, 16)
  predictor inverse = mlp(32, 7)
  z = pool(f(video))
  now = earlier(z)
  next = later(z)
  z_hat = dynamics(join(now, earlier(action)))
  loss mse(z_hat, next) + variance(z) + covariance(z)
  loss mse(inverse(join(now, next)), earlier(action))`;

describe("time", () => {
  it("an encoder of images runs on each frame, and moments pair with the next", () => {
    const result = checkModel(world);
    expect(codes(result)).toEqual([]);
    expect(shapeOf(result, "z")).toBe("batch time feature: 1B 4 16");
    expect(shapeOf(result, "next")).toBe("batch time feature: 1B 3 16");
  });

  it("tubes put time on the grid, so that masks choose in space and time", () => {
    const result = checkModel(`
  input video: Video[8, 32, 32, 3]
  mask targets = 2 of random(0.3)
  mask context = all minus targets
  encoder f = tube_vit(16)
  predictor h = vit_predictor(width: 8, depth: 1, heads: 2)
  encoder t = ema(f, momentum: 0.99)
  c = f(video at context)
  loss l1(h(c, at: targets), stopgrad(t(video)) at targets)`);
    // The module is the program's own; here it is missing, and that is all that is wrong.
    expect(codes(result)).toEqual(["JEP2001"]);
    const own = check({ file: "m.jepa", text: `use std.vit
module tube_vit(width) (video) -> Tokens[width] {
  x = linear(width)(tubes(video, 8, 2)) + sincos2d(width)
  layer_norm()(x)
}
model m {
  input video: Video[8, 32, 32, 3]
  mask targets = 2 of random(0.3)
  mask context = all minus targets
  encoder f = tube_vit(16)
  encoder t = ema(f, momentum: 0.99)
  predictor h = vit_predictor(width: 12, depth: 1, heads: 2)
  c = f(video at context)
  whole = t(video)
  loss l1(h(c, at: targets), stopgrad(whole) at targets)
}
${train}`, read });
    expect(codes(own)).toEqual([]);
    expect(shapeOf(own, "whole")).toBe("batch token feature: 1B 64 16");
  });

  it("a predictor of tubes knows where and when, by a table as wide as it needs", () => {
    const tubed = (width: number, table: string): CheckResult => check({ file: "m.jepa", text: `use std.vit
module net(width) (clip) -> Tokens[width] {
  part embed = linear(width)
  embed(tubes(clip, 8, 2)) + ${table}
}
model m {
  input video: Video[8, 32, 32, 3]
  encoder f = net(${width})
  loss variance(pool(f(video)))
}
${train}`, read });
    const init = (result: CheckResult): unknown => result.graph?.instances[0]?.params.find((p) => p.path === "pos_embed")?.init;
    expect(init(tubed(16, "sincos2d(width)"))).toEqual({ kind: "sincos2d", rows: 4, cols: 4, frames: 4 });
    expect(init(tubed(16, "sincos3d(width)"))).toEqual({ kind: "sincos3d", frames: 4, rows: 4, cols: 4 });
    expect(init(tubed(16, "sincos(width)"))).toEqual({ kind: "sincos3d", frames: 4, rows: 4, cols: 4 });
    expect(tubed(8, "sincos(width)").diagnostics.map((d) => `${d.code} ${d.message}`)).toContain("JEP3012 A three-dimensional sine-cosine table needs an even width of at least 10, and this is 8.");
    expect(codes(tubed(8, "sincos2d(width)"))).toEqual([]);
    expect(codes(tubed(15, "sincos3d(width)"))).toEqual(["JEP3012"]);
    // Two kinds on one grid are two tables.
    const both = tubed(16, "sincos3d(width) + sincos2d(width)");
    expect(both.graph?.instances[0]?.params.filter((p) => p.role === "fixed").map((p) => `${p.path} ${p.init.kind}`)).toEqual(["pos_embed sincos3d", "pos_embed_4x4x4 sincos2d"]);
  });

  it("a table of three dimensions is not added to patches of single pictures, whose table `sincos` knows", () => {
    const flat = (table: string): CheckResult => checkModel(`  input image: Image[32, 32, 3]\n  head h = linear(16)\n  loss variance(pool(h(patches(image, 8)) + ${table}(16)))`);
    const refused = flat("sincos3d");
    expect(codes(refused)).toEqual(["JEP3003"]);
    expect(refused.diagnostics[0]?.message).toContain("tokens of `tubes`");
    expect(codes(flat("sincos"))).toEqual([]);
  });

  it("a statistic over time needs two moments", () => {
    const over = (x: string): string[] => codes(checkModel(`  input video: Video[3, 32, 32, 3]\n  encoder f = vit(8, 16, 1, 2)\n  z = pool(f(video))\n  loss variance(${x}, over: time)`));
    expect(over("earlier(z)")).toEqual([]);
    expect(over("earlier(z, by: 2)")).toEqual(["JEP6018"]);
  });

  it("there is no later moment of an image", () => {
    expect(codes(checkModel("  input image: Image[32, 32, 3]\n  encoder f = vit(8, 16, 1, 2)\n  z = later(f(image))\n  loss mean(z)"))).toEqual(["JEP3004"]);
  });
});

describe("what can be checked but not trained", () => {
  const image = "  input image: Image[32, 32, 3]\n  view a, b = augment(image) { flip(p: 0.5) }\n";
  const cases: readonly [what: string, body: string, says: string, instead: string][] = [
    ["pictures beside clips", `${image}${world}\n  predictor h = mlp(32, 16)\n  loss negative_cosine(h(pool(f(a))), stopgrad(pool(f(b))))`, "`image` is a picture and `video` is a clip of 4 frames", "take all inputs from clips of one length"],
    ["a pretrained module", `${image}  encoder f = vit(8, 16, 1, 2)\n  encoder g = pretrained(vit(8, 16, 1, 2))\n  predictor h = mlp(16)\n  loss mse(h(f(a)), stopgrad(g(a)))`, "`g` is pretrained, and nothing says where its weights are", "write `pretrained(vit(…), from: \"weights.safetensors\")`"],
  ];
  it.each(cases)("%s", (_, body, says, instead) => {
    expect(codes(checkModel(body))).toEqual([]);
    const source = { file: "m.jepa", text: `use std.vit\nuse std.heads\nmodel m {\n${body}\n}\n${train}`, read };
    // What is said of a file notes it beforehand.
    const noted = checkEvery(source).diagnostics.filter((d) => d.code === "JEP8001");
    expect(noted.map((d) => [d.severity, d.message.includes(says)])).toEqual([["note", true]]);
    const result = compile(source);
    const refused = result.diagnostics.filter((d) => d.code === "JEP8001");
    if (result.diagnostics.some((d) => d.severity === "error" && d.code !== "JEP8001")) throw new Error(result.diagnostics.map((d) => `${d.code} ${d.message}`).join("; "));
    expect(result.ok).toBe(false);
    expect(result.files).toEqual([]);
    expect(refused.filter((d) => d.message.includes(says)).map((d) => d.help?.includes(`To train, ${instead}`))).toContain(true);
    expect(refused.some((d) => d.message.includes(says)), refused.map((d) => d.message).join("; ")).toBe(true);
  });
});

describe("weights that change over training", () => {
  const body = (loss: string): string => `  input image: Image[32, 32, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder f = vit(8, 16, 1, 2)
  same = mse(pool(f(a)), pool(f(b)))
  loss info_nce(pool(f(a)), pool(f(b))) + ${loss}`;
  const weights = (loss: string): unknown => checkModel(body(loss)).graph?.losses.slice(1).map(({ weight: { kind, points } }) => [kind, points]);

  it("are factors of whole terms, and of sums of them; a number beside one counts", () => {
    expect(weights("(0 -> 1) * same")).toEqual([["linear", [0, 1]]]);
    expect(weights("same * cosine(1 -> 0)")).toEqual([["cosine", [1, 0]]]);
    expect(weights("5 * (0 -> 2) * same")).toEqual([["linear", [0, 10]]]);
    expect(weights("(0 -> 2) * (5 * same)")).toEqual([["linear", [0, 10]]]);
    expect(weights("-1 * (1 -> 2) * (koleo(pool(f(a))) - 0.5 * same)")).toEqual([["linear", [-1, -2]], ["linear", [0.5, 1]]]);
    expect(weights("cosine(0 -> 1 -> 0.5, warmup: 10 steps) * same")).toEqual([["warmup_cosine", [0, 1, 0.5]]]);
  });

  it.each([
    ["two on one term", "(0 -> 1) * ((1 -> 0) * same)", "has one already"],
    ["two, one behind a name", "(0 -> 1) * (same + (1 -> 0) * koleo(pool(f(a))))", "has one already"],
    ["one inside of a term", "log(1 + (0 -> 1) * same)", "stands inside of a term"],
    ["one inside, behind a number", "square(2 * (1 -> 0) * same - 1)", "stands inside of a term"],
  ])("%s is refused, with what to write", (_, loss, says) => {
    const found = checkModel(body(loss)).diagnostics.filter((d) => d.severity === "error");
    expect(found.map((d) => d.code)).toEqual(["JEP2009"]);
    expect(found[0]?.message).toContain(says);
    expect(found[0]?.help).toMatch(/Write one schedule for both|Put it before the whole term/);
  });

  it("in a module is refused", () => {
    const text = `use std.vit\nmodule pull(x: Tensor, y: Tensor) -> Tensor { (0 -> 1) * mse(x, y) }\nmodel m {\n${body("0.1 * pull(pool(f(a)), pool(f(b)))")}\n}\n${train}`;
    const found = check({ file: "m.jepa", text, read }).diagnostics.filter((d) => d.severity === "error");
    expect(found.map((d) => d.code)).toEqual(["JEP2009"]);
    expect(found[0]?.message).toContain("belongs to a loss of the model");
  });
});

describe("weights of a file", () => {
  const body = (made: string): string => `  input image: Image[32, 32, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder f = vit(8, 16, 1, 2)
  encoder g = ${made}
  predictor h = mlp(16)
  loss mse(h(f(a)), stopgrad(g(b)))`;
  const found = (made: string): CheckResult => checkModel(body(made));

  it("are named with a path, and with the name that the module has there; the manifest says so, and what no tensor shows", () => {
    const text = `use std.vit\nuse std.heads\nmodel m {\n${body('pretrained(vit(8, 16, 1, 2), from: "w", name: "teacher")')}\n}\n${train}`;
    const { manifest } = compile({ file: "m.jepa", text, read });
    expect(manifest?.pretrained).toEqual([{ module: "g", path: "w", name: "teacher", vit: { heads: 2, eps: 1e-6 } }]);
    expect(manifest?.parameters.filter((p) => p.group === "g" && p.role !== "fixed")).toEqual([]);
    const plain = compile({ file: "m.jepa", text: text.replace('pretrained(vit(8, 16, 1, 2), from: "w", name: "teacher")', "frozen(vit(8, 16, 1, 2))"), read }).manifest;
    expect(plain).not.toHaveProperty("pretrained");
    // An encoder with a block of the program's own takes none in the layout of transformers.
    const own = compile({ file: "m.jepa", text: `module layer_norm(eps = 1e-6) (x: Features[width]) -> Features[width] {\n  learn weight[width] ~ ones\n  learn bias[width] ~ zeros\n  normalize(x, eps) * weight + bias\n}\n${text}`, read }).manifest;
    expect(own?.pretrained).toEqual([{ module: "g", path: "w", name: "teacher" }]);
  });

  it("are trained on where the program says so, and frozen otherwise", () => {
    const training = (made: string): unknown => found(made).graph?.instances.find((i) => i.name === "g");
    expect(training('pretrained(vit(8, 16, 1, 2), "w")')).toMatchObject({ training: { kind: "frozen", init: "pretrained" }, from: { path: "w" } });
    expect(training('pretrained(vit(8, 16, 1, 2), "w", tune: true)')).toMatchObject({ training: { kind: "optimized" }, from: { path: "w" } });
    expect(training('pretrained(vit(8, 16, 1, 2), "w", tune: false)')).toMatchObject({ training: { kind: "frozen" } });
  });

  it("a difference between programs tells another file", () => {
    const all = diffPrograms(found('pretrained(vit(8, 16, 1, 2), "w")'), found('pretrained(vit(8, 16, 1, 2), "v", "t", true)'))?.changes;
    expect(all?.filter((c) => c.what === "instance").map(({ name, before, after }) => [name, before?.match(/frozen.*/)?.[0], after?.match(/trained from.*/)?.[0]])).toEqual([["g", "frozen (pretrained) from w, 6,400 + 256 fixed parameters", "trained from v (t), 6,400 + 256 fixed parameters"]]);
  });

  it.each([
    ["pretrained(vit(8, 16, 1, 2), from: 3)", "JEP2010", "`from` of `pretrained`"], ['pretrained(vit(8, 16, 1, 2), from: "")', "JEP2010", "`from` of `pretrained`"],
    ['pretrained(vit(8, 16, 1, 2), from: "w", name: 1)', "JEP2010", "`name` of `pretrained`"], ['pretrained(vit(8, 16, 1, 2), from: "w", tune: 1)', "JEP2010", "`tune` of `pretrained`"],
    ["pretrained(vit(8, 16, 1, 2), tune: true)", "JEP2005", "`from`"], ['frozen(vit(8, 16, 1, 2), from: "w")', "JEP2004", "`from`"],
  ])("%s is refused", (made, code, says) => {
    const errors = found(made).diagnostics.filter((d) => d.severity === "error");
    expect(errors.map((d) => d.code)).toContain(code);
    expect(errors.find((d) => d.code === code)?.message).toContain(says);
  });
});

describe("several crops and parts", () => {
  it("each grid has a position table of its own, the first one the short name", () => {
    const result = checkModel(`  input image: Image[32, 32, 3]
  view a = augment(image) { flip(p: 0.5) }
  view small = augment(image, size: 16) { flip(p: 0.5) }
  encoder f = vit(8, 16, 1, 2)
  loss info_nce(pool(f(a)), pool(f(small)))`);
    expect(codes(result)).toEqual([]);
    const tables = result.graph?.instances[0]?.params.filter((p) => p.role === "fixed").map((p) => `${p.path} ${p.shape.join("x")}`);
    expect(tables).toEqual(["pos_embed 16x16", "pos_embed_2x2 4x16"]);
  });

  it("tokens are replaced at a mask of one set, and keep their places", () => {
    const body = (mask: string): string => `  input image: Image[32, 32, 3]
  mask hidden = ${mask}
  encoder f = vit_masked(8, 16, 2, 2, 1)
  encoder t = ema(f, momentum: 0.99)
  head hide = mask_tokens()
  predictor h = linear(16)
  z, unused = f.trunk(hide(f.patch_embed(image), at: hidden))
  last, mean = t(image)
  loss smooth_l1(h(z) at hidden, stopgrad(mean) at hidden)`;
    expect(codes(checkModel(body("random(0.5)")))).toEqual([]);
    expect(codes(checkModel(body("2 of random(0.5)")))).toEqual(["JEP3007"]);
  });

  it("state is never trained and never in an average", () => {
    const result = checkModel(`  input image: Image[32, 32, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder f = vit(8, 16, 1, 2)
  head p = mlp_bn(8)
  head p_t = ema(p, momentum: 0.9)
  predictor h = mlp_bn(8)
  loss negative_cosine(h(p(pool(f(a)))), stopgrad(p_t(pool(stopgrad(f(b))))))`);
    expect(codes(result)).toEqual([]);
    expect(result.graph?.instances.find((i) => i.name === "p_t")?.params.filter((p) => p.role === "state").map((p) => p.path)).toEqual(["bn1.mean", "bn1.variance"]);
  });

  it("a moving average's coordinates agree with its source's, another encoder's do not", () => {
    const body = (second: string): string => `  input image: Image[32, 32, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder f = vit(8, 16, 1, 2)
  encoder g = ${second}
  loss info_nce(pool(f(a)), stopgrad(pool(g(b))))`;
    expect(codes(checkModel(body("ema(f, momentum: 0.99)")))).toEqual([]);
    expect(codes(checkModel(body("vit(8, 16, 1, 2)")))).toEqual(["JEP3013"]);
  });

  it("words of losses are checked, with the axes that the operand has", () => {
    const body = (loss: string): string => `  input image: Image[32, 32, 3]\n  encoder f = vit(8, 16, 1, 2)\n  z = f(image)\n  loss ${loss}`;
    expect(codes(checkModel(body("variance(z, over: tokens)")))).toEqual([]);
    expect(codes(checkModel(body("variance(pool(z), over: tokens)")))).toEqual(["JEP3004"]);
    expect(codes(checkModel(body("variance(z, over: pixels)")))).toContain("JEP2010");
    expect(codes(checkModel(body("sigreg(z, slices: 3)")))).toEqual(["JEP2004"]);
  });
});

describe("a batch of one", () => {
  const body = (loss: string, batch: number): CheckResult => check({ file: "m.jepa", text: `use std.vit
model m {
  input image: Image[32, 32, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder f = vit(8, 16, 1, 2)
  x = f(a)
  y = f(b)
  loss ${loss}
}
train m {
  data shapes(count: 64)
  batch ${batch}
}
`, read });
  it.each(["mse(x, y) + variance(x)", "info_nce(pool(x), pool(y))", "mse(batch_normalize(x), batch_normalize(y))", "barlow(pool(x), pool(y))"])("is refused for %s", (loss) => {
    expect(codes(body(loss, 1))).toEqual(["JEP6011"]);
    expect(codes(body(loss, 2))).toEqual([]);
  });

  it("is fine where statistics run over the tokens of an image", () => {
    expect(codes(body("mse(x, y) + variance(x, over: tokens)", 1))).toEqual([]);
  });
});

describe("one token to an image", () => {
  const body = (loss: string, patch: number, share = 0.5): CheckResult => checkModel(`  input image: Image[32, 32, 3]\n  view a, b = augment(image) { flip(p: 0.5) }\n  mask some = random(${share})\n  encoder f = vit(${patch}, 16, 1, 2)\n  x = f(a)\n  y = f(b)\n  s = x at some\n  loss ${loss} + mse(s, y at some) + variance(pool(x))`);
  it.each(["variance(x, over: tokens)", "covariance(x, over: tokens)", "info_nce(x, y, negatives: tokens)"])("is refused for %s", (loss) => {
    expect(codes(body(loss, 32))).toEqual(["JEP6018"]);
    expect(codes(body(loss, 16))).toEqual([]);
  });

  it("is seen where a mask picks one", () => {
    expect(codes(body("variance(s, over: tokens)", 16, 0.25))).toEqual(["JEP6018"]);
    expect(codes(body("variance(s, over: tokens)", 16, 0.5))).toEqual([]);
    expect(codes(body("variance(s)", 16, 0.25))).toEqual([]);
  });

  const ranged = (mask: string, loss: string): string => `use std.vit\nmodel m {\n  input image: Image[32, 32, 3]\n  mask other = random(0.8..0.9)\n  mask some = ${mask}\n  encoder f = vit(8, 16, 1, 2)\n  encoder t = ema(f, momentum: 0.9)\n  predictor h = mlp(16)\n  s = h(f(image)) at some\n  loss mse(s, stopgrad(t(image)) at some)${loss}\n  allow leak("masks alone")\n}\n${train}`;
  it.each([
    "random(0.05..0.5)", "random(0.1..0.5)", "block(scale: 0.07..0.3, aspect: 1.0, min_keep: 0)", "block(scale: 0.25..0.3, aspect: 1.0, min_keep: 1)",
    "all minus other", "random(0.5) minus other", "all minus [other]", "block(scale: 0.3..0.4, aspect: 1.0, min_keep: 0, sampler: corrected)", "rasterized",
  ])("is seen where a mask draws one in some step, as the sampler does: %s", (mask) => {
    const { manifest } = compile({ file: "m.jepa", text: ranged(mask, ""), read });
    if (manifest === undefined) throw new Error(`${mask} does not compile`);
    const drawn = Array.from({ length: 200 }, (_, step) => sampleMasks(manifest.masks, { seed: 1, step, batch: manifest.train.batch }).get("some")?.length ?? NaN);
    const found = check({ file: "m.jepa", text: ranged(mask, " + covariance(s, over: tokens)"), read });
    expect(codes(found)).toEqual(Math.min(...drawn) === 1 ? ["JEP6018"] : []);
  });
});
