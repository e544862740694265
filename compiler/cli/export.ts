/**
 * `jepac export`: a trained encoder in a format that other programs load.
 *
 * Owns the command: which run, which encoder (the one a paper would evaluate unless told), where to. The Hugging Face
 * layout is for encoders that are the library's `vit`, which is checked on what they compute, not on their name; ONNX takes
 * any encoder. Content is made by runtime/export and targets/onnx; a failed write leaves the old files as they were.
 */
import { rmSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { writeAtomic, writeAtomicParts } from "../../runtime/base/files.js";
import { defaultEncoder, hfFiles, weightFile } from "../../runtime/export/hf.js";
import type { ExportFile } from "../../runtime/export/hf.js";
import { vitLayout } from "../../runtime/export/vit-layout.js";
import { emitOnnx, onnxOpset } from "../targets/onnx/emit.js";
import type { Command } from "./command.js";
import { CliError } from "./command.js";
import { namesIn } from "./output.js";
import type { TrainedProgram } from "./run-folder.js";
import { openTrained } from "./run-folder.js";
import { vitFacts } from "./vit-facts.js";

const formats = ["hf", "onnx"] as const;

export const exportCommand: Command = {
  words: { run: "a run folder, or a checkpoint in one" },
  options: {
    format: { kind: "text", choices: formats, initial: "hf", help: "hf: config.json and model.safetensors for IJepaModel.from_pretrained; onnx: one file for onnxruntime" },
    out: { kind: "text", alias: "o", help: "the folder (export/<program> unless given); for onnx also a file name that ends in .onnx" },
    encoder: { kind: "text", help: "which encoder (the moving average where there is one, as papers evaluate it)" },
    "max-shard": { kind: "text", initial: "5GB", help: "for hf: most bytes of weights in one file; beyond, shards with an index" },
    compiled: { kind: "text", help: "the compiled program, when it is not in the run's folder" },
  },
  examples: [
    ["jepac export runs/ijepa_small -o weights", "the teacher, for transformers.IJepaModel.from_pretrained(\"weights\")"],
    ["jepac export runs/ijepa_small --format onnx --encoder student -o student.onnx", "the student, for onnxruntime"],
  ],
  async run(args, cx) {
    const format = formats.find((f) => f === (args.text("format") ?? "hf")) ?? "hf";
    if (format !== "hf" && args.given("max-shard")) throw new CliError(`--max-shard is for weights in the layout of transformers, and this writes ${format}`, "leave --max-shard away, or export with --format hf");
    const trained = await openTrained(args.need("run"), args.text("compiled"), cx.cwd);
    const encoder = args.text("encoder") ?? defaultEncoder(trained.manifest);
    const out = args.text("out") ?? join("export", trained.manifest.program);
    const written = format === "hf" ? await writeHf(trained, encoder, out, cx.cwd, readBytesOf(args.text("max-shard") ?? "5GB")) : await writeOnnx(trained, encoder, out, cx.cwd);
    const { program, ema } = trained.manifest;
    const source = ema.find((e) => e.target === encoder)?.source;
    cx.out.write(`exported ${encoder}${source === undefined ? "" : ` (moving average of ${source})`} of ${program}, step ${trained.checkpoint.step} in ${trained.shown}\n${written}\n`);
    return 0;
  },
};

async function writeHf(trained: TrainedProgram, encoder: string, out: string, cwd: string, shardBytes: number): Promise<string> {
  const { manifest, checkpoint } = trained;
  const layout = vitLayout(manifest, encoder);
  const facts = vitFacts(trained.encoders, encoder, layout.sizes);
  const files = hfFiles({ manifest, layout, ...facts, state: checkpoint.state, step: checkpoint.step, shardBytes });
  await writeAll(resolve(cwd, out), out, files);
  return `wrote ${files.map((f) => join(out, f.path)).join(", ")}\nload it with: transformers.IJepaModel.from_pretrained(${JSON.stringify(out)})`;
}

async function writeOnnx(trained: TrainedProgram, encoder: string, out: string, cwd: string): Promise<string> {
  const { manifest, checkpoint } = trained;
  if (!manifest.encoders.some((e) => e.name === encoder)) throw new CliError(`the program has no encoder ${encoder}`, `its encoders are ${manifest.encoders.map((e) => e.name).join(", ") || "none"}`);
  const file = out.endsWith(".onnx") ? out : join(out, `${encoder}.onnx`);
  const name = basename(file);
  const metadata = {
    encoder, program: manifest.program, source: manifest.source.hash, step: String(checkpoint.step),
    image_mean: manifest.train.mean.join(" "), image_std: manifest.train.std.join(" "),
  };
  const result = emitOnnx({ module: trained.encoders, encoder, values: checkpoint.state, program: manifest.program, compiler: manifest.compiler, metadata }, name);
  if (result.kind === "refused") throw new CliError(`the encoder ${encoder} cannot be written as ONNX: ${result.problems.join("; ")}`, "export another encoder, or write this part with other functions");
  const files = [{ path: name, bytes: result.model }, ...(result.data.length === 0 ? [] : [{ path: `${name}.data`, bytes: result.data }])];
  const folder = resolve(cwd, file, "..");
  for (const f of files.reverse()) await writeAtomic(join(folder, f.path), f.bytes);
  return `wrote ${file}${result.data.length === 0 ? "" : ` and ${file}.data`}: opset ${onnxOpset}, ${result.nodes} nodes, pixel_values [batch, channels, height, width] -> ${result.output}`;
}

/** Writes files into a folder that is new, empty, or holds an export already. @throws CliError */
async function writeAll(folder: string, shown: string, files: readonly ExportFile[]): Promise<void> {
  const ours = new Set(files.map((f) => f.path));
  const there = namesIn(folder, shown);
  const foreign = there.filter((name) => !ours.has(name) && !weightFile.test(name));
  if (foreign.length > 0) throw new CliError(`${shown} holds something else than exported weights (${foreign.slice(0, 3).join(", ")})`, "give a folder of its own with --out");
  for (const file of files) await writeAtomicParts(join(folder, file.path), file.parts);
  // Weights of an export before, in one file or in other shards, would be taken for these.
  for (const name of there) if (weightFile.test(name) && !ours.has(name)) rmSync(join(folder, name));
}

/** Bytes from `5GB`, `500MB` or a number. @throws CliError */
function readBytesOf(text: string): number {
  const [, count, unit] = /^(\d+(?:\.\d+)?)\s*(B|KB|MB|GB)?$/i.exec(text.trim()) ?? [];
  const bytes = Number(count) * 1000 ** Math.max(0, ["B", "KB", "MB", "GB"].indexOf((unit ?? "B").toUpperCase()));
  if (!(bytes >= 1)) throw new CliError(`--max-shard takes a size such as 5GB or 500MB, not ${text}`);
  return bytes;
}
