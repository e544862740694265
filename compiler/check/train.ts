/**
 * `train { }`: from settings to the configuration of a run.
 *
 * Owns the table of settings, their defaults (the published I-JEPA recipe where it says one) and their diagnostics. The
 * result is the runtime's own type, so that what is checked here is what runs. Probes are `probes.ts`'s.
 */
import { own } from "../base/own.js";
import type { Span } from "../base/span.js";
import { didYouMean } from "../messages/did-you-mean.js";
import { report } from "../messages/report.js";
import type { Diagnostic, Diagnostics, ReportExtras } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import { printExpr } from "../syntax/print.js";
import type { DataConfig, Duration, ProbeSpec, TrainConfig } from "../../runtime/abi.js";
import type { BodyCx, Env } from "./body.js";
import { createBody } from "./body.js";
import { named, wordOf } from "./calls.js";
import { evaluate } from "./expr.js";
import { createTaken, placeOf } from "./given.js";
import type { Encoders } from "./probes.js";
import { readProbes } from "./probes.js";
import type { Program } from "./program.js";
import { asCount, asNumber, asSchedule, bounds } from "./static.js";
import type { Transforms } from "./transforms.js";
import { inBlock, readTransforms } from "./transforms.js";
import { describe } from "./values.js";
import type { Static, Value } from "./values.js";

/** A run as the program describes it. */
export interface CheckedTraining {
  readonly train: TrainConfig;
  /** Augmentation of inputs that have no `view` of their own. */
  readonly transforms: Transforms;
  readonly probes: readonly ProbeSpec[];
}

/** Seeds go from 0 to this. */
export const maxSeed = 2 ** 31 - 1;

type Draft = { -readonly [K in keyof TrainConfig]: TrainConfig[K] };

const constant = (value: number): TrainConfig["learningRate"] => ({ kind: "constant", points: [value], warmup: undefined, stretch: 1 });

/** Mean and deviation of ImageNet's pixels in red, green and blue, and of their luma: the mean exactly, the deviation as far as colors rise and fall together. */
const ofColor = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const ofGray = { mean: [0.459], std: [0.226] } as const;

/** Mean and deviation where the program gives none: ImageNet's, of its luma for gray pictures, and of other bands, of which nothing is known, half and a quarter of white. */
function normalizationOf(channels: number | undefined): Pick<TrainConfig, "mean" | "std"> {
  if (channels === 1) return ofGray;
  if (channels === undefined || channels === 3) return ofColor;
  return { mean: Array.from({ length: channels }, () => 0.5), std: Array.from({ length: channels }, () => 0.25) };
}

