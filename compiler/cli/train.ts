/**
 * `jepac train`: compile, then train, in one process.
 *
 * Owns the way from a program to a run: the run's folder is chosen first, the program is compiled into `compiled/` inside
 * it (so that a later `jepac probe` needs nothing else), and the runtime's trainer takes over with the options of the
 * command line. Those are the runtime's own table; nothing about them is repeated here.
 */
import { join, resolve } from "node:path";
import { check, compileChecked } from "../compile.js";
import type { CompileResult } from "../compile.js";
import type { Manifest, PlanTile } from "../../runtime/abi.js";
import { nodeLimits } from "../../runtime/backends/webgpu/device.js";
import { HostError } from "../../runtime/base/errors.js";
import { refuseTaken } from "../../runtime/train/claim.js";
import { checkGoesOn } from "../../runtime/train/checkpoint.js";
import { comparedFiles, loadCompiled, named, readManifest } from "../../runtime/train/compiled.js";
import { trainingFolder } from "../../runtime/train/datasets.js";
import { checkEngineRuns, parseOptions, TRAINER_OPTIONS } from "../../runtime/train/options.js";
import type { Trainer } from "../../runtime/train/main.js";
import { chooseFolder, keptOptions, shellWord, stoppedEarly, wasBegun } from "../../runtime/train/run-folder.js";
import type { PlanLimits } from "../targets/wgsl/plan.js";
import type { Arguments, Command, OptionSpec } from "./command.js";
import { compileInto, deviceOptions, featuresOf, planLimits, precisionFor, precisionOption, refuseUnused, targetOf, targets } from "./compile.js";
import { missingFolders, removeMade } from "./output.js";
import type { CliTerminal } from "./terminal.js";
import { openSource, programOptions, readProgramOptions } from "./source.js";
import { tilesForRun } from "./tune.js";

/** The runtime's options as options of a command. `--no-x` is yargs' own way to say that a switch is off. */
export const runOptions: Readonly<Record<string, OptionSpec>> = Object.fromEntries(
  TRAINER_OPTIONS.filter((o) => !o.name.startsWith("--no-") && o.name !== "--help").map((o) => [
    o.name.slice(2),
    { kind: o.value === undefined ? "flag" : "text", help: o.help.replace(/ \(the default\)$/, "; --no-" + o.name.slice(2) + " does not") } satisfies OptionSpec,
  ]),
);

const tileOptions: Readonly<Record<string, OptionSpec>> = {
  tiles: { kind: "text", choices: ["measured", "default"], initial: "measured", help: "for wgsl, tiles of matrix products: those that jepac tune measured on this device, or the defaults" },
  tune: { kind: "flag", help: "for wgsl, measure tiles first, for a minute at the most" },
};

export const trainCommand: Command = {
  words: { file: "the program" },
  options: { target: { kind: "text", choices: targets, initial: "tfjs", help: "what to compile to: tfjs (wasm, TensorFlow) or wgsl (WebGPU)" }, precision: precisionOption, ...runOptions, ...deviceOptions, ...tileOptions, ...programOptions },
  examples: [
    ["jepac train examples/ijepa-small.jepa", "on generated pictures"],
    ["jepac train examples/ijepa-cifar.jepa --data photos/train --eval-data photos/test", "on a folder of images"],
    ["jepac train examples/ijepa-small.jepa --resume", "go on where it stopped"],
  ],
  async run(args, cx) {
    const prepared = await prepare(args, cx);
    if (prepared === undefined) return 1;
    const { runTrainer } = await import("../../runtime/train/main.js");
    const code = await runTrainer(prepared.trainer);
    // A run that could not start (no pictures, no engine, options that do not fit) leaves nothing behind.
    if (code !== 0 && !wasBegun(prepared.folder)) removeMade(prepared.made);
    return code;
  },
};

/** A run that can begin. */
interface Prepared {
  readonly trainer: Trainer;
  /** The run's folder, absolute. */
  readonly folder: string;
  /** What was made to compile into, see `missingFolders`. */
  readonly made: readonly string[];
}

/**
 * Compiles into the folder of the run, and says what to train; undefined after diagnostics. A function of its own, so that
 * nothing of the compiler is alive while the run lasts: its trees would be walked by every garbage collection.
 */
