/**
 * `jepac probe`: how good the features of a run are, against the same encoder untrained.
 *
 * Owns the way from a path (a run folder, or a checkpoint file in one) to the compiled program and the checkpoint; the
 * probes are the runtime's.
 */
import { existsSync, statSync } from "node:fs";
import { basename, dirname, relative, resolve } from "node:path";
import { CHECKPOINT_FILES } from "../../runtime/train/checkpoint-store.js";
import type { TrainerOptions } from "../../runtime/train/options.js";
import { parseOptions } from "../../runtime/train/options.js";
import type { Command, OptionSpec } from "./command.js";
import { CliError } from "./command.js";
import { loadCompiled } from "../../runtime/train/compiled.js";
import { compiledFolder } from "./run-folder.js";
import { runOptions, runWords } from "./train.js";

const own: readonly string[] = ["data", "eval-data", "engine", "other-source"];
/** Where a word means something else for a probe than for a run. */
const help: Readonly<Record<string, string>> = {
  data: "labelled pictures to fit the probes on (those of the run unless given)",
  "other-source": "probe although the program's text has changed",
};
const shared = Object.fromEntries(Object.entries(runOptions).filter(([name]) => own.includes(name)).map(([name, option]) => [name, { ...option, help: help[name] ?? option.help }]));
const options: Readonly<Record<string, OptionSpec>> = {
  ...shared,
  compiled: { kind: "text", help: "the compiled program, when it is not in the run's folder" },
};

export const probeCommand: Command = {
  words: { run: "a run folder, or a checkpoint in one" },
  options,
  examples: [
    ["jepac probe runs/ijepa_small", "its latest checkpoint"],
    ["jepac probe runs/ijepa_small --eval-data photos/test", "on other pictures"],
  ],
  async run(args, cx) {
    const { folder, which } = findRun(args.need("run"), cx.cwd);
    const shown = relative(cx.cwd, folder) || ".";
    const compiled = compiledFolder(folder, args.text("compiled"), cx.cwd);
    const program = await loadCompiled(compiled, relative(cx.cwd, compiled) || ".");
    const { runProbe } = await import("../../runtime/train/probe-main.js");
    return runProbe({ ...program, folder: compiled, options: { ...parseOptions(runWords(args)), out: shown, resume: which }, terminal: cx.err });
  },
};

/** The run folder and which of its checkpoints. @throws CliError */
export function findRun(path: string, cwd: string): { readonly folder: string; readonly which: NonNullable<TrainerOptions["resume"]> } {
  const absolute = resolve(cwd, path);
  if (!existsSync(absolute)) throw new CliError(`there is no ${path}`, "name the folder of a run, such as runs/ijepa_small");
  if (statSync(absolute).isDirectory()) return { folder: absolute, which: "latest" };
  const file = basename(absolute);
  if (file === CHECKPOINT_FILES.latest) return { folder: dirname(absolute), which: "latest" };
  if (file === CHECKPOINT_FILES.previous) return { folder: dirname(absolute), which: "previous" };
  throw new CliError(`${path} is not a checkpoint`, `checkpoints of a run are ${CHECKPOINT_FILES.latest} and ${CHECKPOINT_FILES.previous}`);
}
