/**
 * Probes: what can be read off the frozen features, beside the same encoder untrained.
 *
 * Owns the protocol: mean-pooled features of a training and a test set, a linear head and a k-nearest-neighbor vote for
 * every factor that is labelled, the effective rank of the standardized training features, and where the program asks for it a head that
 * attends to all tokens (`attentive.ts`), each for the encoder as it is and as it was at step 0 (same seed). The untrained column is the point: an accuracy means nothing without it (I-JEPA facts, 9.3). The
 * result is plain data, and `probeTable` prints it; what training gained, in words, is `gains.ts`'s.
 */
import type { EncoderInfo, Engine, Manifest } from "../abi.js";
import { counted } from "../base/counted.js";
import { encoderPicture } from "../base/encoder-input.js";
import { effectiveRank, standardizeColumns } from "../base/linalg.js";
import { HostError } from "../base/errors.js";
import { textTable } from "../log/table.js";
import { attentiveProbe, attentiveRecipe } from "./attentive.js";
import type { AttentiveOptions, AttentiveRecipe } from "./attentive.js";
import { chunkOf, labelled, pooledFeatures } from "./features.js";
import type { Factor, ProbeSet } from "./features.js";
import { initialState } from "./init.js";
import { linearProbe } from "./linear-head.js";
import { nearestAccuracy, votersAmong } from "./nearest.js";
import type { NearestOptions } from "./nearest.js";
import type { EncodedSet } from "./token-sets.js";
import { encodedSet } from "./token-sets.js";

/** Accuracies of one encoder on one factor, shares of 1. */
export interface FactorScore {
  readonly factor: string;
  readonly classes: number;
  /** Share of the commonest class in the test set: what guessing gets. */
  readonly chance: number;
  readonly linear: { readonly trained: number; readonly untrained: number };
  readonly nearest: { readonly trained: number; readonly untrained: number };
  /** Of a head that attends to all tokens; absent where the program asks for none on this encoder. */
  readonly attentive?: { readonly trained: number; readonly untrained: number };
  /** How many neighbors voted. */
  readonly neighbors: number;
}

/** What the probes found out about one encoder. */
export interface EncoderScore {
  readonly encoder: string;
  readonly width: number;
  /** RankMe of the centered, mean-pooled training features. */
  readonly rank: { readonly trained: number; readonly untrained: number };
  /** How the attentive heads were made and fitted, where there are some. */
  readonly attentive?: AttentiveRecipe;
  readonly factors: readonly FactorScore[];
}

/** The result of a probe, as written to probe.json. */
export interface ProbeReport {
  readonly program: string;
  readonly step: number;
  readonly seed: number;
  readonly trainImages: number;
  readonly testImages: number;
  /** Where the test pictures came from, in words. */
  readonly test: string;
  readonly encoders: readonly EncoderScore[];
}

/** What a probe needs. */
export interface ProbeJob {
  readonly manifest: Manifest;
  readonly engine: Engine;
  readonly seed: number;
  /** Steps that the engine's state has had. */
  readonly step: number;
  readonly train: ProbeSet;
  readonly test: ProbeSet;
  readonly testName: string;
  /** Hears what is being done, before each part of it. */
  readonly onProgress?: (text: string) => void;
}

/** Rows that a rank is taken over: more do not change it much and cost time. */
const RANK_ROWS = 4096;

/**
 * Runs the probes of the manifest, or, when it names none, one on its moving-average encoder (else its first). The
 * engine's state is the same afterwards. Throws `HostError` "mismatch" when a probe names no encoder of the program.
 */
export async function runProbes(job: ProbeJob): Promise<ProbeReport> {
  const { manifest, engine } = job;
  const encoders = probedEncoders(manifest);
  const trained = await featuresOf(job, encoders, "trained");
  const state = await engine.exportState();
  let untrained: Map<string, Pair>;
  try {
    await engine.importState(initialState(manifest, job.seed));
    untrained = await featuresOf(job, encoders, "untrained");
  } finally {
    await engine.importState(state);
  }
  const scores = encoders.map((encoder) => scoreEncoder(job, encoder, pairOf(trained, encoder), pairOf(untrained, encoder)));
  return {
    program: manifest.program,
    step: job.step,
    seed: job.seed,
    trainImages: job.train.feed.count,
    testImages: job.test.feed.count,
    test: job.testName,
    encoders: scores,
  };
}