/** Reads all settings; every mistake is reported, and the rest keeps its meaning. `channels` are those of the program's pictures. */
export function checkTraining(program: Program, params: ReadonlyMap<string, Static>, encoders: Encoders, channels: number | undefined, diagnostics: Diagnostics): CheckedTraining {
  const env: Env = {
    modules: new Map(), funcs: new Map(), faults: new Map(), params: new Map(), lacking: program.lacking, funcNames: new Set(), positional: new Set(), masks: new Map(), gridOrigins: new Map(), instances: new Map(),
    spaces: new Map(), inputs: new Map(), views: new Map(), active: [], tableGrid: { first: undefined }, isLibrary: () => false, budget: { nodes: 0 }, told: new Set(), later: new Set(),
    unknown: new Map(), mentions: new Map(), lost: program.lost, guesses: { count: 0 },
  };
  const cx = createBody(env, diagnostics, "model");
  for (const [name, value] of params) cx.scope.set(name, { kind: "static", value });
  const draft: Draft = {
    data: { kind: "synthetic", count: 4096 }, duration: { unit: "epochs", value: 1 }, batch: 64, seed: 0,
    optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.999, eps: 1e-8 }, learningRate: constant(1e-3), weightDecay: constant(0.05),
    gradientClip: undefined, checkpointEvery: { unit: "epochs", value: 1 },
    ...normalizationOf(channels), onCollapse: "warn",
  };
  const state: State = { cx, draft, channels, transforms: [] };
  if (program.settings.length === 0 && !program.lacking) diagnostics.add(report("JEP6003", program.span, { name: program.name }));
  const seen = new Map<string, ast.Setting>();
  for (const setting of program.settings) {
    const name = setting.name.text;
    // No word could be read, and that has been told.
    if (name === "") continue;
    const first = seen.get(name);
    if (first !== undefined) {
      diagnostics.add(report("JEP2002", setting.name.span, { name }, { help: "Keep one of the two lines.", related: [{ span: first.span, message: "said first here" }] }));
      continue;
    }
    seen.set(name, setting);
    const other = name === "epochs" ? seen.get("steps") : name === "steps" ? seen.get("epochs") : undefined;
    if (other !== undefined) {
      diagnostics.add(report("JEP6015", setting.span, { first: other.name.text, second: name }, { related: [{ span: other.span, message: "said first here" }] }));
      continue;
    }
    const read = own(settings, name);
    if (read === undefined) {
      const known = Object.keys(settings);
      diagnostics.add(report("JEP6005", setting.name.span, { name }, didYouMean(name, known, setting.name.span, `Settings are ${known.join(", ")}.`)));
    } else read(state, setting);
  }
  const rate = seen.get("learning_rate");
  if (rate !== undefined) checkRate(draft, rate.span, diagnostics);
  return { train: draft, transforms: state.transforms, probes: readProbes(cx, program.probes, encoders) };
}

/** A rate with which nothing is learned, or which the run's end keeps from its peak. */
function checkRate({ learningRate, duration, data, batch }: Draft, at: Span, diagnostics: Diagnostics): void {
  if (learningRate.points.every((p) => p === 0)) diagnostics.add(report("JEP6016", at, {}));
  const { warmup } = learningRate;
  if (warmup === undefined) return;
  const perEpoch = "count" in data ? Math.floor(data.count / batch) : undefined;
  const one = warmup.unit === duration.unit ? 1 : perEpoch;
  // As one unit: epochs of pictures that a folder holds are not known here.
  const inUnit = (d: Duration): number => (one === undefined ? NaN : d.unit === "epochs" ? d.value * one : d.value);
  if (inUnit(warmup) > inUnit(duration)) diagnostics.add(report("JEP6017", at, { warmup: lengthOf(warmup), run: lengthOf(duration) }));
}

function lengthOf({ value, unit }: Duration): string {
  return `${value} ${value === 1 ? unit.slice(0, -1) : unit}`;
}

interface State {
  readonly cx: BodyCx;
  readonly draft: Draft;
  readonly channels: number | undefined;
  transforms: Transforms;
}

type Reader = (state: State, setting: ast.Setting) => void;

/** Names of all settings. */
export function settingNames(): readonly string[] {
  return Object.keys(settings);
}

function value(state: State, setting: ast.Setting): { value: Value; expr: ast.Expr } | undefined {
  const expr = setting.values[0];
  if (expr === undefined || setting.values.length > 1) {
    state.cx.diagnostics.add(report("JEP6006", setting.span, { name: setting.name.text, found: setting.values.length }));
    return undefined;
  }
  return expr.kind === "hole" ? undefined : { value: evaluate(state.cx, expr), expr };
}

const numberSetting = (low: number, high: number, whole: boolean, write: (draft: Draft, n: number) => void): Reader => (state, setting) => {
  const got = value(state, setting);
  if (got === undefined) return;
  const n = whole
    ? asCount(got.value, `\`${setting.name.text}\``, got.expr.span, state.cx.diagnostics, low, high)
    : asNumber(got.value, `\`${setting.name.text}\``, got.expr.span, state.cx.diagnostics);
  if (n === undefined) return;
  if (n >= low && n <= high) write(state.draft, n);
  else state.cx.diagnostics.add(report("JEP2011", got.expr.span, { what: `\`${setting.name.text}\``, bounds: bounds(low, high), found: n }));
};

