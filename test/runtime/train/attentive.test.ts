/**
 * The attentive probe: the head against one that makes its keys and values, its gradient against differences of that one, guessing on
 * labels that mean nothing, a task that a mean over tokens cannot do, and tokens that are encoded anew.
 */
import { expect, test } from "vitest";
import { HostError } from "../../../runtime/base/errors.js";
import { stream } from "../../../runtime/base/random.js";
import type { Stream } from "../../../runtime/base/random.js";
import { headGradient, headLogits, newHead } from "../../../runtime/train/attentive-head.js";
import type { AttentiveHead, PartName } from "../../../runtime/train/attentive-head.js";
import { attentiveProbe, attentiveRecipe, usualEpochs, usualHeads } from "../../../runtime/train/attentive.js";
import type { AttentiveTask, TokenSet } from "../../../runtime/train/attentive.js";
import { meanPool, pooledFeatures } from "../../../runtime/train/features.js";
import type { ProbeSet } from "../../../runtime/train/features.js";
import { linearProbe } from "../../../runtime/train/linear-head.js";
import { probeTable, runProbes } from "../../../runtime/train/probe.js";
import { encodedSet } from "../../../runtime/train/token-sets.js";
import { fakeManifest, linearEngine, WIDTH } from "./fakes.js";

const normals = (draws: Stream, n: number): Float64Array => Float64Array.from({ length: n }, () => draws.normal());
const sum = (n: number, term: (i: number) => number): number => Array.from({ length: n }, (_, i) => term(i)).reduce((a, b) => a + b, 0);

/** Logits of one row as the paper has them: a key and a value of every token, plain loops; keys have an offset, which must not matter. */
function paperLogits(head: AttentiveHead, x: readonly (readonly number[])[], keyOffset: number): number[] {
  const { width, heads, classes } = head.shape;
  const each = width / heads;
  const p = (name: PartName, row: number, column: number): number => head.values[head.parts[name].at + row * head.parts[name].columns + column] ?? 0;
  const linear = (from: readonly number[], w: PartName, b: PartName | undefined, n: number): number[] => Array.from({ length: n }, (_, c) => (b === undefined ? keyOffset * c : p(b, 0, c)) + sum(from.length, (j) => (from[j] ?? 0) * p(w, j, c)));
  const query = Array.from({ length: width }, (_, j) => p("query", 0, j));
  const asked = linear(query, "wq", "bq", width);
  const [keys, values] = [x.map((token) => linear(token, "wk", undefined, width)), x.map((token) => linear(token, "wv", "bv", width))];
  const joined = Array.from({ length: width }, (_, c) => {
    const first = c - (c % each);
    const weights = keys.map((key) => Math.exp(sum(each, (i) => (asked[first + i] ?? 0) * (key[first + i] ?? 0)) / Math.sqrt(each)));
    return sum(x.length, (n) => (weights[n] ?? 0) * (values[n]?.[c] ?? 0)) / sum(x.length, (n) => weights[n] ?? 0);
  });
  const r = linear(joined, "wo", "bo", width).map((y, j) => y + (query[j] ?? 0));
  const mean = sum(width, (j) => r[j] ?? 0) / width;
  const deviation = Math.sqrt(sum(width, (j) => ((r[j] ?? 0) - mean) ** 2) / width + 1e-6);
  const normed = r.map((value, j) => ((value - mean) / deviation) * p("gain", 0, j) + p("shift", 0, j));
  const middle = linear(normed, "w1", "b1", 4 * width).map((v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3))));
  const top = linear(middle, "w2", "b2", width).map((y, j) => y + (r[j] ?? 0));
  return linear(top, "wc", "bc", classes);
}

function paperLoss(head: AttentiveHead, tokens: Float64Array, labels: readonly number[], count: number): number {
  const { width } = head.shape;
  return sum(labels.length, (b) => {
    const x = Array.from({ length: count }, (_, n) => [...tokens.subarray((b * count + n) * width, (b * count + n + 1) * width)]);
    const logits = paperLogits(head, x, 0.3);
    return Math.log(sum(logits.length, (c) => Math.exp(logits[c] ?? 0))) - (logits[labels[b] ?? 0] ?? 0);
  }) / labels.length;
}

test("logits, loss and all gradients are those of the head that makes keys and values of every token", () => {
  const shape = { width: 6, heads: 2, classes: 3 };
  const head = newHead(shape, 5);
  const draws = stream(6, "rows");
  // Offsets and gains away from where they begin, so that each has a part in the numbers.
  head.values.forEach((value, i) => { head.values[i] = value + 0.3 * draws.normal(); });
  const [labels, count] = [[0, 2, 1], 5];
  const tokens = normals(draws, labels.length * count * shape.width);
  const gradient = new Float64Array(head.values.length);
  const loss = headGradient(head, tokens, labels, gradient);
  expect(Math.abs(loss - paperLoss(head, tokens, labels, count))).toBeLessThan(1e-12);
  const x = Array.from({ length: count }, (_, n) => [...tokens.subarray(n * shape.width, (n + 1) * shape.width)]);
  const paper = paperLogits(head, x, -2);
  headLogits(head, tokens, labels.length).subarray(0, 3).forEach((logit, c) => expect(Math.abs(logit - (paper[c] ?? 0))).toBeLessThan(1e-12));
  const step = 1e-5;
  // Of the large matrices a part: every seventh number meets every row and column of theirs.
  for (let i = 0; i < head.values.length; i += 7) {
    const at = (by: number): number => {
      const values = head.values.slice();
      values[i] = (values[i] ?? 0) + by;
      return paperLoss({ ...head, values }, tokens, labels, count);
    };
    expect(Math.abs((at(step) - at(-step)) / (2 * step) - (gradient[i] ?? 0)), `parameter ${i}`).toBeLessThan(1e-8);
  }
  expect([...gradient].filter((slope) => slope === 0)).toEqual([]);
});

