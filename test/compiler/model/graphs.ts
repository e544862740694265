/**
 * Model graphs made by hand, for the tests of the graph and its exports.
 *
 * I-JEPA, SimSiam and MAE in the form that the checker gives them (one function per module as used, masks inside of
 * functions, moving averages as facts of instances), small enough to count by hand, and random graphs for laws. No tests here.
 */
import * as fc from "fast-check";
import type { NodeId, Func, ModelGraph } from "../../../compiler/model/ir.js";
import type { BodyBuilder } from "../../../compiler/model/build.js";
import { GraphBuilder, imageType, linear } from "../../../compiler/model/build.js";
import type { Grid } from "../../../compiler/types/value-type.js";

export const grid: Grid = { rows: 8, cols: 8, patch: 4, channels: 3 };
export const width = 128;

/** x · W + b, with `weight` [from, to]. */
export function linearFunc(g: GraphBuilder, from: number, to: number, name = `linear_${from}_${to}`): Func {
  return g.func(name, (b) => {
    const x = b.tokens("x", from);
    return [b.node("affine", [x, b.param("weight", [from, to]), b.param("bias", [to], { kind: "zeros" })])];
  }, { module: "linear" });
}

/** A pre-norm block with attention and a one-layer mlp. */
export function blockFunc(g: GraphBuilder, size: number, heads: number): Func {
  const linear = linearFunc(g, size, size);
  return g.func(`block_${size}`, (b) => {
    const x = b.tokens("x", size);
    const n = b.node("normalize", [x], { eps: 1e-6 });
    const a = b.node("attend", [b.call("q", linear, [n]), b.call("k", linear, [n]), b.call("v", linear, [n])], { heads });
    const y = b.node("add", [x, a], {}, { name: "x" });
    return [b.node("add", [y, b.node("gelu", [b.call("mlp", linear, [y])])])];
  }, { module: "block" });
}

/** The body of a loop over blocks. */
export function eachBlock(g: GraphBuilder, block: Func, size: number): Func {
  return g.func(`each_${block.name}`, (b) => [b.call("", block, [b.tokens("x", size)])], { module: "repeat" });
}

/** A ViT of `depth` blocks; with a mask it takes an image of which only those patches enter. */
export function vitFunc(g: GraphBuilder, depth: number, mask?: string): Func {
  const embed = linearFunc(g, 48, width, "patch_embed");
  const each = eachBlock(g, blockFunc(g, width, 4), width);
  return g.func(mask === undefined ? "vit" : `vit_at_${mask}`, (b) => {
    const image = b.input("image", { ...imageType(32, 32, 3), pending: mask });
    const all = b.node("patches", [image], { patch: 4, grid });
    const tokens = b.call("patch_embed", embed, [mask === undefined ? all : b.at(all, mask)]);
    const table = b.param("pos_embed", [64, width], { kind: "sincos2d", rows: 8, cols: 8 }, "fixed", grid);
    const places = mask === undefined ? table : b.node("table_at", [table], { mask, grid });
    const x = b.node("add", [tokens, places], {}, { name: "x" });
    return [b.node("normalize", [b.repeat("blocks", depth, each, [x])], { eps: 1e-6 })];
  }, { module: "vit", config: { patch: 4, width, depth, heads: 4 } });
}

/** A narrow ViT that fills in tokens at `targets`. */
export function predictorFunc(g: GraphBuilder, targets: string, context: string, to = width, told = true): Func {
  const small = 64;
  const enter = linearFunc(g, width, small);
  const leave = linearFunc(g, small, to);
  const each = eachBlock(g, blockFunc(g, small, 4), small);
  return g.func(`predictor_at_${targets}`, (b) => {
    const z = b.input("z", { ...imageType(1, 1, 1), shape: b_shape(context), axes: ["batch", "token", "feature"], positions: { kind: "mask", mask: context, grid } });
    const table = b.param("pos_embed", [64, small], { kind: "sincos2d", rows: 8, cols: 8 }, "fixed", grid);
    const seen = b.node("add", [b.call("enter", enter, [z]), b.node("table_at", [table], { mask: context, grid })]);
    const token = b.param("mask_token", [small], { kind: "trunc_normal", std: 0.02, cut: 2 });
    const blank = b.node("expand_at", [token], { mask: targets, grid });
    const queries = told ? b.node("add", [blank, b.node("table_at", [table], { mask: targets, grid })]) : blank;
    const x = b.repeat("blocks", 2, each, [b.node("concat", [seen, queries])]);
    return [b.call("leave", leave, [b.at(x, targets)])];
  }, { module: "vit_predictor", config: { width: small, depth: 2, heads: 4 } });
}

function b_shape(mask: string) {
  return [
    { kind: "dim" as const, terms: [{ coefficient: 1, powers: [["B", 1] as const] }] },
    { kind: "dim" as const, terms: [{ coefficient: 1, powers: [[`K_${mask}`, 1] as const] }] },
    { kind: "dim" as const, terms: [{ coefficient: width, powers: [] }] },
  ];
}

