/**
 * What an editor is shown in a document, of all that checks have found.
 *
 * Owns the rule for files that use one another: programs are checked by themselves, modules where they are used. A document
 * shows what its own check found in it, what checks of others found in its modules, and at its `use` lines what its check
 * found in files that it uses. A check of a text that has gone on since shows nothing.
 */
import type { Diagnostic as Told } from "vscode-languageserver/node.js";
import type { TextDocument } from "vscode-languageserver-textdocument";
import type { Found } from "../every-program.js";
import type { Diagnostic } from "../messages/report.js";
import { isLibraryName } from "../std/names.js";
import type * as ast from "../syntax/ast.js";
import type { Read } from "./lsp-places.js";
import { absoluteOf, toldAtUses, toldIn } from "./lsp-places.js";

/** A document as it was last checked; `version` is its number then, as the document itself goes on. */
export interface Checked extends Read {
  readonly version: number;
  readonly found: Found;
}

/** A diagnostic of a document as it is shown, and the check that found it. */
export interface Shown {
  readonly diagnostic: Diagnostic;
  readonly by: Checked;
  readonly told: Told;
}

/** What is shown at places of a document itself. */
export function shownIn(document: TextDocument, all: ReadonlyMap<string, Checked>): readonly Shown[] {
  const own = all.get(document.uri);
  if (own?.version !== document.version) return [];
  const list = own.found.diagnostics.filter((d) => d.span.file === own.opened.source.file).map((diagnostic): Shown => ({ diagnostic, by: own, told: toldIn(document, own, diagnostic) }));
  for (const by of all.values()) {
    const file = by === own || by.version !== by.document.version ? undefined : nameIn(by, own.opened.path);
    if (file === undefined || by.texts.get(file) !== document.getText()) continue;
    for (const diagnostic of by.found.diagnostics.filter((d) => d.span.file === file && modulesOf(own).some((m) => isInside(m, d)))) {
      const { code, message, span } = diagnostic;
      const known = list.some(({ diagnostic: o }) => o.code === code && o.message === message && o.span.start === span.start && o.span.end === span.end);
      if (!known) list.push({ diagnostic, by, told: toldIn(document, by, diagnostic) });
    }
  }
  return list;
}

/** All that is told of a document; undefined while its text has no check. */
export function toldOf(document: TextDocument, all: ReadonlyMap<string, Checked>): readonly Told[] | undefined {
  const own = all.get(document.uri);
  return own?.version === document.version ? [...shownIn(document, all).map((s) => s.told), ...toldAtUses(own, own.found.diagnostics)] : undefined;
}

/** Whether a document has a module that no check has reached. */
export function isUnreached(document: TextDocument, all: ReadonlyMap<string, Checked>): boolean {
  const own = all.get(document.uri);
  if (own === undefined) return false;
  const users = [...all.values()].flatMap((by) => {
    const file = nameIn(by, own.opened.path);
    return file !== undefined && by.texts.get(file) === document.getText() ? [{ file, found: by.found }] : [];
  });
  return !modulesOf(own).every((module) => users.some(({ file, found }) =>
    found.results.some((r) => r.graph?.funcs.some((f) => f.module === module.name.text)) || found.diagnostics.some((d) => d.span.file === file && isInside(module, d))));
}

/** What a file is called in a program, which has it; undefined where it has not. */
export function nameIn(read: Read, absolute: string): string | undefined {
  return [...read.texts.keys()].find((file) => !isLibraryName(file) && absoluteOf(read.opened, file) === absolute);
}

/** The modules of a document. */
export function modulesOf({ files: { main } }: Read): readonly ast.Module[] {
  return main.items.flatMap((i) => (i.kind === "module" ? [i] : []));
}

function isInside({ span }: ast.Module, d: Diagnostic): boolean {
  return span.start <= d.span.start && d.span.start <= span.end;
}