/**
 * Rows of as many tokens as classes, each token with the content of another class, in an order of chance; one of them is marked, and the
 * class of the row is what that one says. The mean over tokens is the same for all rows but for noise.
 */
function marked(count: number, classes: number, seed: number): { readonly set: TokenSet; readonly task: Int32Array; readonly tokens: Float32Array } {
  const draws = stream(seed, "marked");
  const width = classes + 2;
  const tokens = Float32Array.from({ length: count * classes * width }, () => 0.1 * draws.normal());
  const task = Int32Array.from({ length: count }, (_, row) => {
    const [order, which] = [draws.permutation(classes), draws.int(classes)];
    order.forEach((content, n) => { tokens[(row * classes + n) * width + content] = 1; });
    tokens[(row * classes + which) * width + classes] = 1;
    return order[which] ?? 0;
  });
  return { set: heldSet(tokens, count, classes, width), task, tokens };
}

function heldSet(tokens: Float32Array, count: number, each: number, width: number): TokenSet {
  return { count, tokens: each, width, rows: (rows) => Promise.resolve(Float32Array.from([...rows].flatMap((row) => [...tokens.subarray(row * each * width, (row + 1) * each * width)]))) };
}

const taskOf = (train: Int32Array, test: Int32Array, classes = 4): AttentiveTask => ({ train, test, classes });

test("what one marked token says is read, which no mean over tokens tells; labels that mean nothing are guessed", async () => {
  const [train, other] = [marked(768, 4, 1), marked(512, 4, 2)];
  const shuffled = (labels: Int32Array, seed: number): Int32Array => stream(seed, "labels").permutation(labels.length).map((row) => labels[row] ?? 0);
  const tasks = [taskOf(train.task, other.task), taskOf(shuffled(train.task, 3), shuffled(other.task, 4))];
  const [read, guessed] = await attentiveProbe(train.set, other.set, tasks, 7, { heads: 2 });
  const pooled = ({ tokens, task }: typeof train) => ({ features: meanPool(tokens, task.length, 6), labels: task, n: task.length, width: 6 });
  const mean = linearProbe(pooled(train), pooled(other), 4).accuracy;
  console.info(`the class of a marked token among 4: attentive ${read?.accuracy}, linear on the mean ${mean}, attentive on shuffled labels ${guessed?.accuracy}`);
  expect(read?.accuracy ?? 0).toBeGreaterThan(0.95);
  expect(mean).toBeLessThan(0.35);
  // Three standard deviations of guessing among four with 512 rows.
  expect(Math.abs((guessed?.accuracy ?? 0) - 0.25)).toBeLessThan(0.06);
});

test("the same seed gives the same heads, another seed others; scale and offset of features do not matter", async () => {
  const [train, other] = [marked(100, 3, 5), marked(60, 3, 6)];
  const probe = async (seed: number, change: (value: number, i: number) => number = (value) => value): Promise<number> => {
    const change32 = ({ tokens, task }: typeof train): TokenSet => heldSet(tokens.map(change), task.length, 3, 5);
    const [result] = await attentiveProbe(change32(train), change32(other), [taskOf(train.task, other.task, 3)], seed, { heads: 1, epochs: 3 });
    return result?.loss ?? NaN;
  };
  const loss = await probe(1);
  expect(await probe(1)).toBe(loss);
  expect(await probe(2)).not.toBe(loss);
  expect(Math.abs((await probe(1, (value, i) => value * 2 ** (i % 5) + 3)) - loss)).toBeLessThan(1e-4);
});

test("heads and epochs that are not said fit the width and the set", () => {
  expect([8, 32, 96, 100, 384, 768, 1280].map(usualHeads)).toEqual([1, 1, 3, 2, 12, 16, 16]);
  expect([40, 4096, 10_000].map(usualEpochs)).toEqual([400, 20, 20]);
  expect(attentiveRecipe(4096, 96, { epochs: 5 })).toEqual({ heads: 3, epochs: 5, learningRate: 1e-3, weightDecay: 0.01 });
  expect(() => attentiveRecipe(4096, 96, { heads: 5 })).toThrow(new RangeError("5 heads do not divide a width of 96"));
  expect(() => attentiveRecipe(4096, 96, { epochs: 0.5 })).toThrow(RangeError);
  expect(() => attentiveRecipe(4096, 96, { learningRate: 0 })).toThrow(RangeError);
  expect(() => attentiveRecipe(4096, 96, { weightDecay: NaN })).toThrow(RangeError);
});