/** I-JEPA on 32 x 32 images with 4 x 4 patches. */
export function ijepa(options: { readonly stop?: boolean; readonly depth?: number; readonly told?: boolean } = {}): ModelGraph {
  const g = new GraphBuilder("ijepa", "I-JEPA (Assran et al., CVPR 2023), small.");
  g.mask("targets", { count: 4, grid });
  g.mask("context", { scale: [0.85, 1], minus: ["targets"], grid });
  const depth = options.depth ?? 4;
  const config = { patch: 4, width, depth, heads: 4 };
  g.instance("student", "encoder", "vit", { config });
  g.instance("teacher", "encoder", "vit", { config, training: { kind: "ema", of: "student", momentum: linear(0.996, 1) } });
  g.instance("predict", "predictor", "vit_predictor", { config: { width: 64, depth: 2, heads: 4 } });
  const { body } = g;
  const image = g.image("image", 32, 32, 3);
  const zContext = body.call("student", vitFunc(g, depth, "context"), [body.at(image, "context")], { name: "z_context", space: { kind: "latent", of: "student" } });
  const target = body.call("teacher", vitFunc(g, depth), [image], { space: { kind: "latent", of: "teacher" } });
  const normal = body.node("normalize", [target], { eps: 1e-5 });
  const zTarget = body.at(options.stop === false ? normal : body.stopGradient(normal), "targets", { name: "z_target" });
  const zHat = body.call("predict", predictorFunc(g, "targets", "context", width, options.told), [zContext], { name: "z_hat", space: { kind: "free", by: "predict" } });
  g.loss("smooth_l1", body.loss("smooth_l1", [zHat, zTarget], { beta: 1 }));
  return g.build();
}

/** SimSiam: one encoder on two views, a predictor, and a swapped loss with stop-gradients. */
export function simsiam(options: { readonly stop?: boolean } = {}): ModelGraph {
  const g = new GraphBuilder("simsiam", "SimSiam (Chen & He, CVPR 2021).");
  g.instance("f", "encoder", "vit");
  g.instance("h", "predictor", "mlp");
  const image = g.image("image", 32, 32, 3);
  const { body } = g;
  void image;
  const a = g.view("a", "image", [{ name: "flip", args: { p: 0.5 } }]);
  const b = g.view("b", "image", [{ name: "random_resized_crop", args: { scale: [0.3, 1] } }]);
  const vit = vitFunc(g, 2);
  const pooled = g.func("encoder", (x) => [x.node("mean", [x.call("vit", vit, [x.input("image", imageType(32, 32, 3))])], { over: ["token"] })]);
  const mlp = g.func("mlp", (x) => {
    const z = x.input("z", { ...imageType(1, 1, 1), shape: [b_shape("x")[0] ?? [], b_shape("x")[2] ?? []].flat(), axes: ["batch", "feature"] });
    return [x.node("affine", [x.node("relu", [z]), x.param("weight", [width, width])])];
  });
  const z = [a, b].map((view, i) => body.call("f", pooled, [view], { name: `z_${i}` }));
  const p = z.map((x, i) => body.call("h", mlp, [x], { name: `p_${i}` }));
  const stopped = (id: NodeId): NodeId => (options.stop === false ? id : body.stopGradient(id));
  g.loss("ab", body.loss("negative_cosine", [p[0] ?? -1, stopped(z[1] ?? -1)]), 0.5);
  g.loss("ba", body.loss("negative_cosine", [p[1] ?? -1, stopped(z[0] ?? -1)]), 0.5);
  return g.build();
}

/** MAE: pixels of the masked patches, normalized per patch, from an encoder of the visible ones. */
export function mae(): ModelGraph {
  const g = new GraphBuilder("mae", "Masked autoencoder (He et al., CVPR 2022).");
  g.mask("hidden", { kind: "random", ratio: [0.75, 0.75], grid });
  g.mask("visible", { kind: "complement", minus: ["hidden"], grid });
  g.instance("encode", "encoder", "vit");
  g.instance("decode", "predictor", "vit_predictor");
  const image = g.image("image", 32, 32, 3);
  const { body } = g;
  const z = body.call("encode", vitFunc(g, 2, "visible"), [body.at(image, "visible")], { name: "z" });
  const pixels = body.call("decode", predictorFunc(g, "hidden", "visible", 48), [z], { name: "pixels", space: { kind: "pixels" } });
  const target = body.at(body.node("normalize", [body.node("patches", [image], { patch: 4, grid })], { eps: 1e-6 }), "hidden", { name: "target" });
  g.loss("mse", body.loss("mse", [pixels, target]));
  return g.build();
}

