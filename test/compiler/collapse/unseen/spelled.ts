/** Programs of a user's trial that were called sound and trained to a constant: constants by another spelling, guards that ask for nothing, comparisons of a value with itself. */
import type { Unseen } from "./template.js";
import { pair, plain, predictor, projected, teacher } from "./template.js";

const dino = `${teacher}\nhead d = dino_head(64, 32, 128)\nhead dt = ema(d, momentum: 0.99)`;
const vicreg = (guard: string): string => `${projected}\nloss 25 * mse(z1, z2) + 25 * ${guard} + covariance(z1)`;

export const spelled: readonly Unseen[] = [
  pair({ id: "U842", title: "a target that is taken off itself, behind an average", verdict: "risky", accept: ["risky", "error"], rules: ["W-TARGET-UNINFORMED"], why: "x - x is 0 for all images", body: `${teacher}\n${predictor}\ny = pool(t(b))\nloss mse(h(pool(f(a))), stopgrad(y - y))` }),
  pair({ id: "U843", title: "agreement beside the reconstruction of nothing", verdict: "error", rules: ["E-SYM"], why: "patches less themselves are no data", body: `head paint = linear(192)\n${plain}\nx = patches(a, 8)\nloss mse(paint(f(a)), x - x) + mse(z1, z2)` }),
  pair({ id: "U844", title: "features in the place of a code", verdict: "error", rules: ["E-NO-CODE"], why: "what may lie below zero is no distribution: the cross-entropy has no smallest value", body: `${teacher}\n${predictor}\nloss cross_entropy(h(pool(f(a))), stopgrad(pool(t(b))))` }),
  pair({ id: "U845", title: "DINO with its center taken off behind the softmax", verdict: "error", rules: ["E-NO-CODE"], why: "a code less its center lies below zero", body: `${dino}\nhead c = center()\nloss cross_entropy(d(pool(f(a))), stopgrad(c(softmax(dt(pool(t(b))), temperature: 0.04))), temperature: 0.1)` }),
  pair({ id: "U846", title: "a variance term that asks for no deviation", verdict: "error", rules: ["E-NOGUARD"], why: "max(0, 0 - deviation) is 0 whatever the deviation", body: vicreg("variance(z1, target: 0)") }),
  pair({ id: "U847", title: "a variance term that reads a millionfold", verdict: "risky", accept: ["risky", "error"], rules: ["W-WEAK-GUARD"], why: "a deviation of 1e-6 fulfils it", body: vicreg("variance(1e6 * z1)") }),
  pair({ id: "U848", title: "DINO with a center that never moves", verdict: "error", rules: ["E-ONEHOT"], why: "it stays at zero: DINO without centering, Fig. 7", body: `${dino}\nhead c = center(momentum: 1)\nloss cross_entropy(d(pool(f(a))), stopgrad(softmax(c(dt(pool(t(b)))), temperature: 0.04)), temperature: 0.1)` }),
  pair({ id: "U849", title: "the correlation of a value with itself", verdict: "error", rules: ["E-NOATTRACT"], why: "its diagonal is 1 whatever it is: the off-diagonal part alone", body: `${projected}\nloss barlow(z1, z1)` }),
  pair({ id: "U850", title: "contrast of a value with itself", verdict: "error", rules: ["E-NOATTRACT"], why: "the pair agrees whatever it is: negatives alone", body: `${projected}\nloss info_nce(z1, z1)` }),
  pair({ id: "U851", title: "twice a target less the target", verdict: "sound", why: "2x - x is x", body: `${teacher}\n${predictor}\ny = pool(t(b))\nloss mse(h(pool(f(a))), 2 * y - y)` }),
];
