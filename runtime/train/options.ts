/**
 * The options of a trainer's command line.
 *
 * Owns the table of options, the reading of `argv` into plain data, the help text that is printed from the same table, and
 * the check of options that a program gives as data. A word that is not an option, or a value that is not what an option takes, is a `HostError` "usage" with the
 * nearest option in its help; nothing is guessed.
 */
import type { Manifest } from "../abi.js";
import { HostError } from "../base/errors.js";
import type { Which } from "./checkpoint-store.js";
import { CHECKPOINT_MINUTES } from "./pace.js";

/** Engines a person can ask for. */
export const ENGINE_CHOICES = ["auto", "tfjs-node-gpu", "tfjs-node", "wasm", "cpu", "webgpu"] as const;

/** One of them. */
export type EngineChoice = (typeof ENGINE_CHOICES)[number];

/** What a run can be told. Everything is optional: the program has a value for each. */
export interface TrainerOptions {
  readonly data?: string;
  readonly evalData?: string;
  readonly engine?: EngineChoice;
  readonly out?: string;
  readonly resume?: Which;
  readonly otherSource?: boolean;
  readonly steps?: number;
  readonly epochs?: number;
  readonly batch?: number;
  /** By module, the file or folder that its trained weights are in; instead of what the program says. */
  readonly pretrained?: Readonly<Record<string, string>>;
  readonly seed?: number;
  readonly workers?: number;
  /** Processes that share each batch. */
  readonly replicas?: number;
  /** Minutes after which a checkpoint is written, beside those of the program; 0 leaves it at those. */
  readonly checkpointMinutes?: number;
  readonly probe?: boolean;
  readonly report?: boolean;
  /** Steps to look at, as wholes and again dispatch by dispatch. */
  readonly profile?: number;
  readonly quiet?: boolean;
  readonly help?: boolean;
}

/** Reads the words after the program's name. Throws `HostError` "usage". */
export function parseOptions(argv: readonly string[]): TrainerOptions {
  let options: TrainerOptions = {};
  for (let at = 0; at < argv.length; at++) {
    const { name, inline } = splitWord(argv[at] ?? "");
    const option = TRAINER_OPTIONS.find((candidate) => candidate.name === name);
    if (option === undefined) throw unknownOption(argv[at] ?? "");
    if (option.value === undefined && inline !== undefined) throw usage(`${name} takes no value`);
    const next = inline ?? argv[at + 1];
    const takes = option.value !== undefined && next !== undefined && (inline !== undefined || !next.startsWith("--"));
    const value = takes && (option.optional === undefined || inline !== undefined || option.optional.includes(next)) ? next : undefined;
    if (value !== undefined && inline === undefined) at += 1;
    if (option.value !== undefined && option.optional === undefined && (value === undefined || value === "")) throw usage(`${name} needs a value: ${name} ${option.value}`);
    options = { ...options, ...option.read(value ?? "") };
  }
  if (options.steps !== undefined && options.epochs !== undefined) throw usage("--steps and --epochs say the same thing twice");
  return options;
}

/** What an option takes as data, in words and as a test. */
interface Kind {
  readonly words: string;
  takes(value: unknown): boolean;
}

const text: Kind = { words: "a path that is not empty", takes: (value) => typeof value === "string" && value !== "" };
const flag: Kind = { words: "true or false", takes: (value) => typeof value === "boolean" };
const from = (least: number): Kind => ({ words: `a whole number from ${least}`, takes: (value) => Number.isSafeInteger(value) && Number(value) >= least });
const oneOf = (words: readonly string[]): Kind => ({ words: `one of ${words.join(", ")}`, takes: (value) => words.some((word) => word === value) });

const KINDS: Readonly<Record<keyof TrainerOptions, Kind>> = {
  data: text, evalData: text, out: text, engine: oneOf(ENGINE_CHOICES), resume: oneOf(["latest", "previous"]), otherSource: flag, steps: from(1),
  epochs: { words: "a number above 0", takes: (value) => typeof value === "number" && Number.isFinite(value) && value > 0 },
  pretrained: { words: "a path for each module", takes: (value) => typeof value === "object" && value !== null && Object.values(value).every((path) => typeof path === "string" && path !== "") },
  checkpointMinutes: { words: "a number from 0", takes: (value) => typeof value === "number" && Number.isFinite(value) && value >= 0 },
  batch: from(1), seed: from(0), workers: from(0), replicas: from(1), probe: flag, report: flag, profile: from(1), quiet: flag, help: flag,
};

