/**
 * How much comes through: predictors and heads of few numbers, directions of one, directions of deviations, and systems in which what is
 * predicted is not what is read. Verdicts are from the theory and from runs of 300 steps of the small recipe.
 */
import type { Unseen } from "./template.js";
import { film, grid, lagging, pair, plain, predictor, where } from "./template.js";

const views = (claim: Parameters<typeof pair>[0]): Unseen => pair({ ...claim, body: `${plain}\n${claim.body}` });

const through = "module through(inner) (x: Features[w]) -> Features[w] {\n  part down = linear(inner)\n  part up = linear(w)\n  up(down(x))\n}";
const stopping = "module stopping() (x: Features[w]) -> Features[w] {\n  part one = linear(w)\n  part two = linear(w)\n  two(stopgrad(gelu(one(x))))\n}";
const follower = "encoder t = ema(f, momentum: 0.99)";
const other = "encoder g = vit(patch: 8, width: 32, depth: 1, heads: 2)";
const direction = "negative_cosine(h(z1), stopgrad(z2))";
const dino = (bottleneck: number, codes: number): string => `${follower}\nhead d = dino_head(64, ${bottleneck}, ${codes})\nhead dt = ema(d, momentum: 0.99)\nhead c = center()\nloss cross_entropy(d(z1), softmax(c(dt(pool(t(b)))), temperature: 0.04), temperature: 0.1)`;
const bottom = (body: string): string => `${follower}\nhead k = mlp_bn(64, out: 1)\nhead kt = ema(k, momentum: 0.99)\n${predictor}\n${body}`;
const codes = (of: string): string => `q, ids = d(${of})\nhead g = linear(16)`;
const halves = "q1, r1 = split(z1, 2)\nq2, r2 = split(z2, 2)";
const blind = { verdict: "error", rules: ["E-BLIND"] } as const;

