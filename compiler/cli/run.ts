/**
 * The command line as a function: words in, text on two streams, an exit code out.
 *
 * Owns the set-up of yargs from the table of commands, and what happens to errors: a mistake of usage, a file or an
 * engine ends with 2, a mistake of jepac itself with 70 and a request to report it. Unknown commands and options are
 * refused with the nearest known one. Leaves the work to one file per command.
 */
import yargs from "yargs";
import type { Argv } from "yargs";
import { suggest } from "../base/suggest.js";
import { version } from "../version.js";
import { HostError } from "../../runtime/base/errors.js";
import { TRAINER_OPTIONS } from "../../runtime/train/options.js";
import { Arguments, CliError } from "./command.js";
import type { Command } from "./command.js";
import { commands } from "./commands.js";
import type { CommandEntry } from "./commands.js";
import type { CliTerminal } from "./terminal.js";
import { styleOf } from "./terminal.js";

/** Options whose value may be left out, with the words that they take (the first one stands for none). */
const optionalValues: ReadonlyMap<string, readonly string[]> = new Map(
  TRAINER_OPTIONS.flatMap((o) => (o.optional === undefined ? [] : [[o.name.slice(2), o.optional]])),
);

/** Runs the command line `words` (after the program's name) and returns the exit code. Never throws. */
export async function runCli(words: readonly string[], cx: CliTerminal): Promise<number> {
  try {
    // `jepac help check` is `jepac check --help`, and `jepac help` the list of all.
    const meant = words[0] === "help" ? [...words.slice(1), "--help"] : words;
    const parsed = parseWords(meant, await named(meant));
    if (parsed.kind === "text") {
      (parsed.code === 0 ? cx.out : cx.err).write(`${parsed.text}\n`);
      return parsed.code;
    }
    return await parsed.command.run(parsed.args, cx);
  } catch (error) {
    return tell(error, cx);
  }
}

/** A command with what it takes. */
type Loaded = Pick<CommandEntry, "name" | "usage" | "summary"> & Command;

/** The commands that words may mean: those whose name is among them. */
async function named(words: readonly string[]): Promise<ReadonlyMap<string, Loaded>> {
  const meant = commands.filter((c) => words.includes(c.name));
  return new Map(await Promise.all(meant.map(async ({ load, ...entry }) => [entry.name, { ...entry, ...(await load()) }] as const)));
}

type Parsed =
  | { readonly kind: "run"; readonly command: Loaded; readonly args: Arguments }
  | { readonly kind: "text"; readonly text: string; readonly code: number };

function parseWords(words: readonly string[], loaded: ReadonlyMap<string, Loaded>): Parsed {
  let selected: { command: Loaded; values: Record<string, unknown> } | undefined;
  let failure: string | undefined;
  let output = "";
  let rest: readonly (string | number)[] = [];
  const parser = setUp(loaded, (command, values) => { selected = { command, values }; }).fail((message, error) => {
    failure ??= message ?? error?.message ?? "the words cannot be read";
  });
  void parser.parse(normalize(words), {}, (_error: unknown, values: { _?: readonly (string | number)[] }, text: string) => {
    output = text;
    rest = values._ ?? [];
  });
  const wantsHelp = words.includes("--help") || words.includes("-h") || words.includes("--version");
  if (output !== "" && wantsHelp) return { kind: "text", text: output, code: 0 };
  if (failure !== undefined) {
    const command = loaded.get(words.find((word) => !word.startsWith("-")) ?? "");
    refuseUnknown(words, command);
    throw new CliError(sentence(failure), `${command === undefined ? "" : `it is used as: jepac ${command.usage}; `}run it with --help to see more`);
  }
  if (selected === undefined) return unknownCommand(rest, parser);
  return { kind: "run", command: selected.command, args: strict(selected.command, selected.values) };
}

function setUp(loaded: ReadonlyMap<string, Loaded>, select: (command: Loaded, values: Record<string, unknown>) => void): Argv {
  let parser = yargs([]).scriptName("jepac").usage("$0 <command>\n\nA compiler for joint-embedding predictive models.")
    .version(version).help().alias("help", "h").locale("en").wrap(100).exitProcess(false)
    .parserConfiguration({ "dot-notation": false, "camel-case-expansion": false, "greedy-arrays": false, "parse-positional-numbers": false })
    .epilogue("`jepac <command> --help` tells more. Exit codes: 0 well, 1 the program has mistakes, 2 usage, files or engine.");
  for (const { name, usage, summary } of commands) {
    const command = loaded.get(name);
    parser = command === undefined ? parser.command(usage, summary) : parser.command(usage, summary, (y) => describe(y, command), (values) => select(command, values));
  }
  return parser;
}

