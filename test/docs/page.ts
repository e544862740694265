/**
 * Pages as tests: the fenced blocks of a Markdown file, and the comparison of output with elisions.
 *
 * In expected output, a line that is only `…` stands for any lines, and `…` inside a line for any text of that line.
 * `[exit 1]` as the last line says how the command ended; without it, it ended with 0.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's folder. */
export const root = fileURLToPath(new URL("../../", import.meta.url)).replace(/[\\/]$/, "");

/** One fenced block. */
export interface Block {
  /** What follows the fence: `jepa,error JEP2001`. */
  readonly info: string;
  readonly text: string;
  readonly line: number;
}

/** The fenced blocks of a page of the repository. */
export function blocksOf(page: string): Block[] {
  const text = readFileSync(join(root, page), "utf8");
  return [...text.matchAll(/^```([^\n]*)\n([^]*?)^```$/gm)].map((m) => ({ info: (m[1] ?? "").trim(), text: m[2] ?? "", line: text.slice(0, m.index).split("\n").length }));
}

/** One command of a console block, and what it should print. */
export interface Session {
  readonly command: string;
  readonly expected: string;
  readonly code: number;
  readonly line: number;
}

/** The commands of a console block. */
export function sessionsOf(block: Block): Session[] {
  const sessions: { command: string; lines: string[]; line: number }[] = [];
  block.text.trimEnd().split("\n").forEach((line, i) => {
    if (line.startsWith("$ ")) sessions.push({ command: line.slice(2), lines: [], line: block.line + 1 + i });
    else sessions.at(-1)?.lines.push(line);
  });
  return sessions.map(({ command, lines, line }) => {
    const exit = /^\[exit (\d+)\]$/.exec(lines.at(-1) ?? "");
    return { command, line, code: Number(exit?.[1] ?? "0"), expected: (exit === null ? lines : lines.slice(0, -1)).join("\n") };
  });
}

/** Whether output is as a page shows it. */
export function matches(output: string, expected: string): boolean {
  const escape = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  const lines = expected.split("\n").map((line) => (line.trim() === "…" ? undefined : line.split("…").map(escape).join("[^\\n]*")));
  let pattern = "";
  lines.forEach((line, i) => {
    if (line === undefined) pattern += "(?:[^\\n]*\\n)*?";
    else pattern += line + (i === lines.length - 1 ? "\\n?" : "\\n");
  });
  if (lines.at(-1) === undefined) pattern += "[^]*";
  return new RegExp(`^${pattern}$`).test(output === "" || output.endsWith("\n") ? output : `${output}\n`);
}
