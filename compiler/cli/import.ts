/**
 * `jepac import`: weights that others trained, as a checkpoint of a program.
 *
 * Owns the command: the weights are read with distrust (runtime/import), fitted to one encoder tensor by tensor, and put
 * into that encoder, into the one it averages and into those that average it; everything else starts as it would without
 * them. What comes out is a run folder at step 0, compiled program included, that `train --resume`, `probe` and `export`
 * take. Nothing is written unless every tensor fits.
 */
import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import type { Manifest } from "../../runtime/abi.js";
import { counted } from "../../runtime/base/counted.js";
import { writeAtomic } from "../../runtime/base/files.js";
import { vitLayout } from "../../runtime/export/vit-layout.js";
import type { TensorFate } from "../../runtime/import/vit.js";
import { fitWeights, NOT_FINITE } from "../../runtime/import/vit.js";
import { readWeights } from "../../runtime/import/weights.js";
import { CHECKPOINT_FILES } from "../../runtime/train/checkpoint-store.js";
import { encodeCheckpoint, isCheckpoint } from "../../runtime/train/checkpoint.js";
import { readPretrained } from "../../runtime/train/pretrained.js";
import { initialState } from "../../runtime/train/init.js";
import { compile } from "../compile.js";
import { encodersFile } from "../targets/encoders.js";
import { parseModule } from "../tensor/parse.js";
import type { Command } from "./command.js";
import { CliError } from "./command.js";
import { compileInto } from "./compile.js";
import { namesIn } from "./output.js";
import { tellDiagnostics } from "./show.js";
import { openSource, programOptions, readProgramOptions } from "./source.js";
import { vitFacts } from "./vit-facts.js";

export const importCommand: Command = {
  words: { weights: "a folder with model.safetensors (or an index of shards), or such a file" },
  options: {
    into: { kind: "text", help: "the program whose encoder takes them" },
    out: { kind: "text", alias: "o", help: "the run folder to make (runs/<program>-imported unless given)" },
    encoder: { kind: "text", help: "only this encoder (all that share the weights unless given)" },
    ...programOptions,
  },
  examples: [
    ["jepac import weights --into specs/ijepa.jepa -o runs/pretrained", "then: jepac probe runs/pretrained --data photos"],
    ["jepac import model.safetensors --into my.jepa --encoder teacher -o runs/mine", "one encoder only"],
  ],
  async run(args, cx) {
    const path = args.need("weights");
    const file = args.text("into");
    if (file === undefined) throw new CliError("--into is missing", "name the program that takes the weights: --into specs/ijepa.jepa");
    const opened = openSource(file, cx);
    const result = compile(opened.source, { ...readProgramOptions(args), target: "tfjs" });
    const { manifest } = result;
    const encoders = result.files.find((f) => f.path === encodersFile);
    if (manifest === undefined || encoders === undefined) {
      tellDiagnostics(result, opened, cx);
      return 1;
    }
    const chosen = args.text("encoder");
    const names = chosen === undefined ? sharing(manifest) : [chosen];
    const layouts = names.map((name) => vitLayout(manifest, name));
    const [layout] = layouts;
    if (layout === undefined) throw new CliError(`${manifest.program} has no encoder`, "name a program with an encoder");
    const facts = vitFacts(parseModule(encoders.text), layout.encoder, layout.sizes);
    const absolute = resolve(cx.cwd, path);
    if (existsSync(join(absolute, CHECKPOINT_FILES.latest))) throw ownRun(path, "the folder of a run");
    const weights = await readWeights(absolute);
    if (isCheckpoint(weights.metadata)) throw ownRun(path, "a checkpoint of a run");
    const fit = fitWeights(weights, { layout, ...facts });
    if (isOther(fit.fates)) throw otherLayout(weights.files.length === 1 ? relative(cx.cwd, weights.files[0] ?? path) : path, fit.fates);
    tellFates(fit.fates, (text) => cx.out.write(text));
    if (fit.values === undefined) throw new CliError(`these weights do not fit the encoder ${layout.encoder} of ${manifest.program}; nothing was written`, wayOut(fit.fates));

    const out = args.text("out") ?? join("runs", `${manifest.program}-imported`);
    const folder = resolve(cx.cwd, out);
    if (namesIn(folder, out).length > 0) throw new CliError(`${out} is not empty`, "give another folder with --out");
    // Other modules that begin with weights of their own get them now: a run that goes on reads its checkpoint alone.
    const others = (manifest.pretrained ?? []).filter((spec) => !names.includes(spec.module));
    const state = initialState(manifest, manifest.train.seed, await readPretrained({ ...manifest, pretrained: others }, { note: (text) => cx.out.write(`  ${text}\n`) }));
    for (const { nameOf } of layouts) for (const [parameter, values] of fit.values) state.set(nameOf(parameter), values);
    if (compileInto(opened, result, join(folder, "compiled"), cx) === undefined) return 1;
    const checkpoint = encodeCheckpoint({
      step: 0, totalSteps: 0, seed: manifest.train.seed, batch: manifest.train.batch, data: `imported from ${path}`, program: manifest.program,
      hash: manifest.source.hash, engine: "none", state, queues: new Map(), monitors: "[]",
    }, manifest.parameters);
    await writeAtomic(join(folder, CHECKPOINT_FILES.latest), checkpoint);
    cx.out.write(`imported into ${names.join(" and ")} of ${manifest.program}: ${relative(cx.cwd, folder) || "."}\n`);
    cx.out.write(`${untouched(manifest, names)}\n`);
    return 0;
  },
};