const scheduleSetting = (low: number, write: (draft: Draft, s: TrainConfig["learningRate"]) => void): Reader => (state, setting) => {
  const got = value(state, setting);
  if (got === undefined) return;
  const schedule = asSchedule(got.value, `\`${setting.name.text}\``, got.expr.span, state.cx.diagnostics);
  if (schedule === undefined) return;
  if (schedule.points.every((p) => p >= low)) write(state.draft, schedule);
  else state.cx.diagnostics.add(report("JEP2011", got.expr.span, { what: `every value of \`${setting.name.text}\``, bounds: `a number of at least ${low}`, found: Math.min(...schedule.points) }));
};

/** A length of time; `only` where its word says the unit, and a number with another one says two things at once. */
const durationSetting = (write: (draft: Draft, d: Duration) => void, fallback: Duration["unit"], only = false): Reader => (state, setting) => {
  const got = value(state, setting);
  if (got === undefined || got.value.kind === "poison") return;
  const name = setting.name.text;
  const bare = got.value.kind === "static" && typeof got.value.value === "number" && got.value.written === undefined ? got.value.value : undefined;
  const d: Duration | undefined = got.value.kind === "duration" ? { unit: got.value.unit, value: got.value.value } : bare === undefined ? undefined : { unit: fallback, value: bare };
  const wrong = (expected: string, extras: ReportExtras = {}): void => state.cx.diagnostics.add(report("JEP2010", got.expr.span, { what: `\`${name}\``, expected, found: describe(got.value) }, extras));
  if (d === undefined) wrong(only ? `a number of ${fallback}` : "a duration such as 10 epochs");
  else if (only && d.unit !== fallback) wrong(`a number of ${fallback}`, { help: `Write \`${d.unit} ${d.value}\`, or give the number of ${fallback}.` });
  else if (!(d.value > 0 && d.value <= 1e9)) state.cx.diagnostics.add(report("JEP2011", got.expr.span, { what: `\`${name}\``, bounds: "a number above 0 and up to 1000000000", found: d.value }));
  else if (d.unit === "steps" && !Number.isInteger(d.value)) wrong("a whole number of steps");
  else write(state.draft, d);
};

const wordSetting = <W extends string>(words: readonly W[], write: (draft: Draft, w: W) => void): Reader => (state, setting) => {
  const expr = setting.values[0];
  const text = expr?.kind === "ref" ? expr.name : expr?.kind === "string" ? expr.value : undefined;
  const word = words.find((w) => w === text);
  if (word !== undefined) write(state.draft, word);
  else state.cx.diagnostics.add(report("JEP2010", setting.span, { what: `\`${setting.name.text}\``, expected: words.map((w) => `\`${w}\``).join(" or "), found: text !== undefined ? `\`${text}\`` : expr === undefined ? "nothing" : `\`${printExpr(expr)}\`` }));
};

const isNone = (expr: ast.Expr | undefined): boolean => expr?.kind === "ref" && expr.name === "none";
const clip = numberSetting(1e-9, 1e9, false, (draft, n) => { draft.gradientClip = n; });

const optimizers: Readonly<Record<string, readonly string[]>> = { adamw: ["beta1", "beta2", "eps"], sgd: ["momentum"], lars: ["momentum", "trust"] };

/** Arguments of what settings are given: data and optimizers. */
export const settingArguments: Readonly<Record<string, readonly string[]>> = { ...optimizers, images: ["bands", "on_corrupt", "on_small"], videos: ["every", "bands", "on_corrupt", "on_small", "on_short"], arrays: ["on_corrupt", "on_small"], shapes: ["count"], waves: ["count"] };

/** The words of a source's arguments that choose from some. */
export const sourceChoices = { on_corrupt: ["skip", "refuse"], on_small: ["scale", "skip", "refuse"], on_short: ["skip", "refuse"] } as const;

