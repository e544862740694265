/**
 * Terms of an author's own are read by what they do, not by how they are written: the same by other words, in modules, in
 * parts, between two encoders and against data; and what they do beside each other.
 */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";

const program = (body: string, modules = ""): string => `use std.vit
use std.heads
${modules}
model m {
  input image: Image[32, 32, 3]
  view a, b = augment(image) { random_resized_crop(scale: 0.2..1.0), flip(p: 0.5) }
  encoder f = vit(patch: 8, width: 32, depth: 1, heads: 2)
  head p = projector(64, 32)
  z1 = p(pool(f(a)))
  z2 = p(pool(f(b)))
  n1 = l2_normalize(z1)
  n2 = l2_normalize(z2)
  ${body}
}
train m { batch 64 }
`;

/** The verdict with its rules, and by encoder what protects it. */
function read(body: string, modules = ""): { readonly verdict: string; readonly protects: readonly string[]; readonly said: readonly string[] } {
  const { analyses, diagnostics } = check({ file: "m.jepa", text: program(body, modules) });
  if (analyses === undefined) throw new Error(diagnostics.map((d) => `${d.code} ${d.message}`).join("\n"));
  const protects = analyses.collapse.encoders.flatMap((e) => e.protectors.map((x) => `${e.encoder}: ${x.because}, ${x.grade}`));
  return { verdict: [analyses.program.verdict, ...analyses.program.rules].join(" "), protects, said: diagnostics.map((d) => d.message) };
}

const nce = "-mean(diagonal(log_softmax(similarities(n1, n2) / 0.1, over: columns)))";
const uniform = (n: string, t = 2): string => `log(mean(exp(${2 * t} * similarities(${n}) - ${2 * t})))`;

const spelled: readonly (readonly [name: string, body: string, modules?: string])[] = [
  ["contrast by log-softmax", `loss ${nce}`],
  ["with the pair by its cosine", `loss mean(log(sum(exp(similarities(n1, n2) / 0.1), over: columns))) - mean(sum(n1 * n2, over: features)) / 0.1`],
  ["with a factor", `loss 0.01 * ${nce}`],
  ["turned over", "loss -mean(diagonal(log_softmax(transpose(similarities(n1, n2)) / 0.1, over: columns)))"],
  ["in a module", "loss pairs()(n1, n2)", "module pairs() (x: Features[w], y: Features[w]) { -mean(diagonal(log_softmax(similarities(x, y) / 0.1, over: columns))) }"],
  ["of the views together", "all = union(n1, n2)\n  loss mean(log(sum(exp(off_diagonal(similarities(all) / 0.1, fill: -1e9)), over: columns))) - mean(diagonal(similarities(n1, n2))) / 0.1"],
];

// One call for both views: they are partners within one value.
const together = "w1, w2 = separate(l2_normalize(p(pool(f(union(a, b))))), 2)";
const both = "x1, x2 = separate(p(pool(f(union(a, b)))), 2)";

test.each([
  ["contrast", `${together}\n  loss -mean(diagonal(log_softmax(similarities(w1, w2) / 0.1, over: columns)))`, "sound"],
  ["contrast among all", `w = l2_normalize(p(pool(f(union(a, b)))))\n  w1, w2 = separate(w, 2)\n  loss mean(log(sum(exp(off_diagonal(similarities(w) / 0.1, fill: -1e9)), over: columns))) - mean(diagonal(similarities(w1, w2))) / 0.1`, "sound"],
  ["Barlow Twins", `${both}\n  c = second_moments(batch_normalize(x1), batch_normalize(x2))\n  loss sum(square(diagonal(c) - 1)) + 0.0051 * sum(square(off_diagonal(c)))`, "sound"],
  ["spectral contrast", `${both}\n  loss -2 * mean(sum(x1 * x2, over: features)) + mean(square(off_diagonal(similarities(x1, x2))))`, "sound"],
  ["SimSiam", `head h = mlp_bn(64, out: 32)\n  z = p(pool(f(union(a, b))))\n  w1, w2 = separate(l2_normalize(z), 2)\n  q1, q2 = separate(l2_normalize(h(z)), 2)\n  loss -mean(diagonal(similarities(q1, stopgrad(w2)))) - mean(diagonal(similarities(q2, stopgrad(w1))))`, "sound"],
  ["equal relations", `${together}\n  loss mse(similarities(w1), similarities(w2))`, "error E-SYM"],
  ["agreement without a predictor", `${together}\n  loss -mean(diagonal(similarities(w1, stopgrad(w2))))`, "error E-NOPRED"],
  ["agreement without a stop", `${together}\n  loss -mean(diagonal(similarities(w1, w2)))`, "error E-SYM"],
])("of a union of views, %s: %s", (_, body, verdict) => {
  expect(read(body).verdict).toBe(verdict);
});