/** What jepac wrote itself holds all of a program, optimizer included, by names of its own. */
function ownRun(path: string, what: string): CliError {
  return new CliError(`${path} is ${what} of jepac, and this reads weights in the layout of transformers`, "go on with that run with `jepac train … --resume`, or import what `jepac export` writes of it");
}

/** Whether not one tensor has a name that is looked for. */
function isOther(fates: readonly TensorFate[]): boolean {
  return fates.every((f) => f.kind === "missing" || f.kind === "ignored");
}

/** Most names of a file that a refusal shows. */
const SHOWN = 3;

function otherLayout(path: string, fates: readonly TensorFate[]): CliError {
  const names = (kind: TensorFate["kind"]): string => {
    const all = fates.flatMap((f) => (f.kind === kind ? [f.name] : []));
    return all.length === 0 ? "none" : `${all.slice(0, SHOWN).join(", ")}${all.length > SHOWN ? `, … (${all.length} in all)` : ""}`;
  };
  return new CliError(`${path} holds weights of another layout: it has ${names("ignored")}, and looked for are ${names("missing")}; nothing was written`, "bring them into the layout of transformers' IJepaModel first (`save_pretrained` of that class writes it)");
}

/** Sizes can be changed; values that are no numbers cannot be helped. */
function wayOut(fates: readonly TensorFate[]): string {
  const broken = fates.filter((f) => f.kind === "misfit" || f.kind === "missing").every((f) => f.note === NOT_FINITE);
  return broken ? "get the weights again from where they came, or import others" : "give the program the sizes of the weights (--set width=…), or import others";
}

/** The encoder of the first moving average with its source, else the first encoder: what shares one set of weights at step 0. */
function sharing(manifest: Manifest): string[] {
  const known = new Set(manifest.encoders.map((e) => e.name));
  const source = manifest.ema.find((e) => known.has(e.source) && known.has(e.target))?.source ?? manifest.encoders[0]?.name;
  if (source === undefined) return [];
  return [source, ...manifest.ema.filter((e) => e.source === source && known.has(e.target)).map((e) => e.target)];
}

function tellFates(fates: readonly TensorFate[], write: (text: string) => void): void {
  const told = fates.filter((f) => f.kind !== "taken" || f.note !== "");
  const widened = told.filter((f) => f.kind === "taken" && f.note.includes("widened"));
  for (const f of told) if (!widened.includes(f)) write(`  ${f.kind.padEnd(7)}  ${f.name}: ${f.note}\n`);
  if (widened.length > 0) write(`  ${counted(widened.length, "tensor")}: ${[...new Set(widened.map((f) => f.note))].join("; ")}\n`);
  const count = (kind: TensorFate["kind"]): number => fates.filter((f) => f.kind === kind).length;
  write(`${counted(count("taken"), "tensor")} taken, ${count("missing")} missing, ${count("misfit")} that do not fit, ${count("ignored")} ignored\n`);
}

function untouched(manifest: Manifest, filled: readonly string[]): string {
  const rest = [...new Set(manifest.parameters.map((p) => p.group))].filter((g) => !filled.includes(g));
  return rest.length === 0 ? "every module has imported weights" : `at their initial values: ${rest.join(", ")}`;
}
