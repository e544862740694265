/**
 * Places of the compiler (file name, offsets) as places of the Language Server Protocol (address, line, character).
 *
 * Owns the addresses of files, those of the library included, and how diagnostics and edits look to an editor. Leaves what is
 * asked, and when, to `language-server.ts`.
 */
import { posix, resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Diagnostic as Told, Location, Range, TextEdit, WorkspaceEdit } from "vscode-languageserver/node.js";
import { DiagnosticSeverity, DiagnosticTag } from "vscode-languageserver/node.js";
import { TextDocument } from "vscode-languageserver-textdocument";
import type { Span } from "../base/span.js";
import type { Files } from "../editor/names.js";
import { catalogue } from "../messages/catalogue.js";
import type { Diagnostic, Edit } from "../messages/report.js";
import { isLibraryName, libraryName } from "../std/names.js";
import type * as ast from "../syntax/ast.js";
import type { Opened } from "./source.js";

/** A document as it was last read. */
export interface Read {
  readonly document: TextDocument;
  readonly opened: Opened;
  readonly files: Files;
  readonly texts: ReadonlyMap<string, string>;
  /** The address of a file by its absolute path, as the editor writes it where it has the file open. */
  addressOf(absolute: string): string;
}

/** A range of the protocol. */
export function rangeOf(document: TextDocument, { start, end }: Span): Range {
  return { start: document.positionAt(start), end: document.positionAt(end) };
}

/** A place in any file of the program. The library's files lie beside the compiler. */
export function locationOf(now: Read, span: Span): Location | undefined {
  const { document, opened, texts } = now;
  if (span.file === opened.source.file) return { uri: document.uri, range: rangeOf(document, span) };
  const text = texts.get(span.file);
  if (text === undefined) return undefined;
  const other = TextDocument.create(span.file, "jepa", 0, text);
  return { uri: isLibraryName(span.file) ? new URL(`../${span.file.replace(/^jepac:/, "")}`, import.meta.url).href : now.addressOf(absoluteOf(opened, span.file)), range: rangeOf(other, span) };
}

/** The absolute path of a file of the opened one's project. */
export function absoluteOf(opened: Opened, file: string): string {
  // What the opened file is called, taken off its path, leaves the project's folder.
  return resolve(opened.path.slice(0, opened.path.length - opened.source.file.length), file);
}

/** The beginning of the file that the `use` at an offset names. */
export function usedAt(now: Read, offset: number): Location | undefined {
  const use = now.files.main.items.find((i) => i.kind === "use" && i.span.start <= offset && offset <= i.span.end);
  if (use?.kind !== "use") return undefined;
  const file = use.path.kind === "file" ? joined(now.opened.source.file, use.path.text) : libraryName(use.path.names.at(-1)?.text ?? "");
  return locationOf(now, { file, start: 0, end: 0 });
}

/** A diagnostic of a document, found by checking `now`: of the document itself, or of one that uses it. */
export function toldIn(document: TextDocument, now: Read, d: Diagnostic): Told {
  const within = document.uri === now.document.uri ? [] : [{ location: { uri: now.document.uri, range: rangeOf(now.document, useOf(now, d.span.file)) }, message: "found in a program of this file" }];
  return {
    range: rangeOf(document, d.span),
    severity: severities[d.severity],
    code: d.code,
    source: "jepac",
    message: [d.message, ...(d.help === undefined ? [] : [d.help]), ...(d.source === undefined ? [] : [`Source: ${d.source}`])].join("\n"),
    ...(catalogue[d.code].slug.startsWith("dead/") && catalogue[d.code].slug.endsWith("-unused") ? { tags: [DiagnosticTag.Unnecessary] } : {}),
    relatedInformation: [...d.related.flatMap(({ span, message }) => {
      const location = locationOf(now, span);
      return location === undefined ? [] : [{ location, message }];
    }), ...within],
  };
}

/** Mistakes in files that a document uses, told at the lines that use them. */
export function toldAtUses(now: Read, diagnostics: readonly Diagnostic[]): Told[] {
  const elsewhere = new Map<string, Diagnostic[]>();
  for (const d of diagnostics) if (d.span.file !== now.opened.source.file) elsewhere.set(d.span.file, [...(elsewhere.get(d.span.file) ?? []), d]);
  return [...elsewhere].flatMap(([file, list]): Told[] => {
    const worst = list.find((d) => d.severity === "error") ?? list[0];
    if (worst === undefined) return [];
    return [{
      range: rangeOf(now.document, useOf(now, file)), severity: severities[worst.severity], code: worst.code, source: "jepac",
      message: `${file}: ${worst.message}${list.length === 1 ? "" : ` (and ${list.length - 1} more)`}`,
      relatedInformation: list.flatMap((d) => {
        const location = locationOf(now, d.span);
        return location === undefined ? [] : [{ location, message: d.message }];
      }),
    }];
  });
}

/** The line that uses a file, or the one that leads to it. */
function useOf({ files, opened }: Read, file: string): Span {
  const targets = (from: ast.File): (readonly [string, Span])[] => from.items.flatMap((i) => (i.kind === "use" && i.path.kind === "file" ? [[joined(from.span.file, i.path.text), i.span] as const] : []));
  const leads = (from: string, seen: ReadonlySet<string>): boolean => from === file || (!seen.has(from) && files.used.some((f) => f.span.file === from && targets(f).some(([to]) => leads(to, new Set([...seen, from])))));
  const uses = targets(files.main);
  const direct = uses.find(([to]) => to === file) ?? uses.find(([to]) => leads(to, new Set()));
  return direct?.[1] ?? { file: opened.source.file, start: 0, end: 0 };
}

function joined(from: string, path: string): string {
  return posix.join(posix.dirname(from), path.replaceAll("\\", "/"));
}

/** Edits by address; null where one falls into the library. */
export function changesOf(now: Read, edits: readonly Edit[]): WorkspaceEdit | null {
  return changesOfAll([{ now, edits }]);
}

/** Edits that several programs have, each once; null where one falls into the library, or two are of one place. */
export function changesOfAll(all: readonly { readonly now: Read; readonly edits: readonly Edit[] }[]): WorkspaceEdit | null {
  const changes: Record<string, TextEdit[]> = {};
  for (const { now, edits } of all) {
    for (const { span, text } of edits) {
      const location = isLibraryName(span.file) ? undefined : locationOf(now, span);
      if (location === undefined) return null;
      const list = (changes[location.uri] ??= []);
      const other = list.find((e) => isDeepStrictEqual(e.range, location.range));
      if (other === undefined) list.push({ range: location.range, newText: text });
      else if (other.newText !== text) return null;
    }
  }
  return { changes };
}

/** A piece of text by lines, as the protocol wants it: line, first character, length. */
export function linesOf(document: TextDocument, start: number, end: number): (readonly [number, number, number])[] {
  const [from, to] = [document.positionAt(start), document.positionAt(end)];
  return Array.from({ length: to.line - from.line + 1 }, (_, i): readonly [number, number, number] => {
    const line = from.line + i;
    const first = i === 0 ? from.character : 0;
    const last = line === to.line ? to.character : document.getText({ start: { line, character: 0 }, end: { line: line + 1, character: 0 } }).replace(/[\r\n]+$/, "").length;
    return [line, first, last - first];
  }).filter(([, , length]) => length > 0);
}

const severities: Readonly<Record<Diagnostic["severity"], DiagnosticSeverity>> = { error: DiagnosticSeverity.Error, warning: DiagnosticSeverity.Warning, note: DiagnosticSeverity.Information };