/** Names that try to become code in some notation. */
export const hostileNames = [
  `"];evil[label="`, `</text><script>alert(1)</script>`, `a"b\\"c`, `x & y < z > w`, "end", "graph", "subgraph", "class", "click", "a\nb", "`rm`", "%% note",
  `]]>`, `<!--`, `javascript:alert(1)`, "{}", "\u0000\u0007", "ä→𝄞", "\ud800", "__proto__", "constructor", "#quot;", "-->|x|", "a b",
];

/** A random well-formed graph: sources, pointwise ops, calls with and without parameters, stop-gradients, losses. */
export const anyGraph: fc.Arbitrary<ModelGraph> = fc.record({
  names: fc.array(fc.oneof(fc.string({ unit: "binary", maxLength: 12 }), fc.constantFrom(...hostileNames)), { minLength: 4, maxLength: 8 }),
  encoders: fc.integer({ min: 1, max: 4 }),
  ema: fc.array(fc.nat(), { maxLength: 3 }),
  views: fc.integer({ min: 0, max: 3 }),
  steps: fc.array(fc.record({ op: fc.constantFrom("call", "repeat", "add", "stop", "gelu", "at", "normalize", "scale", "concat", "mean"), a: fc.nat(), b: fc.nat(), named: fc.boolean() }), { maxLength: 25 }),
  losses: fc.array(fc.record({ a: fc.nat(), b: fc.nat(), weight: fc.constantFrom(0, 1, 0.5, -2) }), { maxLength: 4 }),
}).map(buildRandom);

type Recipe = {
  names: string[]; encoders: number; ema: number[]; views: number;
  steps: { op: string; a: number; b: number; named: boolean }[]; losses: { a: number; b: number; weight: number }[];
};

function buildRandom(r: Recipe): ModelGraph {
  const name = (i: number): string => r.names[i % r.names.length] ?? "x";
  const g = new GraphBuilder(name(0), name(1));
  g.mask("some", { count: 2, grid });
  const optimized = Array.from({ length: r.encoders }, (_, i) => `e${i}`);
  for (const e of optimized) g.instance(e, "encoder", name(2), { config: { [name(3)]: name(0) } });
  const averages = r.ema.map((of, i) => {
    g.instance(`m${i}`, "encoder", name(1), { training: { kind: "ema", of: optimized[of % optimized.length] ?? "e0", momentum: linear(0.9, 1) } });
    return `m${i}`;
  });
  const all = [...optimized, ...averages];
  const image = g.image("image", 32, 32, 3);
  const views = Array.from({ length: r.views }, (_, i) => g.view(`view ${i}`, "image", [{ name: "flip", args: { p: 0.5, [name(2)]: [1, 2] } }]));
  const body: BodyBuilder = g.body;
  const values = [image, ...views].map((v) => body.node("patches", [v], { patch: 4, grid }));
  const linear48 = linearFunc(g, 48, 48);
  const each = eachBlock(g, blockFunc(g, 48, 4), 48);
  const tower = g.func("tower", (b) => [b.repeat("blocks", 3, each, [b.tokens("x", 48)])]);
  const pick = (i: number): NodeId => values[i % values.length] ?? 0;
  for (const [i, s] of r.steps.entries()) {
    const options = s.named ? { name: name(i) } : {};
    const [a, b] = [pick(s.a), pick(s.b)];
    const full = body.type(a).positions.kind === "all";
    const type = body.type(a);
    if (type.axes.length < 3) continue;
    if (s.op === "call") values.push(body.call(all[s.b % all.length] ?? "e0", linear48, [a], options));
    else if (s.op === "repeat") values.push(body.call(all[s.b % all.length] ?? "e0", tower, [a], options));
    else if (s.op === "stop") values.push(body.stopGradient(a, options));
    else if (s.op === "at" && full) values.push(body.at(a, "some", options));
    else if (s.op === "add" && sameShape(body, a, b)) values.push(body.node("add", [a, b], {}, options));
    else if (s.op === "concat" && sameShape(body, a, b)) values.push(body.node("concat", [a, b], {}, options));
    else if (s.op === "scale") values.push(body.node("scale", [a], { value: (s.b % 3) - 1 }, options));
    else if (s.op === "mean") values.push(body.node("mean", [a], { over: ["token"] }, options));
    else if (s.op === "gelu") values.push(body.node("gelu", [a], {}, options));
    else values.push(body.node("normalize", [a], { eps: 1e-5 }, options));
  }
  r.losses.forEach((l, i) => g.loss(`${name(i)} ${i}`, body.loss("mse", [pick(l.a), pick(l.b)], { [name(2)]: 0.5 }), l.weight));
  return g.build();
}

function sameShape(body: BodyBuilder, a: NodeId, b: NodeId): boolean {
  return JSON.stringify([body.type(a).shape, body.type(a).positions]) === JSON.stringify([body.type(b).shape, body.type(b).positions]);
}