export const narrow: readonly Unseen[] = [
  views({ id: "U1100", title: "a predictor through two numbers, with batch normalization", verdict: "risky", rules: ["W-NARROW"], why: "what is not predicted is not held", body: `predictor h = mlp_bn(2)\nloss ${direction}` }),
  views({ id: "U1101", title: "a predictor through eight numbers, under a distance", verdict: "risky", rules: ["W-NARROW"], why: "what is not predicted is not held", modules: through, body: "predictor h = through(8)\nloss mse(h(z1), stopgrad(normalize(z2)))" }),
  views({ id: "U1102", title: "a predictor through one number, under a distance to an average", verdict: "risky", rules: ["W-NARROW"], why: "an average lags, and says all that is not predicted", modules: through, body: `${follower}\npredictor h = through(1)\nloss mse(h(z1), normalize(pool(t(b))))` }),
  views({ id: "U1103", title: "a narrow correction beside the value itself", verdict: "risky", rules: ["W-NARROW"], why: "what comes around it is no prediction", body: "predictor h = mlp_bn(2)\nloss negative_cosine(z1 + h(z1), stopgrad(z2))" }),
  views({ id: "U1104", title: "a predictor through half of the numbers", verdict: "sound", why: "SimSiam: a quarter", body: `predictor h = mlp_bn(16)\nloss ${direction}` }),
  grid({ id: "U1105", title: "I-JEPA with a predictor of four numbers", verdict: "sound", accept: ["sound", "risky"], why: "masked prediction asks at many places", body: `${lagging}\npredictor h = vit_predictor(width: 4, depth: 1, heads: 1)\nloss smooth_l1(h(f(image at context), at: targets), normalize(t(image)) at targets)` }),
  views({ id: "U1106", title: "SimSiam behind a head of one number", ...blind, why: "the direction of one number is its sign", body: `head k = projector_bn(64, 1)\n${predictor}\nloss negative_cosine(h(k(z1)), stopgrad(k(z2)))` }),
  views({ id: "U1107", title: "contrast of one number", ...blind, why: "the direction of one number is its sign", body: "head k = linear(1)\nloss info_nce(k(z1), k(z2))" }),
  views({ id: "U1108", title: "SwAV over one number", ...blind, why: "prototypes see directions", body: "head k = linear(1)\nhead d = prototypes(64)\nloss cross_entropy(d(k(z1)), stopgrad(sinkhorn(d(k(z2)), temperature: 0.05)), temperature: 0.1)" }),
  views({ id: "U1109", title: "DINO with a bottleneck of one number", ...blind, why: "the bottleneck is made of length one", body: dino(1, 64) }),
  views({ id: "U1110", title: "DINO with one code", ...blind, why: "one code has all of every image", body: dino(32, 1) }),
  views({ id: "U1111", title: "BYOL's distance of unit lengths of one number", ...blind, why: "the direction of one number is its sign", body: bottom("loss mse(l2_normalize(h(k(z1))), l2_normalize(kt(pool(t(b)))))") }),
  views({ id: "U1112", title: "a distance of one number behind an average", verdict: "sound", accept: ["sound", "risky"], why: "BYOL, of one number", body: bottom("loss mse(h(k(z1)), kt(pool(t(b))))") }),
  views({ id: "U1113", title: "VICReg of one number", verdict: "sound", accept: ["sound", "risky"], why: "one number has a deviation, and no other to follow", body: "head k = linear(1)\nu1 = k(z1)\nu2 = k(z2)\nloss 25 * mse(u1, u2) + 25 * variance(u1) + 25 * variance(u2) + covariance(u1) + covariance(u2)" }),
  views({ id: "U1114", title: "Barlow Twins of one number", verdict: "sound", accept: ["sound", "risky"], why: "as U1113", body: "head k = linear(1)\nloss barlow(k(z1), k(z2))" }),
  views({ id: "U1115", title: "LeJEPA of one number", verdict: "sound", accept: ["sound", "risky"], why: "as U1113", body: "head k = linear(1)\nloss mse(k(z1), k(z2)) + sigreg(k(z1)) + sigreg(k(z2))" }),
  views({ id: "U1116", title: "contrast of two numbers", verdict: "sound", why: "two numbers have a direction", body: "head k = linear(2)\nloss info_nce(k(z1), k(z2))" }),
  views({ id: "U1117", title: "SwAV over two numbers", verdict: "sound", why: "two numbers have a direction", body: "head k = linear(2)\nhead d = prototypes(64)\nloss cross_entropy(d(k(z1)), stopgrad(sinkhorn(d(k(z2)), temperature: 0.05)), temperature: 0.1)" }),
  views({ id: "U1118", title: "DINO with two codes", verdict: "sound", why: "two codes differ", body: dino(32, 2) }),
  views({ id: "U1119", title: "SimSiam behind a head of two numbers", verdict: "sound", why: "two numbers have a direction", body: `head k = projector_bn(64, 2)\n${predictor}\nloss negative_cosine(h(k(z1)), stopgrad(k(z2)))` }),
  views({ id: "U1120", title: "ids of a fixed codebook, mean entropy of the prediction", verdict: "sound", accept: ["sound", "risky"], why: "a predictor and a stop", body: `head d = frozen(quantizer(16))\n${codes("z2")}\nc = g(z1)\nloss cross_entropy(c, stopgrad(ids)) + mean_entropy(softmax(c))` }),
  views({ id: "U1121", title: "ids of one number, mean entropy of the prediction", verdict: "risky", accept: ["risky", "error"], why: "as U1120", body: `head k = linear(1)\nhead d = quantizer(16)\n${codes("k(z2)")}\nc = g(k(z1))\nloss cross_entropy(c, stopgrad(ids)) + mean_entropy(softmax(c))` }),
  views({ id: "U1122", title: "one value by two batch normalizations", verdict: "error", rules: ["E-DEAD"], why: "what they remember makes no value of a step", body: "head n = plain_batch_norm()\nhead m = plain_batch_norm()\nloss mse(n(z1), m(z1))" }),
  views({ id: "U1123", title: "what two batch normalizations leave as a target", verdict: "risky", rules: ["W-TARGET-UNINFORMED"], why: "the same for all pictures", body: `head n = plain_batch_norm()\n${predictor}\nloss mse(h(z1), stopgrad(n(z2) - batch_normalize(z2)))` }),
  views({ id: "U1124", title: "directions of deviations as a target", verdict: "risky", rules: ["W-DIM"], why: "what has mean zero does not point one way", body: "loss negative_cosine(z1, stopgrad(z2 - mean(z2, over: images)))" }),
  views({ id: "U1125", title: "directions of deviations, both sides trained", verdict: "risky", rules: ["W-DIM"], why: "what has mean zero does not point one way", body: "loss negative_cosine(z1 - mean(z1, over: images), z2 - mean(z2, over: images))" }),
  views({ id: "U1126", title: "batch normalization of the student alone", verdict: "risky", rules: ["W-DIM"], why: "the target is drawn to a deviation of one", body: "loss mse(batch_normalize(z1), stopgrad(z2))" }),
  views({ id: "U1127", title: "batch normalization of the target alone", verdict: "risky", rules: ["W-DIM"], why: "it has a deviation of one", body: "loss mse(z1, stopgrad(batch_normalize(z2)))" }),
  views({ id: "U1128", title: "each half of the features predicts the other", verdict: "risky", rules: ["W-UNTIED"], why: "what is predicted is not what reads", body: `${halves}\n${predictor}\nloss negative_cosine(h(q1), stopgrad(r2)) + negative_cosine(h(r1), stopgrad(q2))` }),
  views({ id: "U1129", title: "a prediction of one half, agreement of the other", verdict: "error", rules: ["E-SYM"], why: "nothing holds the other half", body: `${halves}\n${predictor}\nloss negative_cosine(h(q1), stopgrad(q2)) + negative_cosine(r1, r2)` }),
  views({ id: "U1130", title: "a correction of the stopped value beside the value", verdict: "sound", accept: ["sound", "risky"], why: "the predictor is trained, and its gradient is the identity's", body: `${predictor}\nloss negative_cosine(z1 + h(stopgrad(z1)), stopgrad(z2))` }),
  views({ id: "U1131", title: "the encoder follows what is predicted", verdict: "error", rules: ["E-NOPRED"], why: "nothing is trained on the side of its gradient", body: `${predictor}\nloss negative_cosine(h(stopgrad(z1)), stopgrad(z2)) + negative_cosine(z1, stopgrad(h(z2)))` }),
  views({ id: "U1132", title: "the sum of both views as the target of each", verdict: "sound", accept: ["sound", "risky"], why: "the other view is asked for as well", body: `${predictor}\ny = stopgrad(z1 + z2)\nloss negative_cosine(h(z1), y) + negative_cosine(h(z2), y)` }),
  views({ id: "U1133", title: "what the average says beyond the student as the target", verdict: "sound", accept: ["sound", "risky"], why: "it varies, and lags", body: `${follower}\n${predictor}\nloss mse(h(z1), stopgrad(normalize(pool(t(b)) - z1)))` }),
  views({ id: "U1134", title: "a momentum that ends at 0", verdict: "sound", accept: ["sound", "risky"], why: "SimSiam at the end", body: `encoder t = ema(f, momentum: 0.99 -> 0)\n${predictor}\nloss negative_cosine(h(z1), pool(t(b)))` }),
  views({ id: "U1135", title: "variance and covariance of the prediction, the target stopped", verdict: "sound", accept: ["sound", "risky"], why: "a predictor and a stop, and a guard", body: `${predictor}\np = h(z1)\nloss 25 * mse(p, stopgrad(z2)) + 25 * variance(p) + covariance(p)` }),
  views({ id: "U1136", title: "agreement of what images have in common, both sides trained", verdict: "error", rules: ["E-SYM"], why: "all images alike agree", body: "u1 = l2_normalize(z1)\nu2 = l2_normalize(z2)\nloss mse(similarities(u1, u1), similarities(u2, u2))" }),
  views({ id: "U1137", title: "two students of one average", verdict: "risky", rules: ["W-UNTIED"], why: "BYOL's target, and a student that it does not follow", body: `${follower}\n${other}\n${predictor}\npredictor k = mlp_bn(64)\nloss negative_cosine(h(z1), pool(t(b))) + negative_cosine(k(pool(g(a))), pool(t(b)))` }),
  views({ id: "U1138", title: "a predictor that stops inside", verdict: "error", rules: ["E-DEAD"], why: "no gradient comes out of it", modules: stopping, body: `predictor h = stopping()\nloss ${direction}` }),
  grid({ id: "U1139", title: "I-JEPA without a stop, and pixels from the prediction", verdict: "risky", why: "hidden pixels are foretold by little", body: `${where}\nhead dec = linear(48)\np = h(f(image at context), at: targets)\nloss mse(p, normalize(f(image)) at targets) + mse(dec(p), patches(image, 4) at targets)` }),
  film({ id: "U1140", title: "contrast of predictions with an average's later moments", verdict: "sound", why: "negatives", body: `${follower}\npredictor h = mlp(64, out: 32)\nloss info_nce(h(join(earlier(f(video)), earlier(action))), later(t(video)))` }),
  views({ id: "U1141", title: "a pretrained network's features beside symmetric agreement", verdict: "sound", why: "the features vary", body: "encoder g = pretrained(vit(patch: 8, width: 32, depth: 1, heads: 2))\nhead k = linear(32)\nloss mse(k(z1), pool(g(a))) + negative_cosine(z1, z2)" }),
  views({ id: "U1142", title: "batch normalization of the student alone, behind an average", verdict: "risky", accept: ["risky", "error"], why: "as U1126", body: `${follower}\nloss mse(batch_normalize(z1), pool(t(b)))` }),
  views({ id: "U1143", title: "two teachers, each the average of the other's student", verdict: "risky", rules: ["W-UNTIED"], why: "neither follows what it predicts", body: `${follower}\n${other}\nencoder u = ema(g, momentum: 0.99)\n${predictor}\npredictor k = mlp_bn(64)\nloss negative_cosine(h(z1), pool(u(b))) + negative_cosine(k(pool(g(a))), pool(t(b)))` }),
];