function describe(y: Argv, command: Loaded): Argv {
  let parser = y.usage(`$0 ${command.usage} [options]\n\n${command.summary}`).epilogue("");
  for (const [name, help] of Object.entries(command.words)) parser = parser.positional(name, { describe: help, type: "string" });
  for (const [name, option] of Object.entries(command.options)) {
    parser = parser.option(name, {
      describe: option.help,
      ...(option.kind === "flag" ? { type: "boolean" as const } : { type: "string" as const, requiresArg: !optionalValues.has(name) }),
      ...(option.kind === "texts" ? { array: true } : {}),
      ...(option.alias === undefined ? {} : { alias: option.alias }),
      ...(option.choices === undefined ? {} : { choices: option.choices }),
      ...(option.initial === undefined ? {} : { defaultDescription: option.initial }),
    });
  }
  for (const [words, what] of command.examples) parser = parser.example(words.replace(/^jepac/, "$0"), what);
  return parser;
}

/** `--resume` and `--profile` may stand alone: they only take a following word that they know, or a number where they stand for one. */
function normalize(words: readonly string[]): string[] {
  return words.flatMap((word, at) => {
    const values = word.startsWith("--") ? optionalValues.get(word.slice(2)) : undefined;
    if (values === undefined) return [word];
    const next = words[at + 1];
    const taken = next !== undefined && (values.includes(next) || (isNumber(values[0]) && isNumber(next)));
    return taken ? [word] : [`${word}=${values[0] ?? ""}`];
  });
}

function isNumber(word: string | undefined): boolean {
  return word !== undefined && /^\d+$/.test(word);
}

function strict(command: Loaded, values: Record<string, unknown>): Arguments {
  const known = new Set(["_", "$0", "--", ...Object.keys(command.words), ...optionNames(command)]);
  for (const key of Object.keys(values)) if (!known.has(key)) throw noSuchOption(command, key);
  const extra = Array.isArray(values["_"]) ? values["_"].slice(1) : [];
  if (extra.length > 0) throw new CliError(`\`jepac ${command.name}\` does not take \`${String(extra[0])}\``, `it is used as: jepac ${command.usage}`);
  return new Arguments(values);
}

function optionNames(command: Command): string[] {
  return ["help", "h", "version", ...Object.entries(command.options).flatMap(([name, o]) => (o.alias === undefined ? [name] : [name, o.alias]))];
}

/** An option that does not exist may have taken the word that yargs says is missing: it is named first. @throws CliError */
function refuseUnknown(words: readonly string[], command: Loaded | undefined): void {
  if (command === undefined) return;
  const known = optionNames(command);
  for (const word of words) {
    if (word === "--") return;
    const name = /^--?([A-Za-z][^=]*)/.exec(word)?.[1];
    if (name !== undefined && !known.includes(name) && !known.includes(name.replace(/^no-/, ""))) throw noSuchOption(command, name);
  }
}

function noSuchOption(command: Loaded, name: string): CliError {
  const names = Object.keys(command.options);
  const near = suggest(name, names);
  return new CliError(`\`jepac ${command.name}\` has no option ${dashed(name)}`, near[0] === undefined ? `its options are ${names.map((n) => `--${n}`).join(", ") || "none"}` : `did you mean --${near[0]}?`);
}

function unknownCommand(rest: readonly (string | number)[], parser: Argv): Parsed {
  const word = rest[0] === undefined ? undefined : String(rest[0]);
  if (word === undefined) {
    let help = "";
    parser.showHelp((text) => { help = text; });
    return { kind: "text", text: help, code: 2 };
  }
  const near = suggest(word, commands.map((c) => c.name));
  throw new CliError(`there is no command \`${word}\``, near[0] === undefined ? `there are ${commands.map((c) => c.name).join(", ")}` : `did you mean \`jepac ${near[0]}\`?`);
}

/** Says what went wrong, on the error stream; returns the exit code. */
function tell(error: unknown, cx: CliTerminal): number {
  const style = styleOf(cx.err, cx.env);
  if (error instanceof CliError || error instanceof HostError) {
    cx.err.write(`${style.error("error")}: ${error.message}\n`);
    if (error.help !== undefined && error.help !== "") cx.err.write(`${style.bold("help")}: ${error.help}\n`);
    return 2;
  }
  const text = error instanceof Error ? error.stack ?? error.message : String(error);
  cx.err.write(`${style.error("error")}: this is a mistake of jepac ${version}, please report it with the program that led to it:\n${text}\n`);
  return 70;
}

function dashed(name: string): string {
  return name.length === 1 ? `-${name}` : `--${name}`;
}

/** yargs' words, on one line. */
function sentence(text: string): string {
  return text.trim().replace(/\s*\n\s*/g, " ").replace(/^Not enough non-option arguments: .*$/, "a word is missing");
}
