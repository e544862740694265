/**
 * Places of the compiler (file name, offsets) as places of the Language Server Protocol (address, line, character).
 *
 * Owns the addresses of files, those of the library included, and how diagnostics and edits look to an editor. Leaves what is
 * asked, and when, to `language-server.ts`.
 */
import { pathToFileURL } from "node:url";
import type { Diagnostic as Told, Location, Range, TextEdit, WorkspaceEdit } from "vscode-languageserver/node.js";
import { DiagnosticSeverity, DiagnosticTag } from "vscode-languageserver/node.js";
import { TextDocument } from "vscode-languageserver-textdocument";
import type { Span } from "../base/span.js";
import type { Files } from "../editor/names.js";
import { catalogue } from "../messages/catalogue.js";
import type { Diagnostic, Edit } from "../messages/report.js";
import { isLibraryName } from "../std/names.js";
import type { Opened } from "./source.js";

/** A document as it was last read. */
export interface Read {
  readonly document: TextDocument;
  readonly opened: Opened;
  readonly files: Files;
  readonly texts: ReadonlyMap<string, string>;
}

/** A range of the protocol. */
export function rangeOf(document: TextDocument, { start, end }: Span): Range {
  return { start: document.positionAt(start), end: document.positionAt(end) };
}

/** A place in any file of the program. The library's files lie beside the compiler. */
export function locationOf({ document, opened, texts }: Read, span: Span): Location | undefined {
  if (span.file === opened.source.file) return { uri: document.uri, range: rangeOf(document, span) };
  const text = texts.get(span.file);
  if (text === undefined) return undefined;
  const other = TextDocument.create(span.file, "jepa", 0, text);
  return { uri: isLibraryName(span.file) ? new URL(`../${span.file.replace(/^jepac:/, "")}`, import.meta.url).href : pathToFileURL(absoluteOf(opened, span.file)).href, range: rangeOf(other, span) };
}

function absoluteOf(opened: Opened, file: string): string {
  // What the opened file is called, taken off its path, leaves the project's folder.
  return `${opened.path.slice(0, opened.path.length - opened.source.file.length)}${file}`;
}

/** Diagnostics of a document; mistakes in files that it uses are told at the line that uses them. */
export function toldOf(now: Read, diagnostics: readonly Diagnostic[]): Told[] {
  const own = now.opened.source.file;
  const elsewhere = new Map<string, Diagnostic[]>();
  for (const d of diagnostics) if (d.span.file !== own) elsewhere.set(d.span.file, [...(elsewhere.get(d.span.file) ?? []), d]);
  return [
    ...diagnostics.filter((d) => d.span.file === own).map((d): Told => ({
      range: rangeOf(now.document, d.span),
      severity: severities[d.severity],
      code: d.code,
      source: "jepac",
      message: [d.message, ...(d.help === undefined ? [] : [d.help]), ...(d.source === undefined ? [] : [`Source: ${d.source}`])].join("\n"),
      ...(catalogue[d.code].slug.startsWith("dead/") && catalogue[d.code].slug.endsWith("-unused") ? { tags: [DiagnosticTag.Unnecessary] } : {}),
      relatedInformation: d.related.flatMap(({ span, message }) => {
        const location = locationOf(now, span);
        return location === undefined ? [] : [{ location, message }];
      }),
    })),
    ...[...elsewhere].flatMap(([file, list]): Told[] => {
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
    }),
  ];
}

/** The line that uses a file, or the first `use` that may lead to it. */
function useOf({ files: { main }, opened }: Read, file: string): Span {
  const uses = main.items.filter((i) => i.kind === "use");
  const direct = uses.find((u) => u.path.kind === "file" && file.endsWith(u.path.text.replace(/^(\.\.?\/)+/, "")));
  return (direct ?? uses.find((u) => u.path.kind === "file") ?? uses[0])?.span ?? { file: opened.source.file, start: 0, end: 0 };
}

/** Edits by address; null where one falls into the library. */
export function changesOf(now: Read, edits: readonly Edit[]): WorkspaceEdit | null {
  const changes: Record<string, TextEdit[]> = {};
  for (const { span, text } of edits) {
    const location = isLibraryName(span.file) ? undefined : locationOf(now, span);
    if (location === undefined) return null;
    (changes[location.uri] ??= []).push({ range: location.range, newText: text });
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
