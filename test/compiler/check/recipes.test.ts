/** Slips of recipes and sweeps that would train something else than what is written, or nothing; and what a wrong value is called. */
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { checkMarked, markedFile, sound } from "./marked.js";

/** Errors and warnings of a sound program with these settings. */
function told(train: string, tail = ""): readonly string[] {
  return check({ file: "m.jepa", text: sound("", tail, train) }).diagnostics.map((d) => `${d.code} ${d.message}`);
}

test("a run has one length", () => {
  checkMarked(sound("", "", `  steps 2
  epochs 3
//^^^^^^^^ JEP6015 \`steps\` and \`epochs\` both say how long the run is.
`));
  // A variant says it over again, in either unit.
  const variant = check({ file: "m.jepa", text: sound("", "variant v of m { train { steps 7 } }\n") }, { program: "v" });
  expect(variant.diagnostics).toEqual([]);
  expect(variant.checked?.training.train.duration).toEqual({ unit: "steps", value: 7 });
});

test("a line that is half typed is told once, and nothing of the lines after it", () => {
  for (const half of ["(", "["]) expect(told(`  seed 3\n  ${half}\n  steps 2\n  batch 16\n`).map((d) => d.slice(0, 7)), half).toEqual(["JEP1004"]);
});

test("a length is in the unit of its word, and steps are whole", () => {
  checkMarked(sound("", "", `  steps 2 epochs
//      ^^^^^^^^ JEP2010 For \`steps\`, a number of steps is expected, and this is 2 epochs.
`));
  checkMarked(sound("", "", `  epochs 2 steps
//       ^^^^^^^ JEP2010 Write \`steps 2\`, or give the number of epochs.
`));
  checkMarked(sound("", "", `  epochs 2 percent
//       ^^^^^^^^^ JEP2010 For \`epochs\`, a number of epochs is expected, and this is 2 percent.
`));
  checkMarked(sound("", "", `  steps 2.5
//      ^^^ JEP2010 a whole number of steps is expected, and this is the number 2.5.
`));
  checkMarked(sound("", "", `  epochs 1
  checkpoint_every 1.5 steps
//                 ^^^^^^^^^ JEP2010 a whole number of steps
`));
  for (const train of ["  steps 2 steps\n", "  epochs 2 epochs\n", "  epochs 1.5\n", "  epochs 1\n  checkpoint_every 20 steps\n"]) expect(told(train), train).toEqual([]);
});

test("a learning rate that is nothing throughout is told; one that begins or ends there is not", () => {
  checkMarked(sound("", "", `  epochs 1
  learning_rate 0
//^^^^^^^^^^^^^^^ JEP6016 The learning rate is 0 from the first step to the last
`));
  expect(told("  epochs 9\n  learning_rate cosine(0 -> 1e-3 -> 0, warmup: 1 epochs)\n")).toEqual([]);
  expect(told("  epochs 9\n  learning_rate cosine(0 -> 0 -> 0, warmup: 1 epochs)\n")).toHaveLength(1);
});

test("a schedule has a length", () => {
  checkMarked(sound("", "", `  epochs 1
  learning_rate cosine(1e-3 -> 1e-6, stretch: 0)
//                                            ^ JEP2011 \`stretch\` must be a number above 0, and this is 0.
`));
});

test("a warm-up fits into its run, counted in steps where the pictures are known", () => {
  checkMarked(sound("", "", `  steps 20
  learning_rate cosine(1e-4 -> 1e-3 -> 1e-6, warmup: 30 steps)
//^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ JEP6017 The warm-up takes 30 steps and the run 20 steps
`));
  const rate = (warmup: string): string => `  learning_rate cosine(1e-4 -> 1e-3 -> 1e-6, warmup: ${warmup})\n`;
  expect(told(`  steps 20\n${rate("20 steps")}`)).toEqual([]);
  expect(told(`  epochs 1\n${rate("1 epochs")}`)).toEqual([]);
  // 4096 pictures in batches of 64 are 64 steps.
  expect(told(`  epochs 1\n${rate("64 steps")}`)).toEqual([]);
  expect(told(`  epochs 1\n${rate("65 steps")}`)).toEqual(["JEP6017 The warm-up takes 65 steps and the run 1 epoch: the rate never reaches its peak."]);
  expect(told(`  steps 63\n${rate("1 epochs")}`)).toHaveLength(1);
  expect(told(`  steps 63\n  data images("somewhere")\n${rate("1 epochs")}`)).toEqual([]);
});