/** Settings that take one of some words, alone or with arguments behind it. */
export const settingChoices = { data: ["images", "videos", "arrays", "shapes", "waves"], optimizer: Object.keys(optimizers), recompute: ["blocks"], on_collapse: ["warn", "stop"] } as const;

const settings: Readonly<Record<string, Reader>> = {
  data: readData,
  epochs: durationSetting((draft, d) => { draft.duration = d; }, "epochs", true),
  steps: durationSetting((draft, d) => { draft.duration = d; }, "steps", true),
  batch: numberSetting(1, 1 << 20, true, (draft, n) => { draft.batch = n; }),
  accumulate: numberSetting(1, 1 << 16, true, (draft, n) => { draft.accumulate = n; }),
  recompute: wordSetting(settingChoices.recompute, (draft, word) => { draft.recompute = word; }),
  seed: numberSetting(0, maxSeed, true, (draft, n) => { draft.seed = n; }),
  optimizer: readOptimizer,
  learning_rate: scheduleSetting(0, (draft, s) => { draft.learningRate = s; }),
  weight_decay: scheduleSetting(0, (draft, s) => { draft.weightDecay = s; }),
  gradient_clip: (state, setting) => {
    // What a variant has of its base it must be able to leave.
    if (setting.values.length === 1 && isNone(setting.values[0])) state.draft.gradientClip = undefined;
    else clip(state, setting);
  },
  checkpoint_every: durationSetting((draft, d) => { draft.checkpointEvery = d; }, "epochs"),
  on_collapse: wordSetting(settingChoices.on_collapse, (draft, w) => { draft.onCollapse = w; }),
};

function readData(state: State, setting: ast.Setting): void {
  const expr = setting.values[0];
  const call = expr === undefined ? undefined : named(expr);
  const { cx } = state;
  if (call === undefined || !isData(call.name)) {
    cx.diagnostics.add(report("JEP6007", setting.span, {}, expr === undefined || call === undefined ? {} : didYouMean(call.name, settingChoices.data, wordOf(expr))));
    return;
  }
  const data = call.name === "shapes" || call.name === "waves" ? readGenerated(cx, call.name, call.args) : readFolder(cx, call.name, call.args);
  state.draft.data = data;
  if (isNumbers(data)) Object.assign(state.draft, asTheyStand(state.channels));
  const block = [...call.block, ...(setting.block ?? [])];
  const colors = block.flatMap((e) => {
    const c = named(e);
    return c?.name === "normalize" ? [c] : [];
  });
  for (const c of colors) readNormalize(state, c.args);
  if (data.kind === "arrays" && colors.length === 0) cx.diagnostics.add(report("JEP6028", expr?.span ?? setting.span, {}));
  state.transforms = readTransforms(cx, inBlock(block).filter(({ expr }) => named(expr)?.name !== "normalize"), state.channels);
}

function isData(name: string): name is (typeof settingChoices.data)[number] {
  return (settingChoices.data as readonly string[]).includes(name);
}

/** Whether data are numbers, with no black and no white. */
export function isNumbers({ kind }: Pick<DataConfig, "kind">): boolean {
  return kind === "arrays" || kind === "waves";
}

/** Numbers have no scale that one could know. */
function asTheyStand(channels = 1): Pick<TrainConfig, "mean" | "std"> {
  return { mean: Array.from({ length: channels }, () => 0), std: Array.from({ length: channels }, () => 1) };
}

/** What lies in files. */
type Filed = "images" | "videos" | "arrays";

