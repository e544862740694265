/**
 * The world of the command line: two streams, a folder, an input, a clock.
 *
 * Owns the choice of colour: only on a terminal, and not when `NO_COLOR` is set or the terminal is dumb; a pipe or a file
 * never gets an escape sequence. Everything a command does to the outside goes through files or through here, so that
 * tests run commands in one process.
 */
import { performance } from "node:perf_hooks";
import pc from "picocolors";
import { plain } from "../messages/render.js";
import type { Style } from "../messages/render.js";

/** Where text goes. */
export interface Stream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** What commands know of the world. */
export interface CliTerminal {
  readonly out: Stream;
  readonly err: Stream;
  /** Absolute path of the folder that relative paths start from. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** All of standard input. */
  readInput(): Promise<string>;
  /** Milliseconds. */
  clock(): number;
}

/** The terminal of this process. */
export function processTerminal(): CliTerminal {
  return { out: process.stdout, err: process.stderr, cwd: process.cwd(), env: process.env, readInput, clock: () => performance.now() };
}

/** Colours for a stream. */
export function styleOf(stream: Stream, env: CliTerminal["env"]): Style {
  const wanted = stream.isTTY === true && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  if (!wanted) return plain;
  const c = pc.createColors(true);
  return { error: (t) => c.red(c.bold(t)), warning: (t) => c.yellow(c.bold(t)), note: c.cyan, dim: c.dim, bold: c.bold, good: c.green };
}

async function readInput(): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(Buffer.from(part));
  return Buffer.concat(parts).toString("utf8");
}