test("a sweep has runs, each of them once", () => {
  checkMarked(sound("", `  sweep s of m { }
//      ^ JEP2033 The sweep \`s\` has no runs: it names nothing to change.
`));
  checkMarked(sound("", `  sweep s of m { predict.depth in [] }
//                                ^^ JEP2033 \`predict.depth\` has no values.
`));
  checkMarked(sound("", `  sweep s of m { predict.depth in [1, 2, 1] }
//                                       ^ JEP2034 \`predict.depth\` takes the value 1 twice.
`));
  checkMarked(sound("", `  sweep s of m { predict.depth in [1], predict.depth in [2] }
//                                     ^^^^^^^^^^^^^ JEP2002 Put all its values into one list.
`));
});

test("a variant takes a bound of gradients back", () => {
  const text = `${sound("", "", "  epochs 1\n  gradient_clip 1.0\n")}variant free of m {\n  train { gradient_clip none }\n}\n`;
  const clipOf = (program: string): number | undefined => check({ file: markedFile, text }, { program }).checked?.training.train.gradientClip;
  expect([clipOf("m"), clipOf("free")]).toEqual([1, undefined]);
});

test("a sweep may repeat a program with other seeds, and `--set` name one", () => {
  const text = sound("", "  sweep s of m { seed in [0, 5], predict.depth in [1, 2] }\n");
  const swept = check({ file: markedFile, text });
  expect(swept.checked?.sweeps[0]?.points.map((p) => Object.fromEntries(p))).toEqual([0, 5].flatMap((seed) => [1, 2].map((depth) => ({ seed, "predict.depth": depth }))));
  expect(check({ file: markedFile, text }, { set: { seed: 7 } }).checked?.training.train.seed).toBe(7);
  expect(check({ file: markedFile, text }, { set: { seed: 0.5 } }).diagnostics.map((d) => d.code)).toContain("JEP2011");
});

test("the values of a sweep stand in a list", () => {
  const one = sound("", `  sweep s of m { predict.depth in 3 }
//                                ^ JEP2010 a list such as \`[2, 4]\` is expected, and this is \`3\`.
`);
  checkMarked(one, { fixed: one.replace("in 3 }", "in [3] }") });
  checkMarked(sound("", `  sweep s of m { predict.depth in 1..4 }
//                                ^^^^ JEP2010 and this is \`1..4\`.
`));
  checkMarked(sound("", `  sweep s of m { predict.depth in [1..4] }
//                                 ^^^^ JEP2010 and this is \`1..4\`.
`));
});

test("what stands in a wrong place is shown as it is written", () => {
  checkMarked(sound("", `probe m { linear(on: teacher, pool: max) }
//                            ^^^^^^^^^ JEP2010 For \`pool\`, \`mean\` is expected, and this is \`max\`.
`));
  checkMarked(sound("", "", `  epochs 1
  learning_rate cosine(1e-4 -> 1e-3 -> 1e-6, warmup: 10 percent)
//                                                   ^^^^^^^^^^ JEP2010 and this is 10 percent.
`));
  checkMarked(sound("", "", `  epochs 1
  learning_rate -1
//              ^^ JEP2011 every value of \`learning_rate\` must be a number of at least 0, and this is -1.
`));
  checkMarked(sound("", "", `  epochs 0
//       ^ JEP2011 \`epochs\` must be a number above 0 and up to 1000000000, and this is 0.
`));
  checkMarked(sound("", "", `  epochs 1
  optimizer sgd(1)
//              ^ JEP2011 \`momentum\` must be a number of at least 0 and below 1, and this is 1.
`));
  checkMarked(sound("", "", `  epochs 1
  batch 1.5
//      ^^^ JEP2011 \`batch\` must be a whole number from 1 to 1048576, and this is 1.5.
`));
});

test("a number that is too large is told once, and not by the largest that there is", () => {
  checkMarked(sound("", "", `  epochs 1
  batch 1e400
//      ^^^^^ JEP1014 it is too large
`));
});

test("an optimizer without arguments is suggested like one with some", () => {
  checkMarked(sound("", "", `  epochs 1
  optimizer adam
//          ^^^^ JEP6008 Did you mean \`adamw\`
`));
});
