/** Unseen programs over time: world models with actions, slow features, films. */
import { film, whole } from "./template.js";
import type { Unseen } from "./template.js";

const dynamics = "predictor h = mlp(64, out: 32)\nz = f(video)\nnext = h(join(earlier(z), earlier(action)))";
const inverse = "head inverse = mlp(64, out: 4)";
const clipNet = "module clip_net(width, depth, heads) (clip) -> Tokens[width] {\n  part embed = linear(width)\n  part blocks = depth of block(heads)\n  x = embed(tubes(clip, 4, 2)) + sincos2d(width)\n  repeat block in blocks { x = block(x) }\n  x\n}";
const clip = "input video: Video[8, 32, 32, 3]\nmask targets = 4 of block(scale: 0.15..0.2, aspect: 0.75..1.5, min_keep: 1)\nmask context = block(scale: 0.85..1.0, aspect: 1.0, min_keep: 1) minus targets\nencoder f = clip_net(32, 1, 2)\npredictor h = vit_predictor(width: 16, depth: 1, heads: 2)";

const lagging = "predictor h = mlp(64, out: 32)\nencoder t = ema(f, momentum: 0.99)\nz = f(video)";
const past = "module past() (x: Features[width]) -> Features[width] {\n  part qkv = linear(3 * width)\n  part out = linear(width)\n  q, k, v = split(qkv(x), 3)\n  out(attend(q, k, v, 2, causal: true))\n}";

