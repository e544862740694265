/**
 * Examples of the collapse and mask diagnostics: lines that are refused (or warned of, or remarked) and the same lines mended. // tidy: table
 *
 * One row per code of the families 4 and 5, total by type, so that no page lacks one. Lines stand in a frame, which is given
 * once: what a page shows is a program as it can be checked, and a test checks every one of them. Owns examples only; the
 * words of a page are the catalogue's.
 */
import type { Code, Severity } from "./catalogue.js";

/** Codes whose pages have examples. */
export type ShownCode = Extract<Code, `JEP4${string}` | `JEP5${string}`>;

/** One example: lines of a model in a frame. */
export interface Example {
  readonly frame: FrameName;
  /** Lines that both have, before those that differ. */
  readonly shared?: string;
  readonly refused: string;
  readonly mended: string;
  /** Modules of its own. */
  readonly modules?: string;
}

/** A frame: the lines of the model around an example, and in words what they declare. */
interface Frame {
  readonly words: string;
  readonly before: string;
  readonly after: string;
}

const encoder = "encoder f = vit(patch: 8, width: 32, depth: 1, heads: 2)";
const gridEncoder = "encoder f = vit(patch: 4, width: 32, depth: 1, heads: 2)";
const blocks = "mask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 1)\nmask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 1) minus targets";
const ijepa = "encoder t = ema(f, momentum: 0.996 -> 1)\npredictor h = vit_predictor(width: 16, depth: 1, heads: 2)\nloss smooth_l1(h(f(image at context), at: targets), stopgrad(normalize(t(image))) at targets)";

/** Frames by name. */
const frames = {
  views: {
    words: "In a model with two views `a` and `b` of a picture, and an encoder `f` of 32 features:",
    before: `input image: Image[32, 32, 3]\nview a, b = augment(image) { flip(p: 0.5) }\n${encoder}`,
    after: "",
  },
  masked: {
    words: "In a model with a picture `image` of 12 x 12 patches, disjoint masks `context` and `targets`, and an encoder `f`:",
    before: `input image: Image[48, 48, 3]\n${blocks}\n${gridEncoder}`,
    after: "",
  },
  masks: {
    words: "In an I-JEPA on a picture of 12 x 12 patches, which sees `context` and predicts `targets`:",
    before: "input image: Image[48, 48, 3]",
    after: `${gridEncoder}\n${ijepa}`,
  },
  small: {
    words: "In an I-JEPA on a picture of 8 x 8 patches, which sees `context` and predicts `targets`:",
    before: "input image: Image[32, 32, 3]",
    after: `${gridEncoder}\n${ijepa}`,
  },
  film: {
    words: "In a model with a film `video` of eight frames and an action for each:",
    before: "input video: Video[8, 32, 32, 3]\ninput action: Action[8, 4]",
    after: "",
  },
} as const satisfies Readonly<Record<string, Frame>>;

export type FrameName = keyof typeof frames;

/** The whole program of an example. */
export function programOf({ frame, shared, modules }: Example, lines: string): string {
  const { before, after }: Frame = frames[frame];
  const body = [before, shared ?? "", lines, after].filter((part) => part !== "").join("\n");
  return `use std.vit\nuse std.heads\n\n${modules === undefined ? "" : `${modules}\n\n`}model m {\n${indented(body)}\n}\n\ntrain m {\n  data shapes(count: 256)\n  epochs 1\n  batch 64\n}\n`;
}

function indented(text: string): string {
  return text.split("\n").map((line) => (line === "" ? "" : `  ${line}`)).join("\n");
}

/** What is done to a program that a diagnostic speaks of. */
const told: Readonly<Record<Severity, string>> = { error: "refused", warning: "warned of", note: "remarked" };

/** An example as a page shows it: in words where it stands, then both versions. */
export function exampleText(example: Example, severity: Severity): string {
  const block = (comment: string, lines: string): string => [`// ${comment}`, ...(example.shared === undefined ? [] : [example.shared]), lines].join("\n");
  const modules = example.modules === undefined ? "" : `${example.modules}\n\n`;
  return `${frames[example.frame].words}\n\n\`\`\`\n${modules}${block(told[severity], example.refused)}\n\n${block("mended", example.mended)}\n\`\`\``;
}