/** The encoders that the probes of a program look at, each once. */
export function probedEncoders(manifest: Pick<Manifest, "probes" | "encoders" | "ema">): EncoderInfo[] {
  const targets = new Set(manifest.ema.map((edge) => edge.target));
  const fallback = manifest.encoders.find((encoder) => targets.has(encoder.name)) ?? manifest.encoders[0];
  const names = manifest.probes.length > 0 ? new Set(manifest.probes.map((probe) => probe.on)) : new Set(fallback === undefined ? [] : [fallback.name]);
  return [...names].map((name) => {
    const encoder = manifest.encoders.find((candidate) => candidate.name === name);
    if (encoder === undefined) throw new HostError("mismatch", `a probe looks at ${name}, which is no encoder of this program`, `encoders: ${manifest.encoders.map((candidate) => candidate.name).join(", ")}`);
    return encoder;
  });
}

/** A probe as a table for the terminal, percentages beside the untrained encoder's. */
export function probeTable(report: ProbeReport): string {
  const rows = report.encoders.flatMap((encoder) => [
    ...encoder.factors.flatMap((score) => [
      [`linear probe of ${encoder.encoder}: ${score.factor} (${counted(score.classes, "class", "classes")})`, percent(score.linear.untrained), percent(score.linear.trained), percent(score.chance)],
      [`${score.neighbors}-nearest neighbors of ${encoder.encoder}: ${score.factor}`, percent(score.nearest.untrained), percent(score.nearest.trained), percent(score.chance)],
      ...(score.attentive === undefined ? [] : [[`attentive probe of ${encoder.encoder}: ${score.factor}`, percent(score.attentive.untrained), percent(score.attentive.trained), percent(score.chance)]]),
    ]),
    [`effective rank of ${encoder.encoder} (of ${encoder.width})`, encoder.rank.untrained.toFixed(1), encoder.rank.trained.toFixed(1), ""],
  ]);
  return textTable(["probe", "untrained", "trained", "guessing"], rows);
}

/** A share as a percentage with one digit. */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

interface Pair {
  readonly train: Float32Array;
  readonly test: Float32Array;
  /** Accuracy of attentive heads by factor; empty where none is asked for. */
  readonly attentive: ReadonlyMap<string, number>;
}

type State = "trained" | "untrained";

async function featuresOf(job: ProbeJob, encoders: readonly EncoderInfo[], state: State): Promise<Map<string, Pair>> {
  const out = new Map<string, Pair>();
  for (const encoder of encoders) {
    const frames = encoderPicture(job.manifest, encoder)?.frames;
    const told = (set: ProbeSet, role: string) => (done: number): void => job.onProgress?.(`probing: features of the ${state} ${encoder.name}, ${role} ${frames === undefined ? "picture" : "clip"} ${done} of ${set.feed.count}`);
    const options = attentiveOf(job.manifest, encoder.name);
    if (options !== undefined) {
      const encoded = (set: ProbeSet, role: string): ReturnType<typeof encodedSet> => encodedSet(job.engine, encoder, set.feed, { chunk: chunkOf(frames), onPart: told(set, role) });
      const train = await encoded(job.train, "training");
      const test = await encoded(job.test, "test");
      out.set(encoder.name, { train: train.pooled, test: test.pooled, attentive: await attend(job, encoder.name, state, options, train, test) });
      continue;
    }
    const pooled = (set: ProbeSet, role: string): Promise<Float32Array> => pooledFeatures(job.engine, encoder, set.feed, told(set, role), chunkOf(frames));
    const train = await pooled(job.train, "training");
    out.set(encoder.name, { train, test: await pooled(job.test, "test"), attentive: new Map() });
  }
  return out;
}

/** What a program says of the attentive probe of an encoder; undefined where it has none. */
function attentiveOf(manifest: Manifest, encoder: string): AttentiveOptions | undefined {
  const args = manifest.probes.find((probe) => probe.kind === "attentive" && probe.on === encoder)?.args;
  return args === undefined ? undefined : { heads: args["heads"], epochs: args["epochs"], learningRate: args["learning_rate"], weightDecay: args["weight_decay"] };
}