/** A folder of pictures, of films, or of arrays. */
function readFolder(cx: BodyCx, kind: Filed, args: readonly ast.Arg[]): DataConfig {
  let path = "";
  let bands: readonly number[] | undefined;
  let every = 1;
  let onCorrupt: "skip" | "refuse" = "skip";
  // Signals that are stretched are other signals.
  let onSmall: "scale" | "skip" | "refuse" = kind === "arrays" ? "refuse" : "scale";
  let onShort: "skip" | "refuse" = "skip";
  const films = kind === "videos";
  const taken = createTaken(kind, cx.diagnostics);
  for (const arg of args) {
    const key = arg.name?.text ?? "path";
    if (!taken.take(key, placeOf(arg))) continue;
    const text = arg.value.kind === "string" ? arg.value.value : arg.value.kind === "ref" ? arg.value.name : undefined;
    if (key === "path" && arg.value.kind === "string") path = arg.value.value;
    else if (key === "bands" && kind !== "arrays") bands = readBands(cx, arg.value);
    else if (key === "every" && films) every = asCount(evaluate(cx, arg.value), "`every`", arg.span, cx.diagnostics, 1, 1e6) ?? every;
    else if (key === "on_corrupt" && (text === "skip" || text === "refuse")) onCorrupt = text;
    else if (key === "on_small" && (text === "scale" || text === "skip" || text === "refuse")) onSmall = text;
    else if (key === "on_short" && films && (text === "skip" || text === "refuse")) onShort = text;
    else cx.diagnostics.add(badFolder(kind, key, arg));
  }
  const some = bands === undefined ? {} : { bands };
  if (kind === "arrays") return { kind, path, onCorrupt, onSmall };
  return kind === "videos" ? { kind, path, every, onCorrupt, onSmall, onShort, ...some } : { kind, path, onCorrupt, onSmall, ...some };
}

/** What is wrong with an argument of a folder: one that it has not, or a value that it does not take. */
function badFolder(kind: Filed, key: string, { name, value, span }: ast.Arg): Diagnostic {
  const { on_corrupt, on_small, on_short } = sourceChoices;
  const words: Readonly<Record<string, readonly string[]>> = { on_corrupt, on_small, ...(kind === "videos" ? { on_short } : {}) };
  const list = (of: readonly string[]): string => `${of.slice(0, -1).map((word) => `\`${word}\``).join(", ")} or \`${of.at(-1) ?? ""}\``;
  const found = `\`${printExpr(value)}\``;
  if (key === "path") {
    const { file, start, end } = value.span;
    const edits = [{ span: { file, start, end: start }, text: "\"" }, { span: { file, start: end, end }, text: "\"" }];
    return report("JEP2010", value.span, { what: `the path of \`${kind}\``, expected: "a text in double quotes", found }, value.kind === "ref" ? { fixes: [{ title: "put it in quotes", edits }] } : {});
  }
  const known = own(words, key);
  if (known !== undefined) return report("JEP2010", value.span, { what: `\`${key}\``, expected: list(known), found }, value.kind === "ref" ? didYouMean(value.name, known, value.span) : {});
  const names = ["path", ...(kind === "arrays" ? [] : ["bands"]), ...(kind === "videos" ? ["every"] : []), ...Object.keys(words)];
  return report("JEP2004", name?.span ?? span, { callee: kind, name: key, known: names.map((n) => `\`${n}\``).join(", ") }, didYouMean(key, names, name?.span ?? span));
}

/** Numbers of bands, from 1 on; undefined where they are none, which is reported. */
function readBands(cx: BodyCx, expr: ast.Expr): readonly number[] | undefined {
  const value = evaluate(cx, expr);
  if (value.kind === "poison") return undefined;
  const numbers = value.kind === "list" ? value.items.map((item) => (item.kind === "static" && typeof item.value === "number" ? item.value : NaN)) : [];
  if (numbers.length > 0 && numbers.every((n) => Number.isInteger(n) && n >= 1)) return numbers;
  cx.diagnostics.add(report("JEP2010", expr.span, { what: "`bands`", expected: "a list of whole numbers from 1 on, such as `[4, 3, 2]`", found: describe(value) }));
  return undefined;
}