const z = "z1 = pool(f(a))\nz2 = pool(f(b))";
const projected = "head p = projector(64, 64)\nz1 = p(pool(f(a)))\nz2 = p(pool(f(b)))";
const teacher = "encoder t = ema(f, momentum: 0.996 -> 1)";
const codes = `${teacher}\nhead d = dino_head(64, 32, 128)\nhead dt = ema(d, momentum: 0.996)\nhead c = center()`;
const where = "predictor h = vit_predictor(width: 16, depth: 1, heads: 2)";
const net = "module net(width) (clip) {\n  part embed = linear(width)\n  part hidden = mlp(2 * width)\n  pool(hidden(embed(patches(clip, 8))))\n}";
const clipNet = "module clip_net(width) (clip) -> Tokens[width] {\n  part embed = linear(width)\n  part mix = block(2)\n  mix(embed(tubes(clip, 4, 2)) + sincos2d(width))\n}";
const dynamics = "encoder f = net(32)\npredictor h = mlp(64, out: 32)\nz = f(video)\nnext = h(join(earlier(z), earlier(action)))";
const maskedVit = "module trunk(heads) (x: Tokens[width]) -> Tokens[width] {\n  part one = block(heads)\n  one(x)\n}\nmodule masked_vit(patch, width) (image, at: Positions) -> Tokens[width] {\n  part embed = patch_embedding(patch, width)\n  part token = mask_tokens()\n  part rest = trunk(2)\n  rest(token(embed(image), at) + sincos2d(width))\n}";
const unplaced = (queries: string): string => `predictor h = ${queries}`;
const blind = "module blind(width) (context: Tokens[outer], at: Positions) -> Tokens[outer] {\n  part embed = linear(width)\n  part mixing = attention(2)\n  part out = linear(outer)\n  learn token[1, 1, width] ~ trunc_normal(std: 0.02)\n  out(pick(mixing(concat(embed(context), spread(token, at))), at))\n}";
const bag = "module bag(width) (image) -> Tokens[width] {\n  part embed = patch_embedding(4, width)\n  part mix = block(2)\n  mix(embed(image))\n}";
const rest = "module rest(width) (x: Tokens[in]) -> Tokens[width] {\n  part embed = linear(width)\n  part mix = block(2)\n  mix(embed(x) + sincos2d(width))\n}";
const ofTargets = "stopgrad(normalize(t(image))) at targets";

