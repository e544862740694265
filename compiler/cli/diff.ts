/**
 * `jepac diff`: what two programs do differently.
 *
 * Owns the choice of the two: two files, or two programs of one file (a variant against its base). The comparison is
 * `compiler/diff.ts`. Exit code 0 when they are the same, 1 when they differ or one has mistakes (which are shown in the place of a
 * difference: of half a program most would be missing), 2 when one cannot be read.
 */
import { check } from "../compile.js";
import type { CheckResult, Source } from "../compile.js";
import { diffPrograms, printDifference } from "../diff.js";
import type { Command } from "./command.js";
import { CliError } from "./command.js";
import { tellDiagnostics } from "./show.js";
import { openSource } from "./source.js";

export const diffCommand: Command = {
  words: { before: "a program", after: "another file; without it, a variant of the file against its base" },
  options: {
    program: { kind: "text", help: "the program of the second file (its first); without one, the variant to compare" },
    base: { kind: "text", help: "the program of the first file (its first), or what to hold the variant against" },
    format: { kind: "text", choices: ["text", "json"], initial: "text", help: "how to report" },
  },
  examples: [
    ["jepac diff examples/simsiam-small.jepa examples/byol-small.jepa", "two files"],
    ["jepac diff my.jepa --program shallow", "a variant against its base"],
  ],
  async run(args, cx) {
    const first = openSource(args.need("before"), cx);
    const other = args.text("after");
    const base = args.text("base");
    const program = args.text("program");
    const second = other === undefined ? first : openSource(other, cx);
    const { before, after } = other === undefined ? withinOne(first.source, base, program) : { before: check(first.source, named(base)), after: check(second.source, named(program)) };
    const broken = [{ result: before, opened: first }, { result: after, opened: second }].filter(({ result }) => !result.analyzed);
    // Mistakes of a base are its variant's too: of one file they are shown once.
    for (const { result, opened } of other === undefined ? broken.slice(-1) : broken) tellDiagnostics(result, opened, cx);
    if (broken.length > 0) return 1;
    const difference = diffPrograms(before, after);
    if (difference === undefined) throw new CliError("one of the programs has mistakes that leave nothing to compare", "run jepac check on both");
    cx.out.write(args.text("format") === "json" ? `${JSON.stringify(difference, undefined, 2)}\n` : printDifference(difference));
    return difference.changes.length === 0 ? 0 : 1;
  },
};

/**
 * Two programs of one file: the variant asked for (else the first there is) and what it is a variant of, in this file or in
 * one that it uses; a program that is no variant is held against the first of the file.
 */
function withinOne(source: Source, base: string | undefined, program: string | undefined): { readonly before: CheckResult; readonly after: CheckResult } {
  const first = check(source, named(program ?? base));
  const after = program !== undefined ? first : (firstVariant(source, first.programs.filter((p) => p !== base)) ?? first);
  return { before: check(source, named(base ?? baseOf(after))), after };
}

function firstVariant(source: Source, programs: readonly string[]): CheckResult | undefined {
  const found = programs.map((program) => check(source, { program }));
  return found.find((one) => baseOf(one) !== undefined) ?? found[1];
}

function baseOf({ checked }: CheckResult): string | undefined {
  return checked?.program.chain.at(-2);
}

function named(program: string | undefined): { readonly program?: string } {
  return program === undefined ? {} : { program };
}