test.each([
  ["a target that is stopped", "head h = mlp_bn(64, out: 32)\n  loss -mean(diagonal(similarities(l2_normalize(h(z1)), stopgrad(n2))))", "sound"],
  ["a mean of neighbors that is stopped", "head h = mlp_bn(64, out: 32)\n  loss mse(l2_normalize(h(z1)), stopgrad(softmax(similarities(n2) / 0.01, over: columns) @ n2))", "sound"],
  ["features side by side", `loss 64 * mse(n1, n2) + 0.1 * log(mean(exp(4 * similarities(join(n1, n2)) - 8)))`, "sound"],
  ["halves that are to be independent", "u, v = split(z1 - mean(z1, over: images), 2)\n  loss 25 * mse(z1, z2) + 25 * variance(z1) + sum(square(second_moments(u, v)))", "risky W-DIM W-UNREAD"],
  ["uniformity behind a head that agreement stands in front of", `loss mse(pool(f(a)), pool(f(b))) + ${uniform("n1")}`, "risky W-WEAK-GUARD"],
  ["uniformity of what is compared behind such a head as well", `loss mse(pool(f(a)), pool(f(b))) + 64 * mse(n1, n2) + ${uniform("n1")}`, "sound"],
])("%s: %s", (_, body, verdict) => {
  expect(read(body).verdict).toBe(verdict);
});

test.each(spelled.map((one) => [one[0], one] as const))("%s is sound", (_, [, body, modules]) => {
  const { verdict, protects } = read(body, modules);
  expect(verdict).toBe("sound");
  expect(protects.length).toBeGreaterThan(0);
  expect(new Set(protects)).toEqual(new Set(["f: repulsion, full"]));
});

test.each([
  ["softer and sharper uniformity", `loss mse(n1, n2) + 0.1 * ${uniform("n1", 0.5)} + 0.1 * ${uniform("n2", 8)}`, "sound"],
  ["uniformity that reads another head", `head q = projector(64, 32)\n  loss mse(n1, n2) + 0.1 * ${uniform("l2_normalize(q(pool(f(a))))")}`, "risky W-VACUOUS"],
  ["uniformity and as much of its opposite", `loss mse(n1, n2) + 0.1 * ${uniform("n1")} - 0.1 * ${uniform("n1")}`, "error E-SYM"],
  ["uniformity and more of its opposite", `loss mse(n1, n2) + 0.1 * ${uniform("n1")} - 0.2 * ${uniform("n1", 2.5)}`, "error"],
  ["two heads that are to be independent", "head q = linear(8)\n  w = q(pool(f(a)))\n  loss mse(z1, z2) + variance(z1) + 0.04 * covariance(z1) + sum(square(second_moments(z1 - mean(z1, over: images), w - mean(w, over: images))))", "risky W-UNREAD"],
  ["a deviation that grows without end", "loss mse(z1, z2) - mean(sum(square(z1 - mean(z1, over: images)), over: features))", "error"],
])("%s: %s", (_, body, verdict) => {
  expect(read(body).verdict).toMatch(new RegExp(`^${verdict}`));
});

