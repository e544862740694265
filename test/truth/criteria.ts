/**
 * What counts as failing, for every reason to refuse a program, and what counts as sound.
 *
 * Owns thresholds and their application to measurements; docs/truth.md says the same in words (a test compares the
 * numbers). Relative figures are held against the untrained encoder, or against a sound twin: the program from which the
 * refused one differs in the refused point. Explaining disagreements is `disagreements.ts`.
 */
import type { LossName } from "../../compiler/model/losses.js";
import { isLoss, lossKind } from "../../compiler/model/losses.js";
import type { Judged } from "./corpus.js";
import type { EncoderReading, Measured, Reading, TermReading } from "./measure.js";

/** The ways to fail. */
export type Failure = "constant" | "dead" | "leak" | "idle" | "endless" | "given up";

/** Thresholds; each is a share. */
export const thresholds = {
  /** constant: an encoder's spread over pictures falls below this share of the untrained one. */
  std: 0.5,
  /** constant: the loss of two strangers comes within this share of its way to the minimum that the untrained network had. */
  strangers: 0.1,
  /** constant: strangers lose no more than this share more than two views of one picture. */
  contrast: 0.05,
  /** constant, over tokens only: spread over pictures by spread over tokens falls below this share of the untrained one. */
  ratio: 0.25,
  /** dead: no group has a gradient, and no figure has moved by more than this share. */
  still: 0.01,
  /** constant: an encoder's rank falls below this share of the untrained one. */
  rank: 0.25,
  /** leak: the loss on held-out pictures is below this share of the sound twin's. */
  leak: 0.75,
  /** idle: two views of a picture have not come closer than this share of their untrained distance (of two pictures' distance). */
  idle: 0.9,
  /** idle: no term changes by more than this share of itself when pairs are made strangers. */
  blind: 1e-4,
  /** given up: the share of pictures for which a mask only finds positions by keeping what should be taken out of it. */
  givenUp: 0.5,
} as const;

/** How each refusal shows itself. A refusal counts as confirmed when one of its failures is measured. */
export const failures: Readonly<Record<string, readonly Failure[]>> = {
  "E-SYM": ["constant"],
  "E-NOPRED": ["constant"],
  "E-PRED-FROZEN": ["idle", "constant"],
  "E-PRED-DEAD": ["dead"],
  "E-TARGET-HEAD": ["constant"],
  "E-WRONG-SIDE": ["constant"],
  "E-NOGUARD": ["constant"],
  "E-GUARD-NOGRAD": ["constant"],
  "E-GUARD-AXIS": ["constant"],
  "E-GUARD-SIGN": ["constant"],
  "E-NOATTRACT": ["idle"],
  "E-DEAD": ["dead"],
  "E-ONEHOT": ["constant"],
  "E-UNIFORM": ["constant"],
  "E-UNBALANCED": ["constant"],
  "E-CENTER-NO-EMA": ["constant"],
  "E-WHITEN-RANK": ["constant"],
  "E-NO-CODE": ["constant"],
  "E-REVERSED": ["constant", "idle"],
  "E-BLIND": ["dead", "idle", "constant"],
  "M-LEAK": ["leak"],
  "M-NONTERM": ["endless"],
  "M-CTX-EMPTY": ["endless", "given up"],
  "M-EMPTY-TGT": ["endless", "given up"],
  "M-UNIDENT": ["idle", "constant"],
};

/** A measured failure: which, and the figures. */
export interface Seen {
  readonly failure: Failure;
  readonly figures: string;
}

/** What a run is judged by: the measurement, the kinds of its terms, and its masks. */
export interface Judging {
  readonly run: Measured;
  readonly kinds: readonly string[];
  /** By mask: the share of pictures for which its sampler gave up a set that should have been taken out. */
  readonly givenUp: ReadonlyMap<string, number>;
}

