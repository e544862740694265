/**
 * Regularizers of an author's own, written out of products over the batch: what is published under a name, its halves, and what
 * is turned round. The checker's first answers were known when most were written; what they claim was then trained.
 */
import type { Unseen } from "./template.js";
import { pair, projected, teacher } from "./template.js";

const unit = `${projected}\nn1 = l2_normalize(z1)\nn2 = l2_normalize(z2)`;
const centered = `${projected}\nx1 = z1 - mean(z1, over: images)\nx2 = z2 - mean(z2, over: images)\nc1 = second_moments(x1)\nc2 = second_moments(x2)`;
const uniform = (n: string): string => `log(mean(exp(4 * similarities(${n}) - 4)))`;
const deviation = (c: string): string => `mean(relu(1 - sqrt(diagonal(${c}) + 0.0001)))`;
const correlation = (c: string): string => `sum(square(off_diagonal(${c}))) / 64`;
const keys = `${teacher}\nhead pt = ema(p, momentum: 0.99)\n${unit}\nk2 = stopgrad(l2_normalize(pt(pool(t(b)))))`;

export const computed: readonly Unseen[] = [
  pair({ id: "U980", title: "alignment and uniformity", verdict: "sound", why: "Wang and Isola, 2020: a constant has the largest uniformity loss there is", body: `${unit}\nloss mse(n1, n2) * 64 + 0.5 * ${uniform("n1")} + 0.5 * ${uniform("n2")}` }),
  pair({ id: "U981", title: "alignment, and uniformity with a weight below zero", verdict: "error", rules: ["E-GUARD-SIGN"], why: "a constant is what it asks for", body: `${unit}\nloss mse(n1, n2) * 64 - 0.5 * ${uniform("n1")}` }),
  pair({ id: "U982", title: "spectral contrast", verdict: "sound", why: "HaoChen et al., 2021, eq. 6: neither half has a smallest value without the other", body: `${projected}\nloss -2 * mean(sum(z1 * z2, over: features)) + mean(square(off_diagonal(similarities(z1, z2))))` }),
  pair({ id: "U983", title: "TiCo without a memory", verdict: "sound", why: "Zhu et al., 2022, eq. 6 at a momentum of 0: a constant has all of its length in one direction", body: `${unit}\nloss negative_cosine(n1, n2) + 8 * mean(sum((n1 @ second_moments(n1)) * n1, over: features))` }),
  pair({ id: "U984", title: "VICReg, all of it written out", verdict: "sound", why: "VICReg, eq. 1 to 6", body: `${centered}\nloss 25 * mse(z1, z2) + 25 * ${deviation("c1")} + 25 * ${deviation("c2")} + ${correlation("c1")} + ${correlation("c2")}` }),
  pair({ id: "U985", title: "VICReg written out, without its variance", verdict: "error", rules: ["E-NOGUARD"], why: "a constant has no covariance", body: `${centered}\nloss 25 * mse(z1, z2) + ${correlation("c1")} + ${correlation("c2")}` }),
  pair({ id: "U986", title: "Barlow Twins written out", verdict: "sound", why: "Barlow Twins, eq. 1", body: `${projected}\nc = second_moments(batch_normalize(z1), batch_normalize(z2))\nloss sum(square(diagonal(c) - 1)) + 0.0051 * sum(square(off_diagonal(c)))` }),
  pair({ id: "U987", title: "decoupled contrast", verdict: "sound", why: "Yeh et al., 2022: the pair is not among its own negatives", body: `${unit}\ns = similarities(n1, n2) / 0.1\nloss mean(log(sum(exp(off_diagonal(s, fill: -100)), over: columns)) - diagonal(s))` }),
  pair({ id: "U988", title: "contrast with the keys of an average, written out", verdict: "sound", why: "MoCo, eq. 1", body: `${keys}\nloss -mean(diagonal(log_softmax(similarities(n1, k2) / 0.1, over: columns)))` }),
  pair({ id: "U989", title: "uniformity of what is stopped", verdict: "error", rules: ["E-GUARD-NOGRAD"], why: "it trains nothing", body: `${unit}\nloss mse(n1, n2) * 64 + ${uniform("stopgrad(n1)")}` }),
  pair({ id: "U990", title: "relations to a batch, those of an average sharper", verdict: "sound", accept: ["sound", "risky"], why: "ReSSL (Zheng et al., 2021), eq. 4: 0.04 against 0.1", body: `${keys}\nloss cross_entropy(similarities(n1, k2) / 0.1, stopgrad(softmax(similarities(k2) / 0.04, over: columns)))` }),
  pair({ id: "U991", title: "relations to a batch, those of an average softer", verdict: "error", accept: ["error", "risky"], rules: ["E-NOPRED"], why: "ReSSL, section 4.4: fails where the target is as soft as the prediction; images that are alike are what a soft target asks for", body: `${keys}\nloss cross_entropy(similarities(n1, k2) / 0.1, stopgrad(softmax(similarities(k2) / 0.4, over: columns)))` }),
  pair({ id: "U992", title: "equal relations in two views", verdict: "error", rules: ["E-SYM"], why: "images that are all alike have equal relations", body: `${unit}\nloss mse(similarities(n1), similarities(n2))` }),
  pair({ id: "U993", title: "alignment, and all images as alike as they can be", verdict: "error", rules: ["E-GUARD-SIGN"], why: "it asks for a constant by other words", body: `${unit}\nloss mse(n1, n2) * 64 - mean(similarities(n1))` }),
  pair({ id: "U994", title: "agreement and a deviation, written out", verdict: "risky", rules: ["W-DIM"], why: "VICReg, table 7: 57.5 without covariance", body: `${centered}\nloss 25 * mse(z1, z2) + 25 * ${deviation("c1")} + 25 * ${deviation("c2")}` }),
  pair({ id: "U995", title: "uniformity alone", verdict: "error", rules: ["E-NOATTRACT"], why: "noise is uniform", body: `${unit}\nloss ${uniform("n1")} + ${uniform("n2")}` }),
  pair({ id: "U996", title: "alignment, and a millionth of uniformity", verdict: "risky", rules: ["W-COEF"], why: "what weighs next to nothing gives way", body: `${unit}\nloss mse(n1, n2) * 64 + 0.000001 * ${uniform("n1")}` }),
  pair({ id: "U997", title: "agreement, and no more deviation than a constant has", verdict: "risky", rules: ["W-WEAK-GUARD"], why: "a deviation of a hundredth fulfils it", body: `${centered}\nloss 25 * mse(z1, z2) + 25 * mean(relu(0.01 - sqrt(diagonal(c1) + 0.000001))) + ${correlation("c1")}` }),
  pair({ id: "U998", title: "covariance towards the identity", verdict: "sound", why: "W-MSE's aim as a penalty: the variance of every feature is 1, and none tells of another", body: `${centered}\nloss 25 * mse(z1, z2) + sum(square(diagonal(c1) - 1)) / 8 + sum(square(off_diagonal(c1))) / 8` }),
];
