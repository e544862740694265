/**
 * Programs that know positions by rotation alone (RoFormer; V-JEPA 2), and those in which nothing is left of it. A turn counts
 * where it reaches the queries: mask tokens are alike, and ask alike whatever the keys are turned by.
 */
import { grid, lagging, where } from "./template.js";
import type { Unseen } from "./template.js";

const target = "stopgrad(normalize(t(image))) at targets";
/** A predictor of one attention, whose queries, keys and values are as given. */
export const asks = (q: string, k: string, v = "v"): string => `module asks(width) (context: Tokens[outer], at: Positions) -> Tokens[outer] {
  part embed = linear(width)
  part qkv = linear(3 * width)
  part out = linear(outer)
  learn token[1, 1, width] ~ trunc_normal(std: 0.02)
  x = concat(embed(context), spread(token, at))
  q, k, v = split(qkv(x), 3)
  out(pick(attend(${q}, ${k}, ${v}, 2), at))
}`;
/** I-JEPA with it. */
export const predicted = `${lagging}\npredictor h = asks(16)\nloss mse(h(f(image at context), at: targets), ${target})`;
const turning = "encoder f = rotary_vit(4, 32, 1, 2)";

export const rotaryPrograms: readonly Unseen[] = [
  grid({ id: "U1001", title: "I-JEPA with rotary positions, in encoder and predictor", verdict: "sound", why: "the average lags; queries are turned by their places", encoder: turning, body: `${lagging}\npredictor h = rotary_predictor(16, 1, 2)\nloss smooth_l1(h(f(image at context), at: targets), ${target})` }),
  grid({ id: "U1002", title: "rotary positions, without average and stop", verdict: "error", rules: ["E-SYM"], why: "positions are no guard", encoder: turning, body: "predictor h = rotary_predictor(16, 1, 2)\nloss smooth_l1(h(f(image at context), at: targets), f(image) at targets)" }),
  grid({ id: "U1005", title: "keys alone turned", verdict: "error", accept: ["error", "risky"], rules: ["M-UNIDENT"], why: "all mask tokens ask alike, and get one answer", modules: asks("q", "rotary(k, 2)"), body: predicted }),
  grid({ id: "U1006", title: "values alone turned", verdict: "error", accept: ["error", "risky"], rules: ["M-UNIDENT"], why: "as U1005: the answer is a mean of values, the same for all", modules: asks("q", "k", "rotary(v, 2)"), body: predicted }),
  grid({ id: "U1007", title: "turned queries that are multiplied by zero", verdict: "error", accept: ["error", "risky"], rules: ["M-UNIDENT"], why: "nothing of a place is left", modules: asks("rotary(0 * q, 2)", "rotary(k, 2)"), body: predicted }),
  grid({ id: "U1008", title: "a student that knows places by rotation, and a predictor by codes", verdict: "sound", why: "as I-JEPA", encoder: turning, body: `${lagging}\n${where}\nloss smooth_l1(h(f(image at context), at: targets), ${target})` }),
];
