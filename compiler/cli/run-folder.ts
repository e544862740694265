/**
 * A run on disk, for commands that take its weights elsewhere: the compiled program and one checkpoint.
 *
 * Owns the way from what a person names (a run's folder, a checkpoint file in one, or any checkpoint file with `--compiled`)
 * to manifest, encoders and values. A checkpoint that does not fit the program ends with the checkpoint's own words.
 */
import { existsSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { Manifest } from "../../runtime/abi.js";
import { errorText } from "../../runtime/base/errors.js";
import { readBytes } from "../../runtime/base/files.js";
import { CHECKPOINT_FILES } from "../../runtime/train/checkpoint-store.js";
import type { Checkpoint } from "../../runtime/train/checkpoint.js";
import { checkFits, decodeCheckpoint } from "../../runtime/train/checkpoint.js";
import { encodersFile } from "../targets/encoders.js";
import type { Module } from "../tensor/ir.js";
import { parseModule } from "../tensor/parse.js";
import { printProblem, verify } from "../tensor/verify.js";
import { CliError } from "./command.js";
import { readManifest } from "../../runtime/train/compiled.js";
import { reason } from "./source.js";

/** A compiled program with values for its parameters. */
export interface TrainedProgram {
  readonly manifest: Manifest;
  /** What its encoders compute. */
  readonly encoders: Module;
  readonly checkpoint: Checkpoint;
  /** The checkpoint's file as people know it. */
  readonly shown: string;
}

/** Reads a run or a checkpoint. @throws CliError or HostError */
export async function openTrained(path: string, compiled: string | undefined, cwd: string): Promise<TrainedProgram> {
  const absolute = resolve(cwd, path);
  if (!existsSync(absolute)) throw new CliError(`there is no ${path}`, "name the folder of a run, such as runs/ijepa_small, or a checkpoint in it");
  const file = statSync(absolute).isDirectory() ? join(absolute, CHECKPOINT_FILES.latest) : absolute;
  const shown = relative(cwd, file) || basename(file);
  if (!existsSync(file)) throw new CliError(`${path} holds no ${CHECKPOINT_FILES.latest}`, "name the folder of a run, such as runs/ijepa_small");
  const folder = compiledFolder(dirname(file), compiled, cwd);
  const folderShown = relative(cwd, folder) || ".";
  const manifest = readManifest(folder, folderShown);
  const checkpoint = decodeCheckpoint(await readBytes(file), shown);
  checkFits(checkpoint, manifest, shown);
  return { manifest, encoders: readEncoders(folder, folderShown), checkpoint, shown };
}

/** The folder (absolute) of a run's compiled program: the one that was given, else the run's own. @throws CliError where there is none */
export function compiledFolder(run: string, given: string | undefined, cwd: string): string {
  const folder = resolve(cwd, given ?? join(run, "compiled"));
  if (existsSync(folder)) return folder;
  if (given !== undefined) throw new CliError(`${given} is no compiled program: there is no such folder`, "name a folder that `jepac compile` or `jepac train` wrote");
  throw new CliError(`${relative(cwd, run) || "."} has no compiled program`, "name the folder of the compiled program with --compiled");
}

function readEncoders(folder: string, shown: string): Module {
  const path = join(folder, encodersFile);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new CliError(`cannot read ${shown}/${encodersFile}: ${reason(error)}`, "compile the program again with this version of jepac");
  }
  try {
    const module = parseModule(text);
    const problem = verify(module)[0];
    if (problem === undefined) return module;
    throw new Error(printProblem(problem));
  } catch (error) {
    throw new CliError(`${shown}/${encodersFile} is damaged: ${errorText(error)}`, "compile the program again");
  }
}
