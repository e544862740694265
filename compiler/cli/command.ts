/**
 * What a command is: data that yargs is set up from.
 *
 * Owns the shape of a command (usage, options, examples, and the function that runs it), the reading of its arguments by
 * name, and the error that ends a command with exit code 2. Commands are values, so that help, strictness and documents
 * all come from one table. Leaves the wiring to `run.ts`.
 */
import type { CliTerminal } from "./terminal.js";

/** One option. `flag` takes no value, `text` one, `texts` may be given several times. */
export interface OptionSpec {
  readonly kind: "flag" | "text" | "texts";
  readonly help: string;
  readonly alias?: string;
  readonly choices?: readonly string[];
  /** The value used when the option is absent, for help texts and readers. */
  readonly initial?: string;
}

/** A command of `jepac`. Exit codes: 0 well, 1 the program has mistakes, 2 usage, files or engine. */
export interface Command {
  /** Its words by name, as in the usage that `commands.ts` has. */
  readonly words: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, OptionSpec>>;
  /** What to type, and what it does. */
  readonly examples: readonly (readonly [string, string])[];
  readonly run: (args: Arguments, cx: CliTerminal) => Promise<number>;
}

/** A mistake on the command line, or a file that cannot be read or written: exit code 2. */
export class CliError extends Error {
  override readonly name = "CliError";
  constructor(message: string, readonly help?: string) {
    super(message);
  }
}

/** Parsed words by name. */
export class Arguments {
  constructor(private readonly values: Readonly<Record<string, unknown>>) {}

  /** The one value of an option. @throws CliError when it is given twice, or empty. */
  text(name: string): string | undefined {
    const value = this.one(name);
    if (value === "") throw new CliError(`--${name} is given an empty value`, `give it one, or leave --${name} away`);
    return value;
  }

  private one(name: string): string | undefined {
    const value = this.values[name];
    if (Array.isArray(value)) {
      if (value.length > 1) throw new CliError(`--${name} is given ${value.length} times, and takes one value`);
      return value.length === 0 ? undefined : String(value[0]);
    }
    return value === undefined ? undefined : String(value);
  }

  /** A value that the usage demands. */
  need(name: string): string {
    const value = this.one(name);
    if (value === undefined || value === "") throw new CliError(`${name} is missing`, "run the command with --help to see how it is used");
    return value;
  }

  /** A whole number from `least` on. @throws CliError for any other word. */
  whole(name: string, least: number): number | undefined {
    const text = this.text(name);
    const number = Number(text);
    if (text !== undefined && (!/^\d+$/.test(text) || !Number.isSafeInteger(number) || number < least)) throw new CliError(`--${name} takes a whole number from ${least}, not ${text}`);
    return text === undefined ? undefined : number;
  }

  texts(name: string): readonly string[] {
    const value = this.values[name];
    return value === undefined ? [] : Array.isArray(value) ? value.map(String) : [String(value)];
  }

  flag(name: string): boolean {
    return this.values[name] === true;
  }

  /** Whether it was given at all, `--no-x` included. */
  given(name: string): boolean {
    return this.values[name] !== undefined;
  }
}