function readGenerated(cx: BodyCx, word: "shapes" | "waves", args: readonly ast.Arg[]): DataConfig {
  let count = 4096;
  const taken = createTaken(word, cx.diagnostics);
  for (const arg of args) {
    const key = arg.name?.text ?? "count";
    if (!taken.take(key, placeOf(arg))) continue;
    if (key !== "count") cx.diagnostics.add(report("JEP2004", arg.name?.span ?? arg.span, { callee: word, name: key, known: "`count`" }));
    else count = asCount(evaluate(cx, arg.value), "`count`", arg.span, cx.diagnostics, 1, 1e8) ?? count;
  }
  return { kind: word === "waves" ? word : "synthetic", count };
}

function readNormalize(state: State, args: readonly ast.Arg[]): void {
  const taken = createTaken("normalize", state.cx.diagnostics);
  for (const arg of args) {
    if (arg.name !== undefined && !taken.take(arg.name.text, placeOf(arg))) continue;
    const list = evaluate(state.cx, arg.value);
    const numbers = list.kind === "list" ? list.items.flatMap((v) => (v.kind === "static" && typeof v.value === "number" ? [v.value] : [])) : [];
    const key = arg.name?.text;
    const { channels } = state;
    if ((key !== "mean" && key !== "std") || numbers.length === 0 || (key === "std" && !numbers.every((n) => n > 0))) {
      const each = channels === 1 ? "[gray]" : channels === undefined || channels === 3 ? "[r, g, b]" : `[… ${channels} values]`;
      state.cx.diagnostics.add(report("JEP2010", arg.span, { what: "`normalize`", expected: `\`mean: ${each}\` and \`std: ${each}\` above 0`, found: describe(list) }));
    } else if (channels !== undefined && numbers.length !== channels) {
      state.cx.diagnostics.add(report("JEP6020", arg.span, { name: key, found: numbers.length, channels }));
    } else state.draft[key] = numbers;
  }
}

function readOptimizer(state: State, setting: ast.Setting): void {
  const expr = setting.values[0];
  const call = expr === undefined ? undefined : named(expr);
  const formals = call === undefined ? undefined : own(optimizers, call.name);
  const { cx } = state;
  if (call === undefined || formals === undefined) {
    const at = expr === undefined ? setting.span : wordOf(expr);
    cx.diagnostics.add(report("JEP6008", at, { known: Object.keys(optimizers).join(", ") }, didYouMean(call?.name ?? "", Object.keys(optimizers), at)));
    return;
  }
  const given = new Map<string, number>();
  const taken = createTaken(call.name, cx.diagnostics);
  for (const arg of call.args) {
    const key = arg.name?.text ?? formals.find((f) => !taken.has(f)) ?? "";
    if (key === "") {
      cx.diagnostics.add(report("JEP2006", expr?.span ?? setting.span, { callee: call.name, most: formals.length, found: call.args.length }));
      break;
    }
    if (!taken.take(key, placeOf(arg))) continue;
    const n = asNumber(evaluate(cx, arg.value), `\`${key}\``, arg.span, cx.diagnostics);
    if (!formals.includes(key)) cx.diagnostics.add(report("JEP2004", arg.name?.span ?? arg.span, { callee: call.name, name: key, known: formals.map((f) => `\`${f}\``).join(", ") }));
    else if (n !== undefined && (n < 0 || (key !== "eps" && key !== "trust" && n >= 1))) cx.diagnostics.add(report("JEP2011", arg.span, { what: `\`${key}\``, bounds: key === "eps" || key === "trust" ? "a number of at least 0" : "a number of at least 0 and below 1", found: n }));
    else if (n !== undefined) given.set(key, n);
  }
  if (call.name === "sgd") state.draft.optimizer = { kind: "sgd", momentum: given.get("momentum") ?? 0.9 };
  else if (call.name === "lars") state.draft.optimizer = { kind: "lars", momentum: given.get("momentum") ?? 0.9, trust: given.get("trust") ?? 1e-3 };
  else state.draft.optimizer = { kind: "adamw", beta1: given.get("beta1") ?? 0.9, beta2: given.get("beta2") ?? 0.999, eps: given.get("eps") ?? 1e-8 };
}