test("of two encoders, each has to vary, and data vary by themselves", () => {
  const two = read("encoder g = vit(patch: 4, width: 32, depth: 1, heads: 2)\n  head q = projector(64, 32)\n  k = l2_normalize(q(pool(g(b))))\n  loss -mean(diagonal(log_softmax(similarities(n1, k) / 0.1, over: columns)))");
  expect(two).toMatchObject({ verdict: "sound", protects: ["f: repulsion, full", "g: repulsion, full"] });
  const data = read("x = l2_normalize(mean(patches(b, 4), over: tokens))\n  head q = linear(48)\n  loss -mean(diagonal(log_softmax(similarities(l2_normalize(q(pool(f(a)))), x) / 0.1, over: columns)))");
  expect(data.protects).toEqual(["f: repulsion, full"]);
});

test("messages call a term by its loss", () => {
  expect(read(`loss align = mse(n1, n2)\n  loss even = 0.0000001 * ${uniform("n1")}`).said.join("\n")).toContain("even 1e-7 against mse 1");
  expect(read(`loss align = info_nce(n1, n2)\n  loss even = 0 * ${uniform("n1")}`).said.join("\n")).toContain("`even` has no effect");
  const seen = "encoder t = ema(f, momentum: 0.99)\n  head h = mlp_bn(64, out: 32)\n  loss odd = -mean(diagonal(similarities(l2_normalize(h(pool(f(a)))), stopgrad(l2_normalize(pool(t(a)))))))";
  expect(read(seen).said.join("\n")).toContain("The prediction of `odd` has seen");
});

test("more terms than are read are left unread", () => {
  const many = Array.from({ length: 25 }, (_, i) => `${(i + 1) / 100} * ${uniform("n1", 1 + i / 10)}`).join(" + ");
  expect(read(`loss mse(n1, n2) + ${many}`).verdict).toContain("W-UNREAD");
});

test("a sign that is turned round is turned back where it stands", () => {
  const text = program(`loss 64 * mse(n1, n2) - 0.5 * ${uniform("n1")}`);
  const [edit] = check({ file: "m.jepa", text }).diagnostics.flatMap((d) => d.fixes.flatMap((f) => f.edits));
  if (edit === undefined) throw new Error("no fix");
  const mended = text.slice(0, edit.span.start) + edit.text + text.slice(edit.span.end);
  expect(mended).toContain(`mse(n1, n2) + 0.5 * ${uniform("n1")}`);
  expect(check({ file: "m.jepa", text: mended }).analyses?.program.verdict).toBe("sound");
});

test.each(["-mean(diagonal(similarities(n1, stopgrad(n2))))", "mean(square(n1 - stopgrad(n2)))", "mean(abs(z1 - stopgrad(z2)))"])("no predictor is put into what is written out: %s", (term) => {
  const { diagnostics } = check({ file: "m.jepa", text: program(`loss ${term}`) });
  expect(diagnostics.map((d) => d.code)).toContain("JEP4002");
  expect(diagnostics.flatMap((d) => d.fixes)).toEqual([]);
});

test.each([
  ["a mean at zero", "mse(z1, z2) + sum(square(mean(z1, over: images)))"],
  ["a mean at zero, by its length and heavy", "mse(z1, z2) + 1000 * sqrt(sum(square(mean(z1, over: images))))"],
  ["a length", "mse(z1, z2) + mean(square(sum(square(z1), over: features) - 50))"],
])("%s is no reason for images to differ", (_, loss) => {
  expect(read(`loss ${loss}`)).toMatchObject({ verdict: "error E-SYM W-UNREAD", protects: [] });
});

test("another encoder follows what an own term keeps apart, and nothing where the term is turned round", () => {
  const other = "encoder g = vit(patch: 4, width: 32, depth: 1, heads: 2)\n  head q = projector(64, 32)\n  k = l2_normalize(q(pool(g(b))))";
  expect(read(`${other}\n  loss 64 * mse(n1, k) + ${uniform("n1")}`)).toMatchObject({ verdict: "sound", protects: ["f: repulsion, full", "g: encoder, full"] });
  expect(read(`${other}\n  loss 64 * mse(n1, k) - ${uniform("n1")}`).verdict).toContain("E-GUARD-SIGN");
});
