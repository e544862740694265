/**
 * From a path on the command line to a program text that the compiler can be given.
 *
 * Owns the project: the nearest folder upward with a `package.json` or a `.git`, else the file's own folder. Files are
 * named relative to it, so that a compiled program says the same wherever the project lies, and `use` can be held to it:
 * nothing outside is read, symbolic links followed. Shown to people, files get the kind of name
 * that they used.
 */
import { existsSync, readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import type { ProgramOptions, Source } from "../compile.js";
import type { Diagnostic } from "../messages/report.js";
import type { Span } from "../base/span.js";
import { suggest } from "../base/suggest.js";
import { decode } from "../base/text.js";
import { systemCode } from "../../runtime/base/errors.js";
import type { Read } from "../load.js";
import { isLibraryName } from "../std/names.js";
import type { Static } from "../check/values.js";
import type { Arguments, OptionSpec } from "./command.js";
import { CliError } from "./command.js";
import type { CliTerminal } from "./terminal.js";

/** Longest file that is read at all; the compiler reads less of it and says so. */
const mostBytes = 64 * 2 ** 20;
const ENDING = ".jepa";

/** A program file that has been read. */
export interface Opened {
  readonly source: Source;
  /** Absolute. */
  readonly path: string;
  /** The name people know the file by: absolute when they gave it so, else relative to the folder they are in. */
  readonly shown: string;
  /** The name of a file of the project as people know it. */
  show(file: string): string;
}

/** Reads the program at `path`. @throws CliError when it cannot be read. */
export function openSource(path: string, cx: Pick<CliTerminal, "cwd">): Opened {
  return openText(path, readText(resolve(cx.cwd, path), path), cx);
}

/** The program at `path` with a text that may not be saved yet; `unsaved` gives such texts of other files, by absolute path. */
export function openText(path: string, text: string, cx: Pick<CliTerminal, "cwd">, unsaved?: (absolute: string) => string | undefined): Opened {
  const absolute = resolve(cx.cwd, path);
  const root = projectRoot(absolute);
  const name = (file: string): string => slashes(relative(root, file));
  const show = (file: string): string => (isLibraryName(file) ? file : slashes(isAbsolute(path) ? join(root, file) : relative(cx.cwd, join(root, file))));
  const read: Read = (file) => unsaved?.(join(root, file)) ?? readInside(root, join(root, file));
  return { source: { file: name(absolute), text, read }, path: absolute, shown: show(name(absolute)), show };
}

/** The text of a file that a person named. @throws CliError with the path and the reason. */
export function readText(absolute: string, shown: string): string {
  try {
    const found = statSync(absolute);
    if (found.isDirectory()) throw new CliError(`cannot read ${shown}: it is a folder`, "name a file, or all programs of a folder by folder/*.jepa");
    if (found.size > mostBytes) throw new CliError(`cannot read ${shown}: it has ${found.size} bytes, and a program has at most ${mostBytes}`);
    const text = decode(readFileSync(absolute));
    if (typeof text === "string") return text;
    throw new CliError(`cannot read ${shown}: ${text.why}`, text.help);
  } catch (error) {
    if (error instanceof CliError) throw error;
    const meant = systemCode(error) === "ENOENT" ? nearestProgram(absolute) : undefined;
    throw new CliError(`cannot read ${shown}: ${reason(error)}`, meant === undefined ? undefined : `did you mean ${slashes(join(dirname(shown), meant))}?`);
  }
}

/** The program that a name may mean which is no file: the one with an ending, else the one spelled most like it in that folder. */
function nearestProgram(absolute: string): string | undefined {
  const [folder, wanted] = [dirname(absolute), basename(absolute)];
  const programs = existsSync(folder) ? readdirSync(folder).filter((name) => name.endsWith(ENDING)) : [];
  if (programs.includes(wanted + ENDING)) return wanted + ENDING;
  const [near] = suggest(wanted.replace(/\.\w+$/, ""), programs.map((name) => name.slice(0, -ENDING.length)));
  return near === undefined ? undefined : near + ENDING;
}

/** Why a file operation failed, in words. */
export function reason(error: unknown): string {
  const code = systemCode(error);
  const words: Readonly<Record<string, string>> = {
    ENOENT: "there is no such file", EACCES: "permission denied", EISDIR: "it is a folder", ENOTDIR: "a part of the path is not a folder",
    ELOOP: "its symbolic links go in a circle", ENAMETOOLONG: "the name is too long", EPERM: "not permitted", EROFS: "the file system is read-only",
  };
  return words[code] ?? (error instanceof Error ? error.message : String(error));
}

/** The nearest folder upward with a `package.json` or a `.git`, else the file's own. */
export function projectRoot(file: string): string {
  const own = dirname(file);
  for (let folder = own; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json")) || existsSync(join(folder, ".git"))) return folder;
    if (dirname(folder) === folder) return own;
  }
}

/** Reads a file only when it really lies inside the project. */
function readInside(root: string, file: string): ReturnType<Read> {
  try {
    const real = realpathSync(file);
    const inside = real.startsWith(realpathSync(root) + sep);
    const found = inside ? statSync(real) : undefined;
    return found?.isFile() === true && found.size <= mostBytes ? decode(readFileSync(real)) : undefined;
  } catch {
    return undefined;
  }
}

function slashes(path: string): string {
  return path.replaceAll("\\", "/");
}

/** Diagnostics with the names of their files as people know them. */
export function shownDiagnostics(diagnostics: readonly Diagnostic[], opened: Opened): Diagnostic[] {
  const move = (span: Span): Span => ({ ...span, file: opened.show(span.file) });
  return diagnostics.map((d) => ({
    ...d,
    span: move(d.span),
    related: d.related.map((r) => ({ ...r, span: move(r.span) })),
    fixes: d.fixes.map((f) => ({ ...f, edits: f.edits.map((e) => ({ ...e, span: move(e.span) })) })),
  }));
}

/** Texts by the names that people know. */
export function shownTexts(texts: ReadonlyMap<string, string>, opened: Opened): Map<string, string> {
  return new Map([...texts].map(([file, text]) => [opened.show(file), text]));
}

/** The options that choose a program of a file and change its numbers. */
export const programOptions: Readonly<Record<string, OptionSpec>> = {
  program: { kind: "text", help: "the model or variant to take (the first model, else the first variant)" },
  set: { kind: "texts", help: "another value for a param or an option: width=64, predict.depth=6 (may be repeated)" },
};

/** Reads `--program` and `--set`. @throws CliError */
export function readProgramOptions(args: Arguments): ProgramOptions {
  const program = args.text("program");
  const set = readSettings(args.texts("set"));
  return { ...(program === undefined ? {} : { program }), ...(Object.keys(set).length === 0 ? {} : { set }) };
}

function readSettings(words: readonly string[]): Record<string, Static> {
  const settings = new Map<string, Static>();
  for (const word of words) {
    const at = word.indexOf("=");
    const name = word.slice(0, at).trim();
    if (at < 1 || name === "") throw new CliError(`--set takes name=value, not \`${word}\``, "write, for example, --set width=64");
    if (settings.has(name)) throw new CliError(`--set gives \`${name}\` twice`);
    settings.set(name, readValue(word.slice(at + 1).trim()));
  }
  return Object.fromEntries(settings);
}

function readValue(text: string): Static {
  if (/^[+-]?(\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) return Number(text.replaceAll("_", ""));
  if (text === "true" || text === "false") return text === "true";
  return text.replace(/^"(.*)"$/, "$1");
}