test("sets and labels that do not fit are refused, and so are features that are no numbers, by their row", async () => {
  const { set, task, tokens } = marked(10, 3, 5);
  const run = (train: TokenSet, labels: Int32Array, classes = 3): Promise<unknown> => attentiveProbe(train, set, [taskOf(labels, task, classes)], 1, { epochs: 1, heads: 1 });
  await expect(run(set, task.slice(1))).rejects.toThrow(new RangeError("9 labels are not one for each of 10 rows"));
  await expect(run(set, task, 2)).rejects.toThrow(/a label is 2, and 2 classes/);
  await expect(run({ ...set, width: 6 }, task)).rejects.toThrow(new RangeError("tokens to fit on have width 6, tokens to test on 5"));
  await expect(run({ ...set, count: 0 }, task)).rejects.toThrow(new RangeError("a set has no rows"));
  tokens[4 * 15 + 7] = NaN;
  await expect(run(set, task)).rejects.toMatchObject({ code: "not-a-number", message: "feature 2 of a token of row 4 is NaN" });
});

const tokened = fakeManifest({
  encoders: [{ name: "student", input: "image", width: WIDTH, tokens: 4, grid: undefined, trained: true }],
  probes: [{ kind: "attentive", on: "student", pool: "attention", args: { epochs: 24, heads: 1 } }],
});

function markedProbeSet(count: number, seed: number): ProbeSet {
  const { tokens, task } = marked(count, 4, seed);
  const size = 4 * WIDTH;
  return { feed: { count, images: (from, to) => Promise.resolve(tokens.slice(from * size, to * size)) }, factors: [{ name: "class", classes: ["a", "b", "c", "d"], labels: task }] };
}

test("tokens that are not held are encoded anew, in the order that is asked for, and are the same", async () => {
  const engine = linearEngine(tokened, 7);
  const [encoder] = tokened.encoders;
  if (encoder === undefined) throw new Error("no encoder");
  const { feed } = markedProbeSet(30, 1);
  const kept = await encodedSet(engine, encoder, feed, { chunk: 8 });
  let calls = 0;
  const counting = { ...engine, encode: (...args: Parameters<typeof engine.encode>) => { calls += 1; return engine.encode(...args); } };
  const anew = await encodedSet(counting, encoder, feed, { chunk: 8, most: 30 * 4 * WIDTH * 4 - 1 });
  expect([kept.held, anew.held, calls]).toEqual([true, false, 4]);
  expect(anew.pooled).toEqual(kept.pooled);
  expect(kept.pooled).toEqual(await pooledFeatures(engine, encoder, feed));
  const rows = Int32Array.from({ length: 30 }, (_, i) => (i * 7) % 30);
  expect(await anew.rows(rows)).toEqual(await kept.rows(rows));
  expect(calls).toBe(8);
  await expect(encodedSet(engine, { ...encoder, tokens: 0 }, feed, { chunk: 8 })).rejects.toThrow(new HostError("mismatch", "an attentive probe reads tokens, and student gives one row for a picture", "probe it with `linear` and `knn`, or look at an encoder that does not pool"));
});

test("the protocol scores attentive heads beside the others, trained and untrained, where the program asks for them", async () => {
  const engine = linearEngine(tokened, 7);
  const state = new Map(await engine.exportState());
  // "Trained" to lose what the tokens say, and to keep the mark.
  state.set("student.weight", Float32Array.of(0, 0, 0, 0, 1, 0));
  await engine.importState(state);
  const heard: string[] = [];
  const job = { manifest: tokened, engine, seed: 7, step: 40, train: markedProbeSet(700, 1), test: markedProbeSet(300, 2), testName: "others", onProgress: (text: string) => heard.push(text) };
  const report = await runProbes(job);
  expect(await engine.exportState()).toEqual(state);
  const [score] = report.encoders;
  expect(score?.attentive).toEqual({ heads: 1, epochs: 24, learningRate: 1e-3, weightDecay: 0.01 });
  const { attentive, linear } = score?.factors[0] ?? {};
  expect(attentive?.untrained).toBeGreaterThan(0.9);
  expect(attentive?.trained).toBeLessThan(0.4);
  expect(linear?.untrained).toBeLessThan(0.4);
  expect(heard).toContain("probing: attentive heads of the trained student, step 0 of 264");
  expect(probeTable(report)).toMatch(/attentive probe of student: class +9\d\.\d % +[23]\d\.\d % /);
  const plain = await runProbes({ ...job, manifest: { ...tokened, probes: [{ kind: "linear", on: "student", pool: "mean", args: {} }] } });
  expect(plain.encoders[0]?.attentive).toBeUndefined();
  expect(plain.encoders[0]?.factors[0]).toEqual({ ...score?.factors[0], attentive: undefined });
  expect(probeTable(plain)).not.toContain("attentive");
});
