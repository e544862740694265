/** Queues of earlier keys: where one may be kept, and what a batch must be beside it. */
import { expect, test } from "vitest";
import { check, compile } from "../../../compiler/compile.js";

const program = (loss: string, train = "batch 8", modules = ""): string => `use std.vit
${modules}
model m {
  allow collapse("only types count here")
  input image: Image[8, 8, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder f = vit(4, width: 8, depth: 1, heads: 2)
  encoder t = ema(f, momentum: 0.99)
  q = pool(f(a))
  k = pool(t(b))
  ${loss}
}
train m {
  data shapes(count: 64)
  ${train}
}
`;

function told(text: string): string[] {
  return check({ file: "m.jepa", text }).diagnostics.filter((d) => d.severity === "error").map((d) => `${d.code} ${d.message} ${d.help ?? ""}`);
}

test.each([
  ["in a module", "loss compare(q, k)", "module compare(x: Vector[w], y: Vector[w]) -> Tensor { info_nce(x, y, queue: 16) }", "JEP3030 `info_nce` cannot keep a queue here: it stands in a module, and a queue belongs to one place of the model. Give the features back"],
  ["of candidates from both sides", "loss info_nce(q, k, queue: 16, candidates: both)", "", "JEP3030 `info_nce` cannot keep a queue here: with `candidates: both` the candidates are the rows of the step."],
  ["of tokens by their places", "loss info_nce(f(a), t(b), queue: 16)", "", "JEP3030 `info_nce` cannot keep a queue here: its keys are of several tokens, and its negatives of one. Compare one vector"],
  ["of tokens of their own image", "loss info_nce(f(a), t(b), queue: 16, negatives: tokens)", "", "JEP3030"],
] as const)("no queue %s", (_, loss, modules, wanted) => {
  const found = told(program(loss, "batch 8", modules));
  expect(found).toHaveLength(1);
  expect(found[0]).toContain(wanted);
  // It is the queue that is refused.
  expect(told(program(loss.replace(", queue: 16", ""), "batch 8", modules.replace(", queue: 16", "")))).toEqual([]);
});

test("all tokens may be keys, a batch may be one image, and it runs whole", () => {
  expect(told(program("loss info_nce(f(a), t(b), queue: 16, negatives: all)"))).toEqual([]);
  expect(told(program("loss info_nce(q, k, queue: 16)", "batch 1"))).toEqual([]);
  expect(told(program("loss info_nce(q, k)", "batch 1"))[0]).toContain("JEP6011");
  expect(told(program("loss info_nce(q, k, queue: 16)", "batch 8\n  accumulate 2"))[0]).toContain("JEP6013 Gradients cannot be accumulated here");
});

test("each loss has a queue of its own under its own name, which is state and no parameter; a program without the loss has none", () => {
  const compiled = (loss: string): ReturnType<typeof compile>["manifest"] => compile({ file: "m.jepa", text: program(loss) }).manifest;
  const two = compiled("loss near = info_nce(q, k, queue: 16)\n  loss more = 1 + 2 * info_nce(k, q, queue: 4) + info_nce(q, k, queue: 5)");
  const queues = two?.parameters.filter((p) => p.name.endsWith(".queue"));
  expect(queues?.map((p) => [p.name, p.group, p.shape, p.role, p.init.kind])).toEqual([
    ["near.queue", "near", [16, 8], "state", "unit_rows"], ["more.queue", "more", [4, 8], "state", "unit_rows"], ["more_2.queue", "more_2", [5, 8], "state", "unit_rows"],
  ]);
  expect(two?.train.separable).toBeUndefined();
  const none = compiled("loss info_nce(q, k)");
  expect(none?.parameters.filter((p) => p.name.endsWith(".queue"))).toEqual([]);
  expect(two?.counts.parameters).toBe(none?.counts.parameters);
});
