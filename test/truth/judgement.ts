/**
 * One program's measurements beside its verdict: does it do what the checker says?
 *
 * Owns what agreeing means. A refused program must show one of the failures that its rules predict; a sound one none, and
 * keep its rank; a risky one is told and not judged. The longest runs of a program decide, and of several seeds the most.
 * The compiled monitors are asked as well: what they would have said over the numbers that the run's own monitors saw.
 */
import type { MaskSpec } from "../../runtime/abi.js";
import { sampleMasks } from "../../runtime/masks/sample.js";
import type { Alarm } from "../../runtime/train/monitors.js";
import { createMonitors } from "../../runtime/train/monitors.js";
import type { Case, Judged } from "./corpus.js";
import { judged, prepare } from "./corpus.js";
import type { Seen } from "./criteria.js";
import { against, failuresOf, predicted, twinOf } from "./criteria.js";
import { keyOf } from "./meaning.js";
import type { Measured } from "./measure.js";
import { BATCH, SEEDS } from "./recipe.js";
import type { Kept } from "./store.js";
import { looksOf } from "./trace.js";

/** The outcome for one program. */
export interface Outcome {
  readonly one: Judged;
  readonly run: Measured;
  /** Undefined where nothing is asserted. */
  readonly agrees: boolean | undefined;
  /** What was measured, in figures. */
  readonly figures: readonly string[];
  readonly failures: readonly Seen[];
  readonly alarms: readonly Pick<Alarm, "monitor" | "subject" | "step">[];
}

/** The outcome of every program that has a measurement. */
export function outcomesOf(programs: readonly Case[], kept: readonly Kept[]): Outcome[] {
  const byKey = new Map<string, Kept[]>();
  for (const one of kept) byKey.set(one.key, [...(byKey.get(one.key) ?? []), one]);
  const all = (one: Case | undefined): Measured[] => (one === undefined ? [] : byKey.get(keyOf(one) ?? "") ?? []).map((k) => k.measured);
  const longest = (one: Case): Measured[] => {
    const runs = all(one);
    const most = Math.max(...runs.map((r) => r.steps));
    return runs.filter((r) => r.steps === most).sort((a, b) => a.seed - b.seed);
  };
  const byId = new Map(programs.map((one) => [one.id, one]));
  return programs.flatMap((given) => {
    const runs = longest(given);
    if (runs.length === 0) return [];
    const one = judged(given);
    const twins = all(byId.get(twinOf(one) ?? ""));
    return overSeeds(runs.map((run) => judge(one, run, twinAt(twins, run)))) ?? [];
  });
}

/** The twin's run of as many steps: from the same seed, where there is one, as a loss without a scale of its own differs from seed to seed. */
function twinAt(twins: readonly Measured[], { steps, seed }: Measured): Measured | undefined {
  const like = twins.filter((twin) => twin.steps === steps);
  return like.find((twin) => twin.seed === seed) ?? like[0];
}

/** Judges a run; `twin` is the sound program that it differs from, where its rule needs one. */
function judge(one: Judged, run: Measured, twin: Measured | undefined): Outcome {
  const { manifest } = prepare(one);
  const judging = { run, kinds: (manifest?.losses ?? []).map((l) => l.kind), givenUp: run.failed === undefined ? givenUp(manifest?.masks ?? []) : new Map<string, number>() };
  const failures = failuresOf(judging, twin);
  const alarms = alarmsOf(one, run);
  const wrong = against(judging);
  const common = { one, run, failures, alarms };
  if (one.verdict === "risky") return { ...common, agrees: undefined, figures: [...new Set([...failures.map((f) => f.figures), ...wrong])] };
  if (one.verdict === "sound") return { ...common, agrees: wrong.length === 0, figures: wrong };
  const wanted = predicted(one.rules);
  const shown = failures.filter((f) => wanted.includes(f.failure));
  return { ...common, agrees: shown.length > 0, figures: shown.map((f) => f.figures) };
}

/** For how many of a batch's pictures each mask only finds positions by keeping what should be taken out of it. */
function givenUp(masks: readonly MaskSpec[]): ReadonlyMap<string, number> {
  const draws = masks.length === 0 ? [] : sampleMasks(masks, { seed: SEEDS[0], step: 0, batch: BATCH });
  return new Map([...draws].map(([name, draw]) => [name, draw.relaxed / BATCH]));
}

/** The outcome over seeds: what most of them say, told with the figures of the first. */
function overSeeds(outcomes: readonly Outcome[]): Outcome | undefined {
  const [first] = outcomes;
  if (first?.agrees === undefined || outcomes.length === 1) return first;
  const yes = outcomes.filter((o) => o.agrees === true).length;
  return { ...first, agrees: yes * 2 > outcomes.length, figures: [...first.figures, `${yes} of ${outcomes.length} seeds as said`] };
}

/** What the compiled monitors say of the recorded numbers; teachers' distances, which are not recorded, from the run itself. */
function alarmsOf(one: Judged, run: Measured): Outcome["alarms"] {
  const { manifest } = prepare(one);
  if (manifest === undefined) return [];
  const monitors = createMonitors({ monitors: manifest.monitors.filter((m) => m.kind !== "teacher-distance") }, run.steps);
  const overlap = Object.fromEntries(run.failed === undefined ? givenUp(manifest.masks) : []);
  const later = looksOf(run.seen);
  // Of the first steps the losses are kept, and of the first the gradients.
  const opening = run.opening.map((losses, at) => ({ step: at + 1, losses, ...(at === 0 ? { gradientNorm: run.gradient } : {}) })).filter(({ step }) => step < (later[0]?.step ?? Infinity));
  return [...[...opening, ...later].map((look) => ({ ...look, overlap })).flatMap((look) => monitors.observe(look)), ...run.alarms.filter((a) => a.monitor === "teacher-distance")].map(({ monitor, subject, step }) => ({ monitor, subject, step }));
}