async function prepare(args: Arguments, cx: CliTerminal): Promise<Prepared | undefined> {
  const file = args.need("file");
  const opened = openSource(file, cx);
  const argv = runWords(args);
  const options = parseOptions(argv);
  // Of the program only its name is needed yet: the folder is chosen by it, and a run that goes on keeps what it was compiled with.
  const chosen = readProgramOptions(args);
  const checked = check(opened.source, chosen);
  // Of one with mistakes those are told, before anything about folders.
  const program = checked.ok ? checked.graph?.name : undefined;
  const folder = program === undefined ? "" : chooseFolder(program, options);
  const compiled = resolve(cx.cwd, folder, "compiled");
  // Nothing is compiled into the folder of a run that another process is training.
  if (folder !== "") refuseTaken(resolve(cx.cwd, folder), folder);
  const before = options.resume === undefined ? undefined : manifestOf(compiled);
  const target = args.given("target") || before === undefined ? targetOf(args) : before.target;
  const precision = args.given("precision") || before === undefined ? precisionFor(target, args) : target === "wgsl" ? before.precision ?? "f32" : "f32";
  refuseUnused(target, args, [...Object.keys(deviceOptions), ...Object.keys(tileOptions)]);
  // What this machine or this target cannot run is said before time goes into compiling for it; mistakes of the program are said before that.
  if (checked.ok) checkEngineRuns(target, options.engine);
  const limits = target === "wgsl" && checked.ok ? await runLimits(args, precision) : undefined;
  // A plan is made for one size of batch.
  const batch = target !== "wgsl" ? undefined : options.batch ?? (options.resume === undefined ? undefined : (await keptOptions(resolve(cx.cwd, folder)))?.batch);
  // What was checked is compiled, unless it is for another batch.
  const whole = batch === undefined ? checked : check(opened.source, { ...chosen, batch });
  const compiledWith = (tiles: readonly PlanTile[]): CompileResult =>
    compileChecked(whole, opened.source.file, { ...chosen, ...(batch === undefined ? {} : { batch }), target, precision, ...(limits === undefined ? {} : { device: { ...limits, tiles } }) });
  const first = compiledWith([]);
  const tiles = first.plan === undefined ? [] : await tilesForRun(first.plan, compiled, options.resume !== undefined, args, cx);
  const result = tiles.length === 0 ? first : compiledWith(tiles);
  // A run that cannot start leaves nothing behind; one that goes on has its own word on where its pictures are.
  if (result.ok && result.manifest !== undefined && options.resume === undefined) trainingFolder(result.manifest, options.data, compiled);
  // What cannot go on is refused while the run's own program is still there.
  if (result.manifest !== undefined && before !== undefined && !stoppedEarly(resolve(cx.cwd, folder))) checkGoesOn(before, result.manifest, `the run in ${folder}`, options);
  if (before !== undefined) await keepChanges(compiled, folder);
  const made = missingFolders(compiled);
  try {
    if (compileInto(opened, result, compiled, cx) === undefined) return undefined;
  } catch (error) {
    removeMade(made);
    throw error;
  }
  const loaded = await loadCompiled(compiled, join(folder, "compiled"));
  const trainer = { ...loaded, argv, options: { out: folder }, folder: compiled, command: ["npx jepac train", shellWord(file), ...programWords(args)].join(" "), host: { terminal: cx.err } };
  return { trainer, folder: resolve(cx.cwd, folder), made };
}

/** Files of a run's program that somebody has changed are not compiled over; `folder` is the run's, as it is shown. @throws HostError "mismatch" */
export async function keepChanges(compiled: string, folder: string): Promise<void> {
  const before = manifestOf(compiled);
  const { changed } = before === undefined ? { changed: [] } : await comparedFiles(compiled, before);
  if (changed.length === 0) return;
  const shown = join(folder, "compiled");
  throw new HostError("mismatch", `${named(changed)} of ${shown} ${changed.length === 1 ? "is" : "are"} not as compiled, and would be compiled again`, `go on with what is there: node ${shellWord(join(shown, "train.mjs"))} --out ${shellWord(folder)} --resume; or give the changes up: remove ${changed.length === 1 ? "that file" : "those files"} first`);
}

/** What a plan must fit, on a machine that must have a device to run it, whatever it is made for. @throws HostError "no-engine" */
async function runLimits(args: Arguments, precision: "f32" | "f16"): Promise<PlanLimits> {
  if ((args.text("device") ?? "here") !== "here") await nodeLimits(featuresOf(precision));
  return planLimits(args, "here", precision);
}

/** The manifest of the program that a run was compiled from; undefined where there is none that can be read. */
function manifestOf(compiled: string): Manifest | undefined {
  try {
    return readManifest(compiled, compiled);
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
}

/** The run options that were given, as the words that the runtime reads. */
export function runWords(args: Arguments): string[] {
  return Object.entries(runOptions).flatMap(([name, option]) => {
    if (!args.given(name)) return [];
    if (option.kind === "flag") return [args.flag(name) ? `--${name}` : `--no-${name}`];
    return [`--${name}=${args.text(name) ?? ""}`];
  });
}

/** What the program was compiled with, for the hint on resuming: a resumed run compiles again. */
function programWords(args: Arguments): string[] {
  const program = args.text("program");
  const given = ["target", "precision", "device", "memory"].flatMap((name) => (args.given(name) ? [`--${name}`, args.text(name) ?? ""] : []));
  return [...given, ...(program === undefined ? [] : ["--program", program]), ...args.texts("set").flatMap((word) => ["--set", word])].map(shellWord);
}