/** Fits heads for all factors while the engine holds the state that they look at. */
async function attend(job: ProbeJob, encoder: string, state: State, options: AttentiveOptions, train: EncodedSet, test: EncodedSet): Promise<Map<string, number>> {
  const pairs = job.train.factors.flatMap((factor) => job.test.factors.filter(({ name }) => name === factor.name).map((test) => [factor, test] as const));
  const anew = train.held ? "" : ", tokens encoded anew at each step";
  const onStep = (done: number, total: number): void => job.onProgress?.(`probing: attentive heads of the ${state} ${encoder}, step ${done} of ${total}${anew}`);
  const results = await attentiveProbe(train, test, pairs.map(([one, other]) => ({ train: one.labels, test: other.labels, classes: classesOf(one, other) })), job.seed, { ...options, onStep });
  return new Map(pairs.map(([{ name }], i) => [name, results[i]?.accuracy ?? 0]));
}

function classesOf(train: Factor, test: Factor): number {
  return Math.max(train.classes.length, test.classes.length);
}

function pairOf(features: ReadonlyMap<string, Pair>, encoder: EncoderInfo): Pair {
  return features.get(encoder.name) ?? { train: new Float32Array(0), test: new Float32Array(0), attentive: new Map() };
}

function scoreEncoder(job: ProbeJob, encoder: EncoderInfo, trained: Pair, untrained: Pair): EncoderScore {
  const { width } = encoder;
  const rows = Math.min(RANK_ROWS, job.train.feed.count);
  const attentive = attentiveOf(job.manifest, encoder.name);
  const rank = (pair: Pair): number => effectiveRank(standardizeColumns(pair.train, rows, width), rows, width);
  return {
    encoder: encoder.name,
    width,
    rank: { trained: rank(trained), untrained: rank(untrained) },
    ...(attentive === undefined ? {} : { attentive: attentiveRecipe(job.train.feed.count, width, attentive) }),
    factors: job.train.factors.flatMap((factor) => {
      const test = job.test.factors.find((candidate) => candidate.name === factor.name);
      if (test === undefined) return [];
      job.onProgress?.(`probing: heads and neighbors of ${encoder.name}: ${factor.name}`);
      return [scoreFactor(votersOf(job.manifest, encoder.name), width, factor, test, trained, untrained)];
    }),
  };
}

/** What a program says of the vote on an encoder; where only others have a `knn` probe, all are measured alike. */
function votersOf(manifest: Manifest, encoder: string): NearestOptions {
  const probes = manifest.probes.filter((probe) => probe.kind === "knn");
  const args = (probes.find((probe) => probe.on === encoder) ?? probes[0])?.args ?? {};
  return { k: args["k"], temperature: args["temperature"] };
}

function scoreFactor(voters: NearestOptions, width: number, train: Factor, test: Factor, trained: Pair, untrained: Pair): FactorScore {
  const classes = classesOf(train, test);
  const [attentive, untaught] = [trained.attentive.get(train.name), untrained.attentive.get(train.name)];
  const linear = (pair: Pair): number => linearProbe(labelled(pair.train, width, train), labelled(pair.test, width, test), classes).accuracy;
  const nearest = (pair: Pair): number => nearestAccuracy(labelled(pair.train, width, train), labelled(pair.test, width, test), classes, voters);
  return {
    factor: train.name,
    classes,
    chance: commonest(test.labels, classes),
    linear: { trained: linear(trained), untrained: linear(untrained) },
    nearest: { trained: nearest(trained), untrained: nearest(untrained) },
    ...(attentive === undefined || untaught === undefined ? {} : { attentive: { trained: attentive, untrained: untaught } }),
    neighbors: votersAmong(labelled(trained.train, width, train).n, voters),
  };
}

function commonest(labels: Int32Array, classes: number): number {
  const counts = new Float64Array(classes);
  for (const label of labels) counts[label] = (counts[label] ?? 0) + 1;
  return labels.length === 0 ? 0 : Math.max(...counts) / labels.length;
}
