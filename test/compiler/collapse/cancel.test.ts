/** What a trained side can take back is no anchor, and what is subtracted from an objective is no guard. */
import { expect, test } from "vitest";
import { outcomeOf } from "./pairs.js";

const data = "encoder g = vit(patch: 4, width: 48, depth: 1, heads: 2)\nhead h = linear(48)\nd = pool(patches(b, 4))\n";

test.each([
  ["added to", "h(d) + d"],
  ["taken off", "h(d) - d"],
  ["taken off by", "d - h(d)"],
  ["multiplied with", "h(tb) * d"],
  ["multiplied with, whatever comes in,", "h(0 * tb) * d"],
])("data that a trained head is %s can be made nothing by it", (_, target) => {
  expect(outcomeOf(`${data}loss mse(pool(g(a)), ${target})`)).toBe("error E-TARGET-HEAD");
  expect(outcomeOf(`${data}loss mse(pool(g(a)), ${target.replace(/h\(.*?\) /, "0.5 ").replace("h(d)", "0.5")})`)).toMatch(/^sound/);
});

const codes = "head d = prototypes(64)\nhead dt = ema(d, momentum: 0.99)\nc = d(za)\nq = softmax(dt(tb), temperature: 0.025)\n";

test("use of all codes balances them where it is asked for, not where it is subtracted", () => {
  const loss = (sign: string): string => `${codes}loss cross_entropy(c, q, temperature: 0.1) ${sign} mean_entropy(softmax(c, temperature: 0.1))`;
  expect(outcomeOf(loss("+"))).toBe("sound");
  expect(outcomeOf(loss("-"))).toMatch(/^error .*E-ONEHOT/);
});

test("statistics forced on images are a guard, those forced on images and their tokens alike are none: places can fulfil them", () => {
  expect(outcomeOf("loss mse(batch_normalize(za), batch_normalize(zb))")).toBe("risky W-DIM");
  expect(outcomeOf("loss mse(batch_normalize(f(a)), batch_normalize(f(b)))")).toBe("error E-SYM");
  expect(outcomeOf("loss mse(whiten(f(a)), whiten(f(b)))")).toBe("error E-SYM");
});
