/**
 * `jepac diff`: what two programs do differently.
 *
 * Owns the choice of the two: two files, or two programs of one file (a variant against its base). The comparison is
 * `compiler/diff.ts`. Exit code 0 when they are the same, 1 when they differ, 2 when one cannot be read or compared.
 */
import { check } from "../compile.js";
import type { CheckResult } from "../compile.js";
import { diffPrograms, printDifference } from "../diff.js";
import type { Command } from "./command.js";
import { CliError } from "./command.js";
import { openSource } from "./source.js";

export const diffCommand: Command = {
  name: "diff",
  usage: "diff <before> [after]",
  summary: "Says what changes between two programs: graph, gradients, proofs, parameters, FLOPs, memory",
  words: { before: "a program", after: "another file; without it, a variant of the file against its base" },
  options: {
    program: { kind: "text", help: "the program of the second file (its first); without one, the variant to compare" },
    base: { kind: "text", help: "the program of the first file (its first)" },
    format: { kind: "text", choices: ["text", "json"], initial: "text", help: "how to report" },
  },
  examples: [
    ["jepac diff examples/simsiam-small.jepa examples/byol-small.jepa", "two files"],
    ["jepac diff my.jepa --program shallow", "a variant against the first model of its file"],
  ],
  async run(args, cx) {
    const first = openSource(args.need("before"), cx);
    const other = args.text("after");
    const second = other === undefined ? first : openSource(other, cx);
    const base = args.text("base");
    const program = args.text("program");
    const before = check(first.source, base === undefined ? {} : { program: base });
    const after = check(second.source, choose(program, other, before));
    const difference = diffPrograms(before, after);
    if (difference === undefined) throw new CliError("one of the programs has mistakes that leave nothing to compare", "run jepac check on both");
    cx.out.write(args.text("format") === "json" ? `${JSON.stringify(difference, undefined, 2)}\n` : printDifference(difference));
    return difference.changes.length === 0 ? 0 : 1;
  },
};

/** Within one file and without a name, the first program that is not the base. */
function choose(program: string | undefined, other: string | undefined, before: CheckResult): { readonly program?: string } {
  if (program !== undefined) return { program };
  const next = other === undefined ? before.programs.find((p) => p !== before.graph?.name) : undefined;
  return next === undefined ? {} : { program: next };
}
