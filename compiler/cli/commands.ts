/**
 * All commands: what `jepac --help` tells, and where each of them is.
 *
 * Owns names, usages and summaries, and that a command is loaded when it is asked for: help, `explain` or `fmt` need neither the
 * checker nor an engine.
 */
import type { Command } from "./command.js";

/** A command by its name. */
export interface CommandEntry {
  readonly name: string;
  /** As yargs reads it: `check <files..>`. */
  readonly usage: string;
  readonly summary: string;
  readonly load: () => Promise<Command>;
}

/** All commands, in the order of the help text. */
export const commands: readonly CommandEntry[] = [
  { name: "check", usage: "check <files..>", summary: "Checks programs and reports every mistake, with its place and the way out", load: async () => (await import("./check.js")).checkCommand },
  { name: "compile", usage: "compile <file>", summary: "Compiles a program to a folder that trains with `node <folder>/train.mjs`", load: async () => (await import("./compile.js")).compileCommand },
  { name: "train", usage: "train <file>", summary: "Compiles a program and trains it: progress, checkpoints, probes and a report in runs/<program>", load: async () => (await import("./train.js")).trainCommand },
  { name: "tune", usage: "tune <file>", summary: "Measures tiles for a program's matrix products on this machine's WebGPU device; later runs use the fastest", load: async () => (await import("./tune.js")).tuneCommand },
  { name: "probe", usage: "probe <run>", summary: "Probes a run: linear and nearest-neighbor accuracy of its frozen features, beside the untrained encoder's", load: async () => (await import("./probe.js")).probeCommand },
  { name: "features", usage: "features <run> <pictures>", summary: "Writes the features of a folder of pictures under a trained encoder, one row for each picture", load: async () => (await import("./features.js")).featuresCommand },
  { name: "sweep", usage: "sweep <files..>", summary: "Trains every variant (and every point of every `sweep`) of some programs; one table, one plot; goes on where it stopped", load: async () => (await import("./sweep.js")).sweepCommand },
  { name: "export", usage: "export <run>", summary: "Writes a trained encoder for other programs: Hugging Face transformers (IJepaModel) or ONNX", load: async () => (await import("./export.js")).exportCommand },
  { name: "import", usage: "import <weights>", summary: "Reads weights of transformers' IJepaModel into a program: a run folder to train on, probe or export", load: async () => (await import("./import.js")).importCommand },
  { name: "fmt", usage: "fmt [files..]", summary: "Formats programs in place; comments and paragraphs stay", load: async () => (await import("./fmt.js")).fmtCommand },
  { name: "graph", usage: "graph <file>", summary: "Shows the model graph: values, modules, losses, and how gradients and averages flow", load: async () => (await import("./graph.js")).graphCommand },
  { name: "masks", usage: "masks <file>", summary: "Draws a program's masks in the terminal, as the run will, and says how many positions they keep", load: async () => (await import("./masks.js")).masksCommand },
  { name: "diff", usage: "diff <before> [after]", summary: "Says what changes between two programs: graph, gradients, recipe, proofs, parameters, FLOPs, memory", load: async () => (await import("./diff.js")).diffCommand },
  { name: "list", usage: "list <files..>", summary: "Lists the programs of files with their sizes, and the params that --set can change", load: async () => (await import("./list.js")).listCommand },
  { name: "explain", usage: "explain <code>", summary: "Explains a diagnostic: what it means, why it is one, and what to do", load: async () => (await import("./explain.js")).explainCommand },
  { name: "lsp", usage: "lsp", summary: "Serves editors by the Language Server Protocol, on standard input and output", load: async () => (await import("./lsp.js")).lspCommand },
  { name: "doctor", usage: "doctor", summary: "Says which engines this machine has, and what is missing for the others", load: async () => (await import("./doctor.js")).doctorCommand },
  { name: "dev", usage: "dev <file>", summary: "Shows the stages of a compilation: their list, their times, the text of any of them", load: async () => (await import("./dev.js")).devCommand },
];
