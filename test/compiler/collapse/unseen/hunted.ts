/**
 * Programs written to find wrong verdicts: heads that stand between the encoder and the target, constants that hide behind what an
 * operation does not tell, commitments, guards of a few features, and targets that change.
 */
import type { Unseen } from "./template.js";
import { film, pair, plain, predictor } from "./template.js";

const trained = "head k = pretrained(mlp(64, out: 32))";
const random = "head k = frozen(mlp(64, out: 32))";
const follower = "encoder t = ema(f, momentum: 0.99)";
const codes = "head vq = quantizer(64)\nq, code = vq(z1)";
const commitment = "loss mse(z1, stopgrad(q)) + mse(stopgrad(z1), q)";
const dynamics = "predictor h = mlp(64, out: 32)\nz = f(video)\nnext = h(join(earlier(z), earlier(action)))";
const both = (make: (v: string) => string): string => `w1 = ${make("z1")}\nw2 = ${make("z2")}`;
const deviations = both((v) => `normalize(${v}) - normalize(2 * ${v})`);

const views = (claim: Parameters<typeof pair>[0]): Unseen => pair({ ...claim, body: `${plain}\n${claim.body}` });

export const hunted: readonly Unseen[] = [
  views({ id: "U1070", title: "a fixed random head of two layers on the target", verdict: "risky", accept: ["risky", "sound"], rules: ["W-EMA-ZERO"], why: "it can turn all targets one way", body: `${random}\n${predictor}\nloss negative_cosine(h(z1), stopgrad(k(z2)))` }),
  views({ id: "U1071", title: "a fixed linear map on the target", verdict: "sound", accept: ["sound", "risky"], why: "SimSiam in other coordinates", body: `head k = frozen(linear(32))\n${predictor}\nloss negative_cosine(h(z1), stopgrad(k(z2)))` }),
  views({ id: "U1072", title: "a pretrained head on the target, less the mean of the batch", verdict: "sound", why: "no way that all targets could be turned", body: `${trained}\n${predictor}\ny = k(z2)\nloss negative_cosine(h(z1), stopgrad(y - mean(y, over: images)))` }),
  views({ id: "U1073", title: "a pretrained head on both sides", verdict: "risky", rules: ["W-EMA-ZERO"], why: "as U1061, and the prediction is of the head's own", body: `${trained}\n${predictor}\nloss negative_cosine(h(k(z1)), stopgrad(k(z2)))` }),
  views({ id: "U1074", title: "a pretrained head on an average's embedding", verdict: "sound", why: "the target lags", body: `${trained}\n${follower}\n${predictor}\nloss negative_cosine(h(z1), k(pool(t(b))))` }),
  views({ id: "U1075", title: "SimSiam with a linear projector and no batch normalization", verdict: "risky", accept: ["risky", "sound"], rules: ["W-EMA-ZERO"], why: "SimSiam, table 3: 34.6 without batch normalization", body: `head k = linear(32)\n${predictor}\nloss negative_cosine(h(k(z1)), stopgrad(k(z2)))` }),
  views({ id: "U1076", title: "SimSiam with a projector of two layers and no batch normalization", verdict: "risky", accept: ["risky", "sound"], rules: ["W-EMA-ZERO"], why: "SimSiam, table 3: 34.6 without batch normalization", body: `head k = mlp(64, out: 32)\n${predictor}\nloss negative_cosine(h(k(z1)), stopgrad(k(z2)))` }),
  views({ id: "U1077", title: "SimSiam with a projector with batch normalization", verdict: "sound", why: "SimSiam, table 1: 67.7", body: `head k = projector_bn(64, 32)\n${predictor}\nloss negative_cosine(h(k(z1)), stopgrad(k(z2)))` }),
  views({ id: "U1078", title: "what normalization leaves of a length, under a distance", verdict: "error", rules: ["E-BLIND"], why: "what is normalized does not tell its length", body: `${deviations}\n${predictor}\nloss mse(h(w1), stopgrad(w2))` }),
  views({ id: "U1079", title: "what normalization leaves of a length, under contrast", verdict: "sound", why: "the eps leaves next to nothing, which has a direction", body: `${deviations}\nloss info_nce(w1, w2)` }),
  views({ id: "U1080", title: "what unit length leaves of a length, under contrast", verdict: "error", rules: ["E-BLIND"], why: "nothing is left but rounding", body: `${both((v) => `l2_normalize(${v}) - l2_normalize(3 * ${v})`)}\nloss info_nce(w1, w2)` }),
  views({ id: "U1081", title: "what two hinges leave of a value, under contrast", verdict: "error", rules: ["E-BLIND"], why: "relu(x) - relu(-x) is x", body: `${both((v) => `relu(${v}) - relu(-${v}) - ${v}`)}\nloss info_nce(w1, w2)` }),
  views({ id: "U1082", title: "what normalization leaves of a length as a target", verdict: "risky", rules: ["W-TARGET-UNINFORMED"], why: "the same for all pictures", body: `${deviations}\n${predictor}\nloss mse(h(z1), stopgrad(w2))` }),
  views({ id: "U1083", title: "commitment beside contrast with the other view", verdict: "sound", why: "negatives", body: `${codes}\nloss info_nce(q, z2)\n${commitment}` }),
  views({ id: "U1084", title: "commitment beside pixels from codes", verdict: "sound", why: "pixels", body: `${codes}\nhead dec = linear(192)\nloss mse(dec(q), mean(patches(a, 8), over: tokens))\n${commitment}` }),
  views({ id: "U1085", title: "commitment alone", verdict: "error", rules: ["E-NOPRED"], why: "nothing is asked of the pictures", body: `${codes}\n${commitment}` }),
  views({ id: "U1086", title: "variance and covariance of two numbers beside agreement of all", verdict: "risky", rules: ["W-DIM"], why: "the other features may go", body: "head p = linear(2)\nu1 = p(z1)\nu2 = p(z2)\nloss 25 * mse(z1, z2) + 25 * variance(u1) + 25 * variance(u2) + covariance(u1) + covariance(u2)" }),
  views({ id: "U1087", title: "variance of one half, covariance of the other", verdict: "risky", rules: ["W-DIM"], why: "the first half may be one number, the other none", body: "q, r = split(z1, 2)\nqb, rb = split(z2, 2)\nloss 25 * mse(z1, z2) + 25 * variance(q) + 25 * variance(qb) + covariance(r) + covariance(rb)" }),
  views({ id: "U1088", title: "the mean of a slow and a quick average as the target", verdict: "sound", why: "both lag", body: `${follower}\nencoder s = ema(f, momentum: 0.95)\n${predictor}\nloss negative_cosine(h(z1), average(pool(t(b)), pool(s(b))))` }),
  views({ id: "U1089", title: "a predictor through one number", verdict: "risky", rules: ["W-NARROW"], why: "a prediction that can say next to nothing", modules: "module narrow(inner) (x: Features[w]) -> Features[w] {\n  part down = linear(inner)\n  part up = linear(w)\n  up(down(x))\n}", body: "predictor h = narrow(1)\nloss negative_cosine(h(z1), stopgrad(z2))" }),
  views({ id: "U1090", title: "contrast at temperature 10", verdict: "sound", accept: ["sound", "risky"], why: "negatives, however soft", body: "loss info_nce(z1, z2, temperature: 10)" }),
  views({ id: "U1091", title: "a target that is half the student's own view", verdict: "sound", accept: ["sound", "risky"], why: "the other view is asked for as well", body: `${predictor}\nloss negative_cosine(h(z1), stopgrad(average(z1, z2)))` }),
  film({ id: "U1092", title: "what an average's embedding changes by as the target", verdict: "risky", rules: ["W-SLOW"], why: "what does not change has no change to predict", body: `${dynamics}\n${follower}\nu = t(video)\nloss mse(next, later(u) - earlier(u))` }),
  film({ id: "U1093", title: "guards on the prediction alone, which reads the action", verdict: "error", accept: ["error", "risky"], rules: ["E-NOGUARD"], why: "actions can give the prediction its deviation", body: `${dynamics}\nloss mse(next, later(z)) + 25 * variance(next) + covariance(next)` }),
];