/** Refuses options of a library call that are none, or not what they take. Throws `HostError` "usage" with the option's name. */
export function checkOptions(options: TrainerOptions): void {
  const kinds = new Map<string, Kind>(Object.entries(KINDS));
  for (const [name, value] of Object.entries(options)) {
    const kind = kinds.get(name);
    if (kind === undefined) throw usage(`there is no option ${name}`, `options: ${[...kinds.keys()].join(", ")}`);
    if (value !== undefined && !kind.takes(value)) throw usage(`${name} takes ${kind.words}, not ${JSON.stringify(value)}`, "give it so, or leave it away");
  }
  if (options.steps !== undefined && options.epochs !== undefined) throw usage("steps and epochs say the same thing twice", "give one of them");
}

/** The engine of a name. Throws `HostError` "usage". */
export function engineChoice(value: string): EngineChoice {
  const found = ENGINE_CHOICES.find((engine) => engine === value);
  if (found === undefined) throw usage(`there is no engine ${value}`, `engines: ${ENGINE_CHOICES.join(", ")}`);
  return found;
}

/** Refuses an engine that does not run what is compiled for a target. Throws `HostError` "no-engine". */
export function checkEngineRuns(target: Manifest["target"], engine: EngineChoice = "auto"): void {
  if (engine !== "auto" && (engine === "webgpu") !== (target === "wgsl")) throw wrongEngine(target, engine);
}

/** What is said of an engine of the other target. */
export function wrongEngine(target: Manifest["target"], engine: EngineChoice): HostError {
  const other = target === "wgsl" ? "tfjs" : "wgsl";
  return new HostError("no-engine", `${engine} runs programs that are compiled for ${other}, and this one is for ${target}`, `compile it with --target ${other}, or leave --engine away`);
}

/** The help text. */
export function optionsHelp(program: string): string {
  const words = TRAINER_OPTIONS.map((option) => `${option.name}${option.value === undefined ? "" : ` ${option.value}`}`);
  const width = Math.max(...words.map((word) => word.length));
  return [`Trains ${program}.`, "", ...TRAINER_OPTIONS.map((option, i) => `  ${(words[i] ?? "").padEnd(width)}  ${option.help}`)].join("\n");
}

/** One option of the command line. */
export interface TrainerOption {
  readonly name: string;
  /** The value in help texts; absent for a switch. */
  readonly value?: string;
  /** The values it takes when a value may be left out. */
  readonly optional?: readonly string[];
  readonly help: string;
  read(value: string): TrainerOptions;
}

/** Steps that a profile looks at unless told otherwise. */
const PROFILED = 8;