/** An example for every code. */
export const examples: Readonly<Record<ShownCode, Example>> = {
  JEP4001: { frame: "views", shared: `predictor h = mlp(64)\n${z}`, refused: "loss mse(h(z1), z2)", mended: "loss mse(h(z1), stopgrad(z2))" },
  JEP4002: { frame: "views", shared: z, refused: "loss negative_cosine(z1, stopgrad(z2))", mended: "predictor h = mlp(64)\nloss negative_cosine(h(z1), stopgrad(z2))" },
  JEP4003: { frame: "views", shared: z, refused: "predictor h = frozen(mlp(64))\nloss negative_cosine(h(z1), stopgrad(z2))", mended: "predictor h = mlp(64)\nloss negative_cosine(h(z1), stopgrad(z2))" },
  JEP4004: { frame: "views", shared: `predictor h = mlp(64)\n${z}`, refused: "loss negative_cosine(z1, stopgrad(h(z2)))", mended: "loss negative_cosine(h(z1), stopgrad(z2))" },
  JEP4005: { frame: "views", shared: `${teacher}\npredictor h = mlp(64)`, refused: "head p = linear(32)\nloss mse(h(pool(f(a))), p(pool(t(b))))", mended: "head p = frozen(linear(32))\nloss mse(h(pool(f(a))), p(pool(t(b))))" },
  JEP4006: { frame: "views", shared: `predictor h = mlp(64)\n${z}`, refused: "loss negative_cosine(h(stopgrad(z1)), z2)", mended: "loss negative_cosine(h(z1), stopgrad(z2))" },
  JEP4007: { frame: "views", shared: projected, refused: "loss 25 * mse(z1, z2) + covariance(z1)", mended: "loss 25 * mse(z1, z2) + 25 * variance(z1) + covariance(z1)" },
  JEP4008: { frame: "views", shared: projected, refused: "loss 25 * mse(z1, z2) + 25 * variance(stopgrad(z1)) + covariance(z1)", mended: "loss 25 * mse(z1, z2) + 25 * variance(z1) + covariance(z1)" },
  JEP4009: { frame: "views", shared: "head p = projector(64, 64)\nz1 = p(f(a))\nz2 = p(f(b))", refused: "loss 25 * mse(pool(z1), pool(z2)) + 25 * variance(z1, over: tokens)", mended: "loss 25 * mse(pool(z1), pool(z2)) + 25 * variance(pool(z1), over: images) + covariance(pool(z1))" },
  JEP4010: { frame: "views", shared: projected, refused: "loss 25 * mse(z1, z2) - 25 * variance(z1) + covariance(z1)", mended: "loss 25 * mse(z1, z2) + 25 * variance(z1) + covariance(z1)" },
  JEP4011: { frame: "views", shared: projected, refused: "loss 25 * variance(z1) + covariance(z1)", mended: "loss 25 * mse(z1, z2) + 25 * variance(z1) + covariance(z1)" },
  JEP4012: { frame: "views", shared: `predictor h = mlp(64)\n${z}`, refused: "loss mse(stopgrad(h(z1)), stopgrad(z2))", mended: "loss mse(h(z1), stopgrad(z2))" },
  JEP4013: { frame: "views", shared: codes, refused: "loss cross_entropy(d(pool(f(a))), softmax(dt(pool(t(b))), temperature: 0.04), temperature: 0.1)", mended: "loss cross_entropy(d(pool(f(a))), softmax(c(dt(pool(t(b)))), temperature: 0.04), temperature: 0.1)" },
  JEP4014: { frame: "views", shared: codes, refused: "loss cross_entropy(d(pool(f(a))), softmax(c(dt(pool(t(b)))), temperature: 0.1), temperature: 0.1)", mended: "loss cross_entropy(d(pool(f(a))), softmax(c(dt(pool(t(b)))), temperature: 0.04), temperature: 0.1)" },
  JEP4015: { frame: "views", shared: "head d = prototypes(64)", refused: "loss cross_entropy(d(pool(f(a))), stopgrad(softmax(d(pool(f(b))), temperature: 0.05)), temperature: 0.1)", mended: "loss cross_entropy(d(pool(f(a))), stopgrad(sinkhorn(d(pool(f(b))), temperature: 0.05)), temperature: 0.1)" },
  JEP4016: { frame: "views", shared: codes, refused: "loss cross_entropy(d(pool(f(a))), stopgrad(softmax(c(d(pool(f(b)))), temperature: 0.04)), temperature: 0.1)", mended: "loss cross_entropy(d(pool(f(a))), softmax(c(dt(pool(t(b)))), temperature: 0.04), temperature: 0.1)" },
  JEP4017: { frame: "views", refused: "head p = projector(64, 64)\nloss mse(whiten(p(pool(f(a)))), whiten(p(pool(f(b)))))", mended: "head p = projector(64, 16)\nloss mse(whiten(p(pool(f(a)))), whiten(p(pool(f(b)))))" },
  JEP4018: { frame: "masked", shared: `${teacher}\n${where}\nhead paint = linear(48)\nguess = h(f(image at context), at: targets)\nloss smooth_l1(guess, ${ofTargets})`, refused: "loss pixels = -0.1 * mse(paint(guess), patches(image, 4) at targets)", mended: "loss pixels = 0.1 * mse(paint(guess), patches(image, 4) at targets)" },
  JEP4019: { frame: "views", shared: `${teacher}\nhead d = prototypes(64)\nhead dt = ema(d, momentum: 0.996)\nhead c = center()`, refused: "loss cross_entropy(d(pool(f(a))), c(softmax(dt(pool(t(b))), temperature: 0.04)), temperature: 0.1)", mended: "loss cross_entropy(d(pool(f(a))), softmax(c(dt(pool(t(b)))), temperature: 0.04), temperature: 0.1)" },
  JEP4020: { frame: "views", shared: "predictor h = mlp(64)", refused: "encoder t = ema(f, momentum: 1)\nloss mse(h(pool(f(a))), pool(t(b)))", mended: `${teacher}\nloss mse(h(pool(f(a))), pool(t(b)))` },
  JEP4021: { frame: "masked", shared: where, modules: "module places(width) (x: Tokens[in]) -> Tokens[width] {\n  part embed = linear(width)\n  embed(x * 0) + sincos2d(width)\n}", refused: "head w = frozen(places(32))\nloss mse(h(f(image at context), at: targets), w(patches(image, 4)) at targets)", mended: "head w = frozen(linear(32))\nloss mse(h(f(image at context), at: targets), w(patches(image, 4)) at targets)" },
  JEP4022: { frame: "masked", shared: where, refused: `encoder t = ema(f, momentum: 0)\nloss mse(h(f(image at context), at: targets), ${ofTargets})`, mended: `${teacher}\nloss mse(h(f(image at context), at: targets), ${ofTargets})` },
  JEP4023: { frame: "masked", modules: rest, shared: `encoder g = rest(32)\nx = patches(image, 4)\n${where}`, refused: "loss mse(h(g(x at context), at: targets), stopgrad(g(x)) at targets)", mended: "loss mse(h(g(x at context), at: targets), stopgrad(normalize(g(x))) at targets)" },
  JEP4024: { frame: "views", modules: maskedVit, shared: "mask hidden = random(0.6)\nencoder s = masked_vit(8, 32)\nencoder u = ema(s, momentum: 0.999)\nfull = stopgrad(normalize(u.rest(u.embed(image) + sincos2d(32)))) at hidden", refused: "loss smooth_l1(s(image, at: hidden) at hidden, full)", mended: "head out = linear(32)\nloss smooth_l1(out(s(image, at: hidden)) at hidden, full)" },
  JEP4025: { frame: "views", shared: `${teacher}\nhead c = center()`, refused: "loss mse(pool(f(a)), c(pool(t(b))))", mended: "predictor h = mlp(64)\nloss mse(h(pool(f(a))), c(pool(t(b))))" },
  JEP4026: { frame: "views", shared: "encoder g = vit(patch: 8, width: 32, depth: 1, heads: 2)\npredictor h = mlp(64)\npredictor k = mlp(64)", refused: "loss mse(h(pool(f(a))), stopgrad(pool(g(b)))) + mse(k(pool(g(b))), stopgrad(pool(f(a))))", mended: "loss mse(h(pool(f(a))), stopgrad(pool(f(b)))) + mse(k(pool(g(a))), stopgrad(pool(g(b))))" },
  JEP4027: { frame: "views", shared: projected, refused: "loss mse(z1, z2) + variance(z1)", mended: "loss mse(z1, z2) + variance(z1) + 0.04 * covariance(z1)" },
  JEP4028: { frame: "film", modules: net, shared: dynamics, refused: "loss mse(next, later(z)) + variance(z) + 0.04 * covariance(z)", mended: "head inverse = mlp(64, out: 4)\nloss mse(next, later(z)) + variance(z) + 0.04 * covariance(z)\nloss acts = mse(inverse(join(earlier(z), later(z))), earlier(action))" },
  JEP4029: { frame: "masked", shared: `${where}\ng = f(image)`, refused: "loss 25 * mse(h(f(image at context), at: targets), g at targets) + 25 * variance(pool(g)) + covariance(pool(g))", mended: "loss 25 * mse(h(f(image at context), at: targets), stopgrad(g) at targets) + 25 * variance(pool(g)) + covariance(pool(g))" },
  JEP4030: { frame: "views", shared: projected, refused: "loss mse(z1, z2) + variance(z1) + covariance(z1)", mended: "loss mse(z1, z2) + variance(z1) + 0.04 * covariance(z1)" },
  JEP4031: { frame: "views", shared: codes, refused: "loss cross_entropy(d(pool(f(a))), softmax(c(dt(pool(t(b)))), temperature: 0.08), temperature: 0.1)", mended: "loss cross_entropy(d(pool(f(a))), softmax(c(dt(pool(t(b)))), temperature: 0.04), temperature: 0.1)" },
  JEP4032: { frame: "views", shared: "predictor h = mlp(64)", refused: "encoder t = ema(f, momentum: 0.5)\nloss mse(h(pool(f(a))), pool(t(b)))", mended: `${teacher}\nloss mse(h(pool(f(a))), pool(t(b)))` },
  JEP4033: { frame: "views", shared: projected, refused: "loss 25 * mse(z1, z2) + (25 -> 0) * variance(z1) + covariance(z1)", mended: "loss 25 * mse(z1, z2) + (25 -> 5) * variance(z1) + covariance(z1)" },
  JEP4034: { frame: "views", refused: "loss info_nce(pool(f(a)), stopgrad(pool(f(b))), queue: 1024)", mended: "encoder t = ema(f, momentum: 0.999)\nloss info_nce(pool(f(a)), pool(t(b)), queue: 1024)" },
  JEP4035: { frame: "masked", shared: where, refused: "head w = linear(32)\nloss mse(h(f(image at context), at: targets), stopgrad(w(patches(image, 4))) at targets)", mended: "head w = frozen(linear(32))\nloss mse(h(f(image at context), at: targets), w(patches(image, 4)) at targets)" },
  JEP4036: { frame: "views", shared: projected, refused: "loss 25 * mse(z1, z2) + 25 * variance(pool(f(a))) + covariance(pool(f(a)))", mended: "loss 25 * mse(z1, z2) + 25 * variance(z1) + covariance(z1)" },
  JEP4037: { frame: "views", shared: `input label: Label[10]\npredictor h = mlp(64)\nhead w = linear(10)\n${z}\nloss negative_cosine(h(z1), stopgrad(z2))`, refused: "loss named = cross_entropy(w(stopgrad(z1)), label)", mended: "loss named = cross_entropy(w(z1), label)" },
  JEP4038: { frame: "views", shared: `predictor h = mlp(64)\n${z}`, refused: "head p = linear(32)\nloss mse(h(z1), stopgrad(p(z2)))", mended: "head p = frozen(linear(32))\nloss mse(h(z1), stopgrad(p(z2)))" },
  JEP4039: { frame: "views", shared: projected, refused: "loss mean(exp(z1) * z2)", mended: "loss mse(z1, z2) + variance(z1) + 0.04 * covariance(z1)" },
  JEP4040: { frame: "views", shared: "head paint = linear(192)", refused: "loss mse(paint(join(f(a), patches(a, 8))), patches(a, 8))", mended: "loss mse(paint(f(a)), patches(a, 8))" },
  JEP4041: { frame: "views", shared: `${teacher}\npredictor h = mlp(64)\nz = pool(f(a))`, refused: "loss mse(h(2 * stopgrad(z) - z), pool(t(b)))", mended: "loss mse(h(z), pool(t(b)))" },
  JEP4042: { frame: "views", shared: z, refused: "head k = linear(1)\nloss info_nce(k(z1), k(z2))", mended: "head k = linear(16)\nloss info_nce(k(z1), k(z2))" },
  JEP4043: { frame: "views", shared: z, refused: "predictor h = mlp_bn(2)\nloss negative_cosine(h(z1), stopgrad(z2))", mended: "predictor h = mlp_bn(16)\nloss negative_cosine(h(z1), stopgrad(z2))" },
  JEP4050: { frame: "views", shared: `predictor h = mlp(64)\n${z}\nloss mse(h(z1), stopgrad(z2))`, refused: "mask idle = random(0.5)", mended: "// without the mask" },
  JEP4051: { frame: "views", shared: `predictor h = mlp(64)\n${z}\nloss mse(h(z1), stopgrad(z2))`, refused: "view idle = augment(image) { flip(p: 0.5) }", mended: "// without the view" },
  JEP4052: { frame: "views", shared: `predictor h = mlp(64)\n${z}\nloss mse(h(z1), stopgrad(z2))`, refused: "loss back = mse(stopgrad(h(z2)), stopgrad(z1))", mended: "loss back = mse(h(z2), stopgrad(z1))" },
  JEP4053: { frame: "views", shared: "predictor h = mlp(64)\nhead p = linear(32)\nhead pt = ema(p, momentum: 0.99)", refused: "loss mse(h(p(pool(f(a)))), pt(pool(patches(b, 8))))", mended: `${teacher}\nloss mse(h(p(pool(f(a)))), pt(pool(t(b))))` },
  JEP4054: { frame: "views", shared: `predictor h = mlp(64)\n${z}`, refused: "loss mse(h(z1), stopgrad(z2)) + 0 * variance(z1)", mended: "loss mse(h(z1), stopgrad(z2)) + 0.1 * variance(z1)" },
  JEP4055: { frame: "views", shared: `predictor h = mlp(64)\n${z}`, refused: "head unused = linear(32)\nloss mse(h(z1), stopgrad(z2))", mended: "head used = linear(32)\nloss mse(h(used(z1)), stopgrad(used(z2)))" },
  JEP5001: { frame: "masks", refused: "mask targets = circle(0.5)\nmask context = all minus targets", mended: "mask targets = random(0.5)\nmask context = all minus targets" },
  JEP5002: { frame: "masks", refused: "mask targets = random(0.5)\nmask context = all minus tragets", mended: "mask targets = random(0.5)\nmask context = all minus targets" },
  JEP5003: { frame: "masks", refused: "mask targets = random(60)\nmask context = all minus targets", mended: "mask targets = random(0.6)\nmask context = all minus targets" },
  JEP5010: { frame: "small", refused: "mask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 10)\nmask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 4) minus targets", mended: "mask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 4)\nmask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 4) minus targets" },
  JEP5011: { frame: "masks", refused: "mask targets = all\nmask context = all minus targets", mended: "mask targets = random(0.5)\nmask context = all minus targets" },
  JEP5012: { frame: "masks", refused: "mask targets = 4 of block(scale: 0.3..0.4, min_keep: 1, sampler: corrected)\nmask context = all minus targets", mended: "mask targets = 4 of block(scale: 0.15..0.2, min_keep: 1, sampler: corrected)\nmask context = all minus targets" },
  JEP5013: { frame: "masks", refused: blocks, mended: blocks.replaceAll("min_keep: 1)", "min_keep: 1, sampler: corrected)") },
  JEP5014: { frame: "masks", refused: blocks, mended: "mask context = random(0.25)\nmask targets = all minus context" },
  JEP5015: { frame: "masked", shared: `${teacher}\n${where}`, refused: `loss smooth_l1(h(f(image), at: targets), ${ofTargets})`, mended: `loss smooth_l1(h(f(image at context), at: targets), ${ofTargets})` },
  JEP5016: { frame: "masks", refused: blocks.replace(" minus targets", ""), mended: blocks },
  JEP5017: { frame: "masked", modules: rest, shared: `encoder g = rest(32)\nencoder t = ema(g, momentum: 0.99)\n${where}\nx = patches(image, 4)`, refused: "loss mse(h(g(batch_normalize(x) at context), at: targets), stopgrad(normalize(t(x))) at targets)", mended: "loss mse(h(g(normalize(x) at context), at: targets), stopgrad(normalize(t(x))) at targets)" },
  JEP5018: { frame: "masked", modules: blind, shared: teacher, refused: `${unplaced("blind(16)")}\nloss mse(h(f(image at context), at: targets), ${ofTargets})`, mended: `${where}\nloss mse(h(f(image at context), at: targets), ${ofTargets})` },
  JEP5019: { frame: "masked", modules: bag, shared: where, refused: "encoder g = bag(32)\nencoder t = ema(g, momentum: 0.99)\nloss mse(h(g(image at context), at: targets), stopgrad(normalize(t(image))) at targets)", mended: `${teacher}\nloss mse(h(f(image at context), at: targets), ${ofTargets})` },
  JEP5020: { frame: "masked", shared: `${teacher}\n${where}`, refused: "loss mse(h(f(image at context), at: targets), stopgrad(normalize(t(image at targets))))", mended: `loss mse(h(f(image at context), at: targets), ${ofTargets})` },
  JEP5021: { frame: "views", modules: maskedVit, shared: "mask hidden = random(0.6)\nencoder s = masked_vit(8, 32)\nencoder u = ema(s, momentum: 0.999)\nfull = stopgrad(normalize(u.rest(u.embed(image) + sincos2d(32))))\nhead out = linear(32)", refused: "loss smooth_l1(out(s(image, at: hidden)), full)", mended: "loss smooth_l1(out(s(image, at: hidden)) at hidden, full at hidden)" },
  JEP5022: { frame: "masks", refused: "mask targets = block(scale: 0.05..0.1, min_keep: 1)\nmask context = block(scale: 0.4..1.0, aspect: 1.0, min_keep: 1) minus targets", mended: blocks },
  JEP5023: { frame: "masks", refused: blocks, mended: "mask targets = random(0.5)\nmask context = all minus targets" },
  JEP5024: { frame: "masks", refused: blocks, mended: blocks.replaceAll("min_keep: 1)", "min_keep: 1, sampler: corrected)") },
  JEP5025: { frame: "film", modules: clipNet, shared: "encoder f = clip_net(32)\nencoder t = ema(f, momentum: 0.99)\npredictor h = vit_predictor(width: 16, depth: 1, heads: 2)", refused: "mask targets = random(0.5)\nmask context = all minus targets\nloss l1(h(f(video at context), at: targets), stopgrad(normalize(t(video))) at targets)", mended: "mask targets = 4 of block(scale: 0.15..0.2, min_keep: 1)\nmask context = all minus targets\nloss l1(h(f(video at context), at: targets), stopgrad(normalize(t(video))) at targets)" },
};

/** The example of a code that has one. */
export function exampleOf(code: Code): Example | undefined {
  const table: Readonly<Partial<Record<Code, Example>>> = examples;
  return table[code];
}
