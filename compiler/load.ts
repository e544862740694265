/**
 * From a path to the files of a program: parsing the main file and everything it uses.
 *
 * Owns `use`: paths relative to the using file, the library's names, loops, and the rule that a `use` does not leave the
 * folder that the caller calls the project. Reading is a function that the caller gives, so this stays pure. Each file is
 * parsed once, whatever the number of its users.
 */
import { join } from "./base/span.js";
import { didYouMean } from "./messages/did-you-mean.js";
import type { Diagnostics } from "./messages/report.js";
import { report } from "./messages/report.js";
import type { SourceFiles } from "./check/check.js";
import type * as ast from "./syntax/ast.js";
import { parse } from "./syntax/parse.js";
import { isLibraryName, libraryName } from "./std/names.js";
import { sources } from "./std/sources.js";

/** A file that is there and holds no text of a program: why not, as the end of a sentence, and the way out. */
export interface Unreadable {
  readonly why: string;
  readonly help: string;
}

/** Gives the text of a file, or undefined when there is none (or it lies outside of what may be read). */
export type Read = (path: string) => string | Unreadable | undefined;

/** A program's files with their texts, for showing diagnostics. */
export interface Loaded extends SourceFiles {
  readonly texts: ReadonlyMap<string, string>;
}

let library: readonly ast.File[] | undefined;

/** The parsed standard library; a constant of the program, made on first use. */
function libraryFiles(): readonly ast.File[] {
  library ??= Object.entries(sources).map(([name, text]) => parse(text, libraryName(name)).ast);
  return library;
}

/** Most files that one program may use. */
const maxFiles = 256;

/** Parses `path` (with text `text`) and all that it uses. */
export function load(path: string, text: string, read: Read, diagnostics: Diagnostics): Loaded {
  const texts = new Map<string, string>([[path, text]]);
  for (const [name, source] of Object.entries(sources)) texts.set(libraryName(name), source);
  const main = parseInto(path, text, diagnostics);
  const used: ast.File[] = [];
  let lacking = false;
  const visit = (file: ast.File, active: readonly string[]): void => {
    for (const item of file.items) {
      if (item.kind !== "use") continue;
      const target = resolveUse(item, file.span.file, diagnostics);
      if (target === undefined) {
        // All parts of the library are known without `use`: a misspelt one takes no name away.
        lacking ||= item.path.kind === "file";
        continue;
      }
      if (active.includes(target)) {
        diagnostics.add(report("JEP2028", item.span, { path: target, why: "the files use each other in a loop" }, { help: `The loop is ${[...active.slice(active.indexOf(target)), target].join(" -> ")}.` }));
        continue;
      }
      if (texts.has(target)) continue;
      const part = item.path.kind === "file" && isPart(item.path.text) ? item.path : undefined;
      const content = texts.size > maxFiles || part !== undefined ? undefined : read(target);
      if (part !== undefined) {
        // No file's name: its parts are known all the same, so nothing is lacking.
        const { text: name, span } = part;
        diagnostics.add(report("JEP2028", span, { path: name, why: "a part of the library is named without quotes" }, { help: `Write \`use ${name}\`.`, fixes: [{ title: `write \`${name}\``, edits: [{ span, text: name }] }] }));
        continue;
      }
      if (typeof content !== "string") {
        const { why, help } = content ?? { why: "there is no such file in the project", help: "Check the path; it is relative to this file." };
        diagnostics.add(report("JEP2028", item.span, { path: item.path.kind === "file" ? item.path.text : target, why }, { help: `${help.slice(0, 1).toUpperCase()}${help.slice(1)}` }));
        lacking = true;
        continue;
      }
      texts.set(target, content);
      const known = diagnostics.list.length;
      const inner = parseInto(target, content, diagnostics);
      // What a mistake of grammar made unreadable may have declared any name.
      lacking ||= diagnostics.list.slice(known).some((d) => d.severity === "error");
      visit(inner, [...active, target]);
      used.push(inner);
    }
  };
  visit(main, [path]);
  return { main, used, library: libraryFiles(), lacking, texts };
}

function parseInto(path: string, text: string, diagnostics: Diagnostics): ast.File {
  const parsed = parse(text, path);
  for (const d of parsed.diagnostics) diagnostics.add(d);
  return parsed.ast;
}

/** Whether a text is the name of a part of the library. */
function isPart(name: string): boolean {
  return name.startsWith("std.") && Object.hasOwn(sources, name.slice("std.".length));
}

/** The path of a used file; undefined for library names and after a reported mistake. */
function resolveUse(item: ast.Use, from: string, diagnostics: Diagnostics): string | undefined {
  if (item.path.kind === "library") {
    const names = item.path.names.map((n) => n.text);
    const name = names.join(".");
    if (names[0] === "std" && names.length === 2 && Object.hasOwn(sources, names[1] ?? "")) return undefined;
    const known = Object.keys(sources).map((s) => `std.${s}`);
    const [first] = item.path.names;
    const last = item.path.names.at(-1);
    const at = first === undefined || last === undefined ? item.span : join(first.span, last.span);
    diagnostics.add(report("JEP2028", at, { path: name, why: "the library has no such part" }, didYouMean(name, known, at, `There are ${known.join(", ")}.`)));
    return undefined;
  }
  const path = joinPath(from, item.path.text);
  if (path !== undefined && !isLibraryName(path)) return path;
  diagnostics.add(report("JEP2028", item.span, { path: item.path.text, why: "it leaves the project" }, { help: "Use a file inside the project, by a relative path. The project is the nearest folder upward with a `package.json` or a `.git`, else the program's own folder: put an empty `package.json` where yours begins." }));
  return undefined;
}

/** Resolves a relative path against the folder of a file; undefined when it is absolute or climbs above the root. */
function joinPath(from: string, relative: string): string | undefined {
  if (relative.startsWith("/") || /^[A-Za-z]:/.test(relative) || relative.includes("\0")) return undefined;
  const absolute = from.startsWith("/");
  const parts = from.split("/").filter((p) => p !== "").slice(0, -1);
  for (const part of relative.split(/[/\\]/)) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.length === 0) return undefined;
    else parts.pop();
  }
  return (absolute ? "/" : "") + parts.join("/");
}
