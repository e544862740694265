/**
 * What a caller of the library hands over, looked at before anything is done with it.
 *
 * Owns the words for sources and options that are none: those are mistakes of the calling code, so they are thrown as
 * `TypeError`s, while mistakes of a program are diagnostics. TypeScript refuses most of them; callers may be plain
 * JavaScript. Whether a program has what options name (`set`, `program`) is the checker's affair; devices are `targets/device.ts`.
 */
import { said } from "./base/said.js";
import { suggest } from "./base/suggest.js";
import type { Static } from "./check/values.js";
import type { Read } from "./load.js";
import { requireDevice } from "./targets/device.js";
import type { PlanLimits } from "./targets/wgsl/plan.js";
import type { Manifest } from "../runtime/abi.js";

/** A program text and where it is said to be; `read` gives the texts of files that it uses. */
export interface Source {
  readonly file: string;
  readonly text: string;
  readonly read?: Read;
}

/** Which program of the file, and values that replace its own: `{ width: 64, "predict.depth": 6 }`. */
export interface ProgramOptions {
  readonly program?: string;
  readonly set?: Readonly<Record<string, Static>>;
  /** Images of a step, in place of what `train` says. */
  readonly batch?: number;
}

/** The same, and for what is compiled. */
export interface CompileOptions extends ProgramOptions {
  /** `tfjs` unless said. */
  readonly target?: Manifest["target"];
  /** For the wgsl target: what the device must be able to hold; WebGPU's own limits unless said. */
  readonly device?: PlanLimits;
  /** For the wgsl target: what activations and copies of weights are stored as; f32 unless said. */
  readonly precision?: "f32" | "f16";
  /** A clock in milliseconds for the record of stages. */
  readonly now?: () => number;
}

/** All there are. `check` and `graph` take those of `compile` too, and have no use for them: callers keep one object for both. */
const NAMES = ["program", "set", "batch", "target", "device", "precision", "now"] satisfies (keyof CompileOptions)[];

/** @throws TypeError where this is no program text with a name. */
export function requireSource(source: Source): void {
  const fields = fieldsOf(source);
  if (fields === undefined) throw new TypeError(`the source is ${said(source)}, not { file, text }: the name that messages show and the program's text.`);
  for (const name of ["file", "text"]) {
    if (typeof fields.get(name) !== "string") throw new TypeError(`the source's \`${name}\` is ${said(fields.get(name))}, not a string. Give { file, text }: the name that messages show and the program's text.`);
  }
  const read = fields.get("read");
  if (read !== undefined && typeof read !== "function") throw new TypeError(`the source's \`read\` is ${said(read)}, not a function from a file's name to its text or undefined.`);
}

/** How files of a source are read. What it gives is looked at: a promise or bytes are no text. */
export function readerOf({ read }: Source): Read {
  return (path) => {
    const text = read?.(path);
    if (text === undefined || typeof text === "string" || typeof fieldsOf(text)?.get("why") === "string") return text;
    throw new TypeError(`the source's \`read\` gave ${said(text)} for ${path}, not a string, undefined or { why, help }.`);
  };
}

/** @throws TypeError where these are no options of `check` and `graph`. */
export function requireProgramOptions(options: ProgramOptions): void {
  requireFields(options);
}

/** @throws TypeError where these are no options of `compile`. */
export function requireCompileOptions(options: CompileOptions): void {
  const fields = requireFields(options);
  requireOneOf(fields, "target", ["tfjs", "wgsl"]);
  requireOneOf(fields, "precision", ["f32", "f16"]);
  if (fields.get("precision") === "f16" && fields.get("target") !== "wgsl") throw new TypeError('`precision` "f16" is for the wgsl target. Give `target: "wgsl"` too.');
  if (options.device !== undefined) requireDevice(options.device);
  if (options.now !== undefined && typeof options.now !== "function") throw new TypeError(`\`now\` is ${said(options.now)}, not a clock: a function that gives milliseconds.`);
}

function requireFields(options: unknown): ReadonlyMap<string, unknown> {
  const fields = fieldsOf(options);
  if (fields === undefined) throw new TypeError(`the options are ${said(options)}, not an object.`);
  for (const name of fields.keys()) {
    if (NAMES.some((known) => known === name)) continue;
    const [meant] = suggest(name, NAMES);
    throw new TypeError(`there is no option \`${name}\`${meant === undefined ? `; there are ${NAMES.join(", ")}.` : `; did you mean \`${meant}\`?`}`);
  }
  const program = fields.get("program");
  if (program !== undefined && typeof program !== "string") throw new TypeError(`\`program\` is ${said(program)}, not the name of a model or variant.`);
  const batch = fields.get("batch");
  if (batch !== undefined && !(typeof batch === "number" && Number.isSafeInteger(batch) && batch > 0)) throw new TypeError(`\`batch\` is ${said(batch)}, not a whole number of images from 1 on.`);
  const set = fields.get("set");
  if (set !== undefined && fieldsOf(set) === undefined) throw new TypeError(`\`set\` is ${said(set)}, not an object such as { width: 64 }.`);
  return fields;
}

function requireOneOf(fields: ReadonlyMap<string, unknown>, name: string, choices: readonly string[]): void {
  const value = fields.get(name);
  if (value !== undefined && (typeof value !== "string" || !choices.includes(value))) throw new TypeError(`\`${name}\` is ${said(value)}; it is one of ${choices.map((c) => JSON.stringify(c)).join(", ")}.`);
}

/** Fields of an object that is no list; undefined for anything else. */
function fieldsOf(value: unknown): ReadonlyMap<string, unknown> | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? new Map<string, unknown>(Object.entries(value)) : undefined;
}