/** The options, in the order of the help text. */
export const TRAINER_OPTIONS: readonly TrainerOption[] = [
  { name: "--data", value: "<folder>", help: "pictures or films to train on (class sub-folders are their labels)", read: (data) => ({ data }) },
  { name: "--eval-data", value: "<folder>", help: "labelled pictures to test the probes on", read: (evalData) => ({ evalData }) },
  { name: "--engine", value: "<name>", help: `${ENGINE_CHOICES.join(", ")} (auto takes the fastest that is here)`, read: (value) => ({ engine: engineChoice(value) }) },
  { name: "--out", value: "<folder>", help: "the run folder: metrics, checkpoints, probe, report (runs/<program>)", read: (out) => ({ out }) },
  { name: "--resume", value: "[previous]", optional: ["latest", "previous"], help: "go on from the latest checkpoint of the run folder, or the one before", read: (value) => ({ resume: which(value) }) },
  { name: "--other-source", help: "resume although the program's text has changed", read: () => ({ otherSource: true }) },
  { name: "--steps", value: "<n>", help: "length of the run in steps", read: (value) => ({ steps: whole("--steps", value, 1) }) },
  { name: "--epochs", value: "<n>", help: "length of the run in epochs", read: (value) => ({ epochs: positive("--epochs", value) }) },
  { name: "--batch", value: "<n>", help: "images per step", read: (value) => ({ batch: whole("--batch", value, 1) }) },
  { name: "--pretrained", value: "<module=path>", help: "where weights of a pretrained module are, if not where the program says (several with commas)", read: (value) => ({ pretrained: placesOf(value) }) },
  { name: "--seed", value: "<n>", help: "seed of every random draw", read: (value) => ({ seed: whole("--seed", value, 0) }) },
  { name: "--workers", value: "<n>", help: "threads that load pictures (0 loads in the main thread)", read: (value) => ({ workers: whole("--workers", value, 0) }) },
  { name: "--replicas", value: "<n>", help: "tfjs: processes that share each batch, with one mean of gradients (as many as help, up to four)", read: (value) => ({ replicas: whole("--replicas", value, 1) }) },
  { name: "--checkpoint-minutes", value: "<n>", help: `minutes after which a checkpoint is written, beside those of the program (${CHECKPOINT_MINUTES}; 0 for those alone)`, read: (value) => ({ checkpointMinutes: minutes(value) }) },
  { name: "--probe", help: "probe the encoder at the end (the default)", read: () => ({ probe: true }) },
  { name: "--no-probe", help: "do not", read: () => ({ probe: false }) },
  { name: "--report", help: "write report.html at the end (the default)", read: () => ({ report: true }) },
  { name: "--no-report", help: "do not", read: () => ({ report: false }) },
  { name: "--profile", value: "[steps]", optional: [`${PROFILED}`], help: "wgsl: time of every kernel against the device's ceilings; --profile=20 looks at 20 steps", read: (value) => ({ profile: whole("--profile", value === "" ? `${PROFILED}` : value, 1) }) },
  { name: "--quiet", help: "no progress", read: () => ({ quiet: true }) },
  { name: "--help", help: "this text", read: () => ({ help: true }) },
];

/** `teacher=weights.safetensors,other=runs/other`. */
function placesOf(value: string): Record<string, string> {
  return Object.fromEntries(value.split(",").map((word) => {
    const at = word.indexOf("=");
    if (at < 1 || at === word.length - 1) throw usage(`--pretrained takes <module=path>, not ${JSON.stringify(word)}`, "name the module of the program and the file or folder: --pretrained teacher=weights.safetensors");
    return [word.slice(0, at), word.slice(at + 1)];
  }));
}

function splitWord(word: string): { name: string; inline: string | undefined } {
  const at = word.indexOf("=");
  return word.startsWith("--") && at > 0 ? { name: word.slice(0, at), inline: word.slice(at + 1) } : { name: word, inline: undefined };
}

function usage(message: string, help = "run with --help for all options"): HostError {
  return new HostError("usage", message, help);
}

function unknownOption(word: string): HostError {
  const name = splitWord(word).name;
  const near = TRAINER_OPTIONS.map((option) => ({ name: option.name, apart: distance(option.name, name.startsWith("--") ? name : `--${name}`) })).sort((a, b) => a.apart - b.apart)[0];
  return usage(`there is no option ${name}`, near !== undefined && near.apart <= 3 ? `did you mean ${near.name}? (--help lists all)` : undefined);
}

function which(value: string): Which {
  if (value !== "" && value !== "latest" && value !== "previous") throw usage(`--resume takes latest or previous, not ${value}`);
  return value === "previous" ? "previous" : "latest";
}

function whole(name: string, value: string, least: number): number {
  const number = Number(value);
  if (!/^\d+$/.test(value) || !Number.isSafeInteger(number) || number < least) throw usage(`${name} takes a whole number from ${least}, not ${value}`);
  return number;
}

function positive(name: string, value: string): number {
  const number = Number(value);
  if (value.trim() === "" || !Number.isFinite(number) || number <= 0) throw usage(`${name} takes a number above 0, not ${value}`);
  return number;
}

function minutes(value: string): number {
  const number = Number(value);
  if (value.trim() === "" || !Number.isFinite(number) || number < 0) throw usage(`--checkpoint-minutes takes a number from 0, not ${value}`, "give minutes, such as 10 or 0.5; 0 leaves it at the checkpoints of the program");
  return number;
}

/** Edit distance (Levenshtein) between two short words. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