/** All failures that a run shows; `twin` is the sound program it differs from, where there is one. */
export function failuresOf(judging: Judging, twin: Measured | undefined): Seen[] {
  const { run } = judging;
  if (run.failed !== undefined) return [{ failure: "endless", figures: run.failed }];
  return [...constants(judging), ...foreseen(judging), ...dead(run), ...leaks(run, twin), ...idle(run), ...overruns(judging)];
}

/** What speaks against calling a run sound. */
export function against(judging: Judging): string[] {
  const { run } = judging;
  if (run.failed !== undefined) return [run.failed];
  const still = Object.entries(run.gradient).flatMap(([group, norm]) => (norm === 0 && group in run.before.encoders ? [`gradient of ${group} is 0`] : []));
  // Where every encoder tells pictures further apart than before, hidden content has become easy to foresee, not the same.
  const all = pairs(run);
  const healthy = all.length > 0 && all.every(([, before, after]) => after.std >= before.std);
  return [...constants(judging), ...(healthy ? [] : foreseen(judging))].map((s) => s.figures).concat(still);
}

/** Whether a figure that decides lies within a fifth of its threshold: such a program is trained from three seeds. */
export function nearThreshold(run: Measured): boolean {
  const near = (x: number, threshold: number): boolean => x > 0.8 * threshold && x < 1.25 * threshold;
  const spread = pairs(run).some(([, before, after]) => near(after.std / before.std, thresholds.std) || near(after.rank / before.rank, thresholds.rank));
  return spread || attracting(run.before, run.after).some(([kind, before, after]) => {
    const least = lowest(kind);
    return near((after.strangers - least) / (before.strangers - least), thresholds.strangers) || near((after.strangers - after.matched) / (after.strangers - least), thresholds.contrast);
  });
}

/** The failures that the rules of a refused program predict. */
export function predicted(rules: readonly string[]): Failure[] {
  return [...new Set(rules.flatMap((r) => failures[r] ?? []))];
}

function pairs(run: Measured): [string, EncoderReading, EncoderReading][] {
  return Object.entries(run.before.encoders).flatMap(([name, before]): [string, EncoderReading, EncoderReading][] => {
    const after = run.after.encoders[name];
    return after === undefined ? [] : [[name, before, after]];
  });
}

function constants({ run }: Judging): Seen[] {
  const spread = pairs(run).flatMap(([name, before, after]): Seen[] => {
    if (after.std < thresholds.std * before.std) return [{ failure: "constant", figures: `std of ${name} ${before.std.toFixed(3)} -> ${after.std.toFixed(3)}` }];
    if (before.ratio !== undefined && after.ratio !== undefined && after.ratio < thresholds.ratio * before.ratio) return [{ failure: "constant", figures: `pictures/tokens of ${name} ${before.ratio.toFixed(2)} -> ${after.ratio.toFixed(2)}` }];
    return [];
  });
  const ranks = pairs(run).flatMap(([name, before, after]): Seen[] => {
    return after.rank < thresholds.rank * before.rank ? [{ failure: "constant", figures: `rank of ${name} ${before.rank.toFixed(1)} -> ${after.rank.toFixed(1)}` }] : [];
  });
  return [...spread, ...ranks, ...attracting(run.before, run.after).flatMap(([name, before, after]): Seen[] => {
    const least = lowest(after.kind);
    const left = (after.strangers - least) / (before.strangers - least);
    if (left < thresholds.strangers) return [{ failure: "constant", figures: `${name} of strangers ${figure(before.strangers)} -> ${figure(after.strangers)}` }];
    const gap = (after.strangers - after.matched) / (after.strangers - least);
    return gap < thresholds.contrast ? [{ failure: "constant", figures: `${name} is ${figure(after.matched)} for a pair and ${figure(after.strangers)} for strangers` }] : [];
  })];
}

