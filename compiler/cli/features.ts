/**
 * `jepac features`: the features of one's own pictures under a trained encoder, as a file that other programs read.
 *
 * Owns the command and what the file holds: `features` [pictures, width] (of a program that takes a `Video`, a row for each film: of the clip in its middle), `labels` where folders give classes, and names in the
 * metadata. Encoding is the runtime's (`train/run-encoder.ts`).
 */
import { relative, resolve } from "node:path";
import { writeAtomic } from "../../runtime/base/files.js";
import { writeSafetensors } from "../../runtime/base/safetensors.js";
import { wordsOf, type ImageSource } from "../../runtime/data/source.js";
import { engineChoice } from "../../runtime/train/options.js";
import type { RunEncoder, SourceFeatures } from "../../runtime/train/run-encoder.js";
import type { Command } from "./command.js";
import { CliError } from "./command.js";
import { findRun } from "./probe.js";
import { compiledFolder } from "./run-folder.js";
import { runOptions } from "./train.js";

const { engine } = runOptions;

export const featuresCommand: Command = {
  words: { run: "a run folder, or a checkpoint in one", pictures: "a folder of pictures, or of films for a program that takes clips; sub-folders with pictures are classes" },
  options: {
    out: { kind: "text", alias: "o", initial: "features.safetensors", help: "the file to write" },
    encoder: { kind: "text", help: "which encoder (the moving average where there is one, as papers evaluate it)" },
    ...(engine === undefined ? {} : { engine }),
    compiled: { kind: "text", help: "the compiled program, when it is not in the run's folder" },
  },
  examples: [["jepac features runs/ijepa_small photos -o photos.safetensors", "for safetensors.numpy.load_file(\"photos.safetensors\")"]],
  async run(args, cx) {
    const { folder, which } = findRun(args.need("run"), cx.cwd);
    const out = args.text("out") ?? "features.safetensors";
    if (!out.endsWith(".safetensors")) throw new CliError(`--out names a file that ends in .safetensors, not ${out}`);
    const [{ openRunEncoder }, { readManifest }, { openPictures }, { createProgress }] = await Promise.all([import("../../runtime/train/run-encoder.js"), import("../../runtime/train/compiled.js"), import("../../runtime/train/datasets.js"), import("../../runtime/log/progress.js")]);
    const compiled = compiledFolder(folder, args.text("compiled"), cx.cwd);
    const source = await openPictures(readManifest(compiled), resolve(cx.cwd, args.need("pictures")));
    const name = args.text("engine");
    const trained = await openRunEncoder(folder, { encoder: args.text("encoder"), which, compiled, ...(name === undefined ? {} : { engine: engineChoice(name) }) });
    const progress = createProgress(cx.err, () => cx.clock());
    try {
      const { engine: used, encoder, manifest, step } = trained;
      progress.note(`${source.report.lines.join("\n")}\nengine: ${used.name} ${used.version}; ${encoder.name} of ${manifest.program}, step ${step}`);
      const [one, many] = wordsOf(source);
      const found = await trained.features(source, (done) => progress.status(`${one} ${done} of ${source.size}`));
      if (found.count === 0) throw new CliError(`none of the ${many} in ${args.need("pictures")} can be read and decoded`, `the first is ${found.corrupt[0] ?? "unknown"}`);
      if (found.corrupt.length > 0) progress.note(`${found.corrupt.length} of ${source.size} ${many} cannot be read or decoded and have no row, such as ${relative(cx.cwd, found.corrupt[0] ?? "")}`);
      await writeAtomic(resolve(cx.cwd, out), fileOf(trained, source, found));
      cx.out.write(`wrote ${out}: features [${found.count}, ${found.width}]${source.factors.length === 0 ? "" : `, labels [${found.count}]`}\n`);
    } finally {
      progress.end();
      trained.dispose();
    }
    return 0;
  },
};

function fileOf({ encoder, manifest, step }: RunEncoder, source: ImageSource, { features, count, width, indices }: SourceFeatures): Uint8Array {
  const [factor] = source.factors;
  const pictures = Array.from(indices, (index) => relative(source.name, source.describe(index)).replaceAll("\\", "/"));
  return writeSafetensors([
    { name: "features", shape: [count, width], data: features },
    ...(factor === undefined ? [] : [{ name: "labels", shape: [count], data: indices.map((index) => source.label(index)) }]),
  ], {
    program: manifest.program, source: manifest.source.hash, step: String(step), encoder: encoder.name, pool: "mean",
    pictures: JSON.stringify(pictures), ...(factor === undefined ? {} : { classes: JSON.stringify(factor.classes) }),
  });
}