export const worlds: readonly Unseen[] = [
  film({ id: "U601", title: "a world model without guard", verdict: "error", rules: ["E-SYM"], why: "both sides train", body: `${dynamics}\nloss mse(next, later(z))` }),
  film({ id: "U602", title: "a world model with a stopped target", verdict: "sound", accept: ["sound", "risky"], why: "SimSiam over time", body: `${dynamics}\nloss mse(next, stopgrad(later(z)))` }),
  film({ id: "U603", title: "a world model behind an average", verdict: "sound", accept: ["sound", "risky"], why: "BYOL over time", body: `${dynamics}\nencoder t = ema(f, momentum: 0.99)\nloss mse(next, later(t(video)))` }),
  film({ id: "U604", title: "a world model with variance over time only", verdict: "error", rules: ["E-GUARD-AXIS"], accept: ["error", "risky"], why: "all films may be embedded alike", body: `${dynamics}\nloss mse(next, later(z)) + 25 * variance(z, over: time) + covariance(z)` }),
  film({ id: "U605", title: "a world model with variance over images and over time", verdict: "sound", accept: ["sound", "risky"], why: "both axes are held", body: `${dynamics}\nloss mse(next, later(z)) + 25 * variance(z) + 25 * variance(z, over: time) + covariance(z)` }),
  film({ id: "U606", title: "a world model with inverse dynamics alone", verdict: "sound", accept: ["sound", "risky"], why: "actions vary over films and time; EB-JEPA without variance: 47", body: `${dynamics}\n${inverse}\nloss mse(next, later(z))\nloss mse(inverse(join(earlier(z), later(z))), earlier(action))` }),
  film({ id: "U607", title: "a world model with inverse dynamics of stopped features", verdict: "error", rules: ["E-SYM"], why: "no gradient of it reaches f", body: `${dynamics}\n${inverse}\nloss mse(next, later(z))\nloss mse(inverse(stopgrad(join(earlier(z), later(z)))), earlier(action))` }),
  film({ id: "U608", title: "variance, covariance and weightless inverse dynamics", verdict: "risky", rules: ["W-SLOW"], why: "EB-JEPA: 1", body: `param idm = 0\n${dynamics}\n${inverse}\nloss mse(next, later(z)) + 25 * variance(z) + covariance(z)\nloss idm * mse(inverse(join(earlier(z), later(z))), earlier(action))` }),
  film({ id: "U609", title: "inverse dynamics that is told the action", verdict: "error", accept: ["error", "risky"], why: "the answer is in the input: f is not needed", body: `${dynamics}\nhead inverse = mlp(64, out: 4)\nloss mse(next, later(z))\nloss mse(inverse(join(earlier(z), later(z), earlier(action))), earlier(action))` }),
  film({ id: "U610", title: "slowness with variance and covariance", verdict: "risky", rules: ["W-SLOW"], why: "a constant background is best", body: "z = f(video)\nloss 25 * mse(earlier(z), later(z)) + 25 * variance(z) + covariance(z)" }),
  film({ id: "U611", title: "slowness alone", verdict: "error", rules: ["E-SYM"], why: "nothing repels", body: "z = f(video)\nloss mse(earlier(z), later(z))" }),
  film({ id: "U612", title: "contrast with the next moment, negatives from other films", verdict: "sound", accept: ["sound", "risky"], why: "CPC; a background tells films apart, so time may be lost", body: `${dynamics}\nloss info_nce(next, later(z), negatives: images)` }),
  film({ id: "U613", title: "a frozen pretrained encoder and a trained dynamics model, over l1", verdict: "sound", why: "V-JEPA 2-AC", encoder: "encoder f = pretrained(net(32))", body: `${dynamics}\nloss l1(next, later(z))` }),
  film({ id: "U614", title: "a frozen random encoder and a trained dynamics model", verdict: "risky", accept: ["risky", "sound"], why: "no learning of features", encoder: "encoder f = frozen(net(32))", body: `${dynamics}\nloss mse(next, later(z))` }),
  film({ id: "U615", title: "the next embedding from actions alone, no stop", verdict: "error", rules: ["E-TARGET-HEAD"], why: "both sides train", body: "predictor h = mlp(64, out: 32)\nz = f(video)\nloss mse(h(earlier(action)), later(z))" }),
  film({ id: "U616", title: "a world model that paints the next frame", verdict: "sound", accept: ["sound", "risky"], why: "data", body: `${dynamics}\nhead paint = mlp(64, out: 192)\nloss mse(next, later(z))\nloss mse(paint(next), later(pool(patches(video, 8))))` }),
  film({ id: "U617", title: "normality over films, no inverse dynamics", verdict: "risky", accept: ["risky"], rules: ["W-SLOW"], why: "all terms are minimal for the background", body: `${dynamics}\nloss mse(next, later(z)) + sigreg(z)` }),
  whole({ id: "U618", title: "masked films without stop", verdict: "error", rules: ["E-SYM"], why: "both sides train", modules: clipNet, body: `${clip}\nloss l1(h(f(video at context), at: targets), f(video) at targets)` }),
  whole({ id: "U619", title: "masked films behind an average of momentum 1", verdict: "risky", rules: ["W-FROZEN-TARGET"], why: "a random teacher", modules: clipNet, body: `${clip}\nencoder t = ema(f, momentum: 1)\nloss l1(h(f(video at context), at: targets), t(video) at targets)` }),
  whole({ id: "U620", title: "masked films, the whole film given to the student", verdict: "error", rules: ["M-LEAK"], why: "the answer is in the input", modules: clipNet, body: `${clip}\nencoder t = ema(f, momentum: 0.99)\nloss l1(h(f(video), at: targets), t(video) at targets)` }),
  film({ id: "U621", title: "a world model behind an average, given the next moment itself", verdict: "error", rules: ["M-LEAK"], why: "the answer is in the input: nothing is asked of the dynamics", body: `${lagging}\nloss mse(h(join(later(z), earlier(action))), later(t(video)))` }),
  film({ id: "U622", title: "the moment between two, from both, behind an average", verdict: "sound", accept: ["sound", "risky"], why: "BYOL over time: what stands between is not given", body: `${lagging}\nloss mse(h(join(earlier(z, by: 2), later(z, by: 2))), earlier(later(t(video))))` }),
  film({ id: "U623", title: "attention that looks back predicts the next moment, behind an average", verdict: "sound", accept: ["sound", "risky"], why: "a moment sees itself and those before", modules: past, body: `${lagging}\npredictor p = past()\nloss mse(p(earlier(z)), later(t(video)))` }),
  film({ id: "U624", title: "attention that looks back predicts what it has just seen", verdict: "error", rules: ["M-LEAK"], why: "a moment sees itself", modules: past, body: `${lagging}\npredictor p = past()\nloss mse(p(later(z)), later(t(video)))` }),
  film({ id: "U625", title: "the moment before from the one after it, behind an average", verdict: "sound", accept: ["sound", "risky"], why: "BYOL over time, backwards", body: `${lagging}\nloss mse(h(join(later(z), earlier(action))), earlier(t(video)))` }),
];