/** The loss of a program of one view and one term, near its minimum: what is hidden cannot be foreseen so well unless it is the same everywhere. */
function foreseen({ run, kinds }: Judging): Seen[] {
  const [kind, ...more] = kinds;
  if (kind === undefined || more.length > 0 || Object.keys(run.after.terms).length > 0 || !isLoss(kind) || !["attract", "classify"].includes(lossKind(kind).role)) return [];
  const { before, after } = run.heldOut;
  const least = lowest(kind);
  return (after - least) / (before - least) < thresholds.strangers ? [{ failure: "constant", figures: `${kind} of hidden content ${figure(before)} -> ${figure(after)}` }] : [];
}

/** Terms that compare two views, where the loss tells how far apart they are. */
function attracting(before: Reading, after: Reading): [LossName, TermReading, TermReading][] {
  return Object.entries(after.terms).flatMap(([name, now]): [LossName, TermReading, TermReading][] => {
    const then = before.terms[name];
    if (then === undefined || !isLoss(now.kind)) return [];
    const { role } = lossKind(now.kind);
    // A term that is the same for strangers before training does not compare the views at all.
    const compares = Math.abs(then.strangers - then.matched) > 1e-3 * Math.abs(then.strangers - lowest(now.kind));
    return (role === "attract" || role === "classify" || role === "contrast") && compares ? [[now.kind, then, now]] : [];
  });
}

function lowest(kind: string): number {
  return kind === "negative_cosine" ? -1 : 0;
}

function dead(run: Measured): Seen[] {
  const all = pairs(run);
  const stays = (x: number, y: number): boolean => Math.abs(y - x) <= thresholds.still * x;
  // Weight decay alone may shrink what no gradient reaches.
  if (Object.keys(run.gradient).length === 0 && all.length > 0 && all.every(([, before, after]) => stays(before.std, after.std) && stays(before.rank, after.rank))) {
    return [{ failure: "dead", figures: "nothing has moved but by weight decay" }];
  }
  return Object.entries(run.gradient).flatMap(([group, norm]): Seen[] => (norm === 0 ? [{ failure: "dead", figures: `gradient of ${group} is 0` }] : []));
}

function leaks(run: Measured, twin: Measured | undefined): Seen[] {
  if (twin === undefined) return [];
  const share = run.heldOut.after / twin.heldOut.after;
  return share < thresholds.leak ? [{ failure: "leak", figures: `loss ${figure(run.heldOut.after)}, ${figure(share)} of ${twin.id}'s` }] : [];
}

function overruns({ givenUp }: Judging): Seen[] {
  return [...givenUp].flatMap(([mask, share]): Seen[] =>
    share > thresholds.givenUp ? [{ failure: "given up", figures: `the sampler of ${mask} gives up what should be taken out in ${figure(100 * share)} % of pictures` }] : []);
}

function idle(run: Measured): Seen[] {
  const terms = [...Object.values(run.before.terms), ...Object.values(run.after.terms)];
  if (terms.length > 0 && terms.every((t) => Math.abs(t.strangers - t.matched) <= thresholds.blind * Math.abs(t.matched))) return [{ failure: "idle", figures: "no term tells a pair of views from strangers" }];
  const all = pairs(run).flatMap(([name, before, after]) => (before.views === undefined || after.views === undefined ? [] : [{ name, before: before.views, after: after.views }]));
  return all.length > 0 && all.every((v) => v.after > thresholds.idle * v.before)
    ? all.map((v): Seen => ({ failure: "idle", figures: `two views of a picture are ${figure(v.before)} -> ${figure(v.after)} of two pictures apart for ${v.name}` })) : [];
}

/** Sound twins of films, by the refused program: each has the same loss of the same target. */
const twinsOfFilms: Readonly<Record<string, string>> = { U620: "U1063", U621: "U603", U624: "U623" };

/** The sound program that a refused one is held against. */
export function twinOf(one: Judged): string | undefined {
  return one.rules.includes("M-LEAK") ? (twinsOfFilms[one.id] ?? "C084") : undefined;
}

export function figure(x: number): string {
  return Math.abs(x) < 1e-3 && x !== 0 ? x.toExponential(1) : String(Number(x.toPrecision(3)));
}
