/**
 * The language server: what editors ask by the Language Server Protocol, answered from the checker.
 *
 * Owns which requests are answered, and with what of `compiler/editor/`. Documents and their checks are `lsp-desk.ts`, places
 * of the protocol `lsp-places.ts`, files that use one another `lsp-files.ts`. A request about a document that is not open has no answer, and is no accident.
 */
import { isDeepStrictEqual } from "node:util";
import type { CodeAction, CompletionItem, Connection, DocumentSymbol, Hover, InitializeResult, InlayHint, Position, SemanticTokens, ServerCapabilities, TextEdit } from "vscode-languageserver/node.js";
import {
  CodeActionKind, CompletionItemKind, DidChangeWatchedFilesNotification, DocumentHighlightKind, ErrorCodes, InlayHintKind, MarkupKind, ResponseError, SemanticTokensBuilder, SymbolKind, TextDocumentSyncKind,
} from "vscode-languageserver/node.js";
import type { TextDocument } from "vscode-languageserver-textdocument";
import { coloring, colors } from "../editor/colors.js";
import type { Kind } from "../editor/completion.js";
import { completions } from "../editor/completion.js";
import { hintText, hoverText, wordParts } from "../editor/hover.js";
import { keywordAt } from "../editor/keywords.js";
import type { Declared, Occurrence } from "../editor/names.js";
import { declarationOf, occurrenceAt, occurrences, originOf, placesOf } from "../editor/names.js";
import type { Entry } from "../editor/outline.js";
import { outline } from "../editor/outline.js";
import { renamable, rename } from "../editor/rename.js";
import { certainFixes } from "../messages/fixes.js";
import type { Edit, Fix } from "../messages/report.js";
import { isLibraryName } from "../std/names.js";
import { format } from "../syntax/format.js";
import { version } from "../version.js";
import type { Desk } from "./lsp-desk.js";
import { openDesk } from "./lsp-desk.js";
import type { Read } from "./lsp-places.js";
import { absoluteOf, changesOf, changesOfAll, linesOf, locationOf, rangeOf, usedAt } from "./lsp-places.js";
import type { Checked } from "./lsp-shown.js";

/** Serves one editor, whose unsaved documents are as if they lay in `cwd`. Returns at once; the connection ends with the process. */
export function serve(connection: Connection, cwd: string): void {
  let refreshes = false;
  // Hints are of the last check, which comes after the editor has asked for them.
  const desk = openDesk(connection, cwd, () => { if (refreshes) connection.languages.inlayHint.refresh(); });
  connection.onInitialize(({ capabilities: { workspace }, workspaceFolders, rootUri }): InitializeResult => {
    refreshes = workspace?.inlayHint?.refreshSupport === true;
    desk.setFolders(workspaceFolders?.map((f) => f.uri) ?? (rootUri === null || rootUri === undefined ? [] : [rootUri]));
    connection.onInitialized(() => {
      if (workspace?.didChangeWatchedFiles?.dynamicRegistration === true) void connection.client.register(DidChangeWatchedFilesNotification.type, { watchers: [{ globPattern: "**/*.jepa" }] });
      if (workspace?.workspaceFolders !== true) return;
      connection.workspace.onDidChangeWorkspaceFolders(() => { void connection.workspace.getWorkspaceFolders().then((all) => desk.setFolders(all?.map((f) => f.uri) ?? [])); });
    });
    return { serverInfo: { name: "jepac", version }, capabilities };
  });
  answerNames(connection, desk);
  answerEdits(connection, desk);
  answerWhole(connection, desk);
  connection.listen();
}

const capabilities: ServerCapabilities = {
  textDocumentSync: { openClose: true, change: TextDocumentSyncKind.Incremental, save: true },
  workspace: { workspaceFolders: { supported: true, changeNotifications: true } },
  hoverProvider: true,
  definitionProvider: true,
  referencesProvider: true,
  documentHighlightProvider: true,
  documentSymbolProvider: true,
  documentFormattingProvider: true,
  renameProvider: { prepareProvider: true },
  completionProvider: { triggerCharacters: [".", "("] },
  codeActionProvider: { codeActionKinds: [CodeActionKind.QuickFix, CodeActionKind.SourceFixAll] },
  inlayHintProvider: true,
  semanticTokensProvider: { legend: { tokenTypes: [...colors], tokenModifiers: [] }, full: true },
};

/** What asks about a place of a document. */
interface Asked {
  readonly textDocument: { readonly uri: string };
  readonly position: Position;
}

/** The name at a place. */
interface Pointed {
  readonly now: Read;
  readonly occurrence: Occurrence;
}

function pointed(desk: Desk, { textDocument: { uri }, position }: Asked): Pointed | undefined {
  const now = desk.read(uri);
  const occurrence = now === undefined ? undefined : occurrenceAt(now.files.main, now.document.offsetAt(position));
  return now === undefined || occurrence === undefined ? undefined : { now, occurrence };
}

/** The name at a place, and what declares it. */
function declaredAt(desk: Desk, asked: Asked): (Pointed & { readonly declared: Declared }) | undefined {
  const at = pointed(desk, asked);
  const declared = at === undefined ? undefined : declarationOf(at.now.files, at.occurrence);
  return at === undefined || declared === undefined ? undefined : { ...at, declared };
}

/** The declaration of the name at a place in every program that has it: of the file that declares it, and of those that use that one, open or not. */
function everywhere(connection: Connection, desk: Desk, { now, declared }: Pointed & { readonly declared: Declared }): readonly (Pointed & { readonly declared: Declared })[] {
  const { file, start } = originOf(now.files, declared).name.span;
  const { reads, whole } = isLibraryName(file) ? { reads: [], whole: true } : desk.around(absoluteOf(now.opened, file));
  if (!whole) connection.window.showWarningMessage("jepac: the folder has too many files to look at all of them; some that use this name may be left out.");
  return [now, ...reads.filter((r) => r.document.uri !== now.document.uri)].flatMap((read) => {
    const own = [read.files.main, ...read.files.used, ...read.files.library].find((f) => (isLibraryName(file) ? f.span.file === file : absoluteOf(read.opened, f.span.file) === absoluteOf(now.opened, file)));
    const occurrence = own === undefined ? undefined : occurrences(own).find((o) => o.role.kind === "declares" && o.name.span.start === start);
    const found = occurrence === undefined ? undefined : declarationOf(read.files, occurrence);
    return occurrence === undefined || found === undefined ? [] : [{ now: read, occurrence, declared: found }];
  });
}

/** What the keyword at a place means. */
function keywordHover(desk: Desk, { textDocument: { uri }, position }: Asked): Hover | null {
  const document = desk.read(uri)?.document;
  const found = document === undefined ? undefined : keywordAt(document.getText(), document.offsetAt(position));
  if (document === undefined || found === undefined) return null;
  return { contents: { kind: MarkupKind.Markdown, value: wordParts(found) }, range: { start: document.positionAt(found.start), end: document.positionAt(found.end) } };
}

/** What is asked of a name: what it is, where it comes from, where else it stands. */
function answerNames(connection: Connection, desk: Desk): void {
  connection.onHover((asked) => {
    const at = pointed(desk, asked);
    if (at === undefined) return keywordHover(desk, asked);
    const value = hoverText(at.now.files, desk.resultsNow(asked.textDocument.uri), at.occurrence);
    return value === undefined ? null : { contents: { kind: MarkupKind.Markdown, value }, range: rangeOf(at.now.document, at.occurrence.name.span) };
  });
  connection.onDefinition((asked) => {
    const at = declaredAt(desk, asked);
    if (at === undefined) {
      const now = desk.read(asked.textDocument.uri);
      return (now === undefined ? undefined : usedAt(now, now.document.offsetAt(asked.position))) ?? null;
    }
    // From a line of a variant to the one of its base that it replaces.
    const { span } = (at.occurrence.role.kind === "declares" ? originOf(at.now.files, at.declared) : at.declared).name;
    return locationOf(at.now, span) ?? null;
  });
  connection.onReferences((asked) => {
    const at = declaredAt(desk, asked);
    if (at === undefined) return null;
    const found = everywhere(connection, desk, at).flatMap(({ now, declared }) => {
      const { file, start } = originOf(now.files, declared).name.span;
      return placesOf(now.files, declared).filter((s) => asked.context.includeDeclaration || s.file !== file || s.start !== start).flatMap((s) => locationOf(now, s) ?? []);
    });
    return found.filter((one, i) => found.findIndex((other) => isDeepStrictEqual(one, other)) === i);
  });
  connection.onDocumentHighlight((asked) => {
    const at = declaredAt(desk, asked);
    if (at === undefined) return null;
    return placesOf(at.now.files, at.declared).filter((s) => s.file === at.now.opened.source.file)
      .map((s) => ({ range: rangeOf(at.now.document, s), kind: s.start === at.declared.name.span.start ? DocumentHighlightKind.Write : DocumentHighlightKind.Read }));
  });
}

/** What changes a text: renames, fixes, formatting, what may be written next. */
function answerEdits(connection: Connection, desk: Desk): void {
  connection.onPrepareRename((asked) => {
    const at = pointed(desk, asked);
    if (at === undefined) return null;
    const what = renamable(at.now.files, at.occurrence);
    return "refused" in what ? refusal(what.refused) : { range: rangeOf(at.now.document, at.occurrence.name.span), placeholder: at.occurrence.name.text };
  });
  connection.onRenameRequest((asked) => {
    const at = pointed(desk, asked);
    if (at === undefined) return null;
    const declared = renamable(at.now.files, at.occurrence);
    if ("refused" in declared) return refusal(declared.refused);
    const all: { readonly now: Read; readonly edits: readonly Edit[] }[] = [];
    for (const { now, occurrence } of everywhere(connection, desk, { ...at, declared })) {
      const result = rename(now.files, occurrence, asked.newName);
      if ("refused" in result) return refusal(now === at.now ? result.refused : `${now.opened.source.file}: ${result.refused}`);
      all.push({ now, edits: result.edits });
    }
    return changesOfAll(all) ?? refusal("The files that use this name mean different things by one of its places.");
  });
  connection.onCompletion(({ textDocument: { uri }, position }): CompletionItem[] => {
    const now = desk.read(uri);
    if (now === undefined) return [];
    return completions(now.files, now.document.getText(), now.document.offsetAt(position))
      // What fits best comes first; editors sort by letters unless told.
      .map(({ label, kind, detail, insert }, i) => ({ label, kind: completionKinds[kind], sortText: String(i).padStart(4, "0"), ...(detail === undefined ? {} : { detail }), ...(insert === undefined ? {} : { insertText: insert }) }));
  });
  connection.onDocumentFormatting(({ textDocument: { uri } }): TextEdit[] | null => {
    const now = desk.read(uri);
    if (now === undefined) return null;
    const before = now.document.getText();
    const { text, diagnostics } = format(before, now.opened.source.file);
    if (text === before || diagnostics.some((d) => d.severity === "error")) return [];
    return [{ range: { start: now.document.positionAt(0), end: now.document.positionAt(before.length) }, newText: text }];
  });
  connection.onCodeAction(({ textDocument: { uri }, range, context }): CodeAction[] => {
    const last = desk.current(uri);
    if (last === undefined) return [];
    const wanted = (kind: string): boolean => context.only === undefined || context.only.some((k) => kind === k || kind.startsWith(`${k}.`));
    const [from, to] = [last.document.offsetAt(range.start), last.document.offsetAt(range.end)];
    const quick = desk.shown(uri).filter(({ diagnostic: { span } }) => span.start <= to && from <= span.end).flatMap(({ diagnostic: { fixes }, by, told }) => fixes.flatMap((fix): CodeAction[] => {
      const edit = changesOf(by, fix.edits);
      return edit === null ? [] : [{ title: fix.title, kind: CodeActionKind.QuickFix, edit, diagnostics: [told], ...(fixes.length === 1 && fix.guess !== true ? { isPreferred: true } : {}) }];
    }));
    return [...(wanted(CodeActionKind.QuickFix) ? quick : []), ...(wanted(CodeActionKind.SourceFixAll) ? fixAll(last) : [])];
  });
}

/** What is asked of a document as a whole. */
function answerWhole(connection: Connection, desk: Desk): void {
  connection.onDocumentSymbol(({ textDocument: { uri } }) => {
    const now = desk.read(uri);
    return now === undefined ? null : outline(now.files.main).map((e) => symbolOf(now.document, e));
  });
  connection.languages.inlayHint.on(({ textDocument: { uri }, range }): InlayHint[] => {
    const now = desk.read(uri);
    if (now === undefined) return [];
    const [from, to] = [now.document.offsetAt(range.start), now.document.offsetAt(range.end)];
    return occurrences(now.files.main).flatMap((o): InlayHint[] => {
      const { span } = o.name;
      const declared = o.role.kind !== "declares" || span.end < from || span.start > to ? undefined : declarationOf(now.files, o);
      const label = declared === undefined ? undefined : hintText(declared, desk.results(uri));
      return label === undefined ? [] : [{ position: now.document.positionAt(span.end), label: `: ${label}`, kind: InlayHintKind.Type }];
    });
  });
  connection.languages.semanticTokens.on(({ textDocument: { uri } }): SemanticTokens => {
    const document = desk.read(uri)?.document;
    const builder = new SemanticTokensBuilder();
    if (document !== undefined) {
      for (const { start, end, color } of coloring(document.getText())) {
        for (const [line, from, length] of linesOf(document, start, end)) builder.push(line, from, length, colors.indexOf(color), 0);
      }
    }
    return builder.build();
  });
}

/** All fixes that are certain, as `jepac check --fix` applies them. */
function fixAll(last: Checked): CodeAction[] {
  const taken: Fix[] = [];
  const apart = (a: Edit, b: Edit): boolean => a.span.file !== b.span.file || a.span.end < b.span.start || b.span.end < a.span.start;
  for (const fix of certainFixes(last.found.diagnostics)) {
    if (fix.edits.every((e) => !isLibraryName(e.span.file) && taken.every((t) => t.edits.every((o) => apart(e, o))))) taken.push(fix);
  }
  const edit = changesOf(last, taken.flatMap((f) => f.edits));
  return taken.length === 0 || edit === null ? [] : [{ title: "Fix all that is certain (jepac)", kind: CodeActionKind.SourceFixAll, edit }];
}

function symbolOf(document: TextDocument, entry: Entry): DocumentSymbol {
  return { name: entry.name, detail: entry.detail, kind: symbolKinds[entry.kind], range: rangeOf(document, entry.span), selectionRange: rangeOf(document, entry.named), children: entry.children.map((c) => symbolOf(document, c)) };
}

function refusal(message: string): ResponseError<void> {
  return new ResponseError(ErrorCodes.InvalidRequest, message);
}

const completionKinds: Readonly<Record<Kind, CompletionItemKind>> = {
  keyword: CompletionItemKind.Keyword, function: CompletionItemKind.Function, variable: CompletionItemKind.Variable, class: CompletionItemKind.Class,
  property: CompletionItemKind.Property, constant: CompletionItemKind.Constant,
};

const symbolKinds: Readonly<Record<Entry["kind"], SymbolKind>> = {
  use: SymbolKind.Module, module: SymbolKind.Function, model: SymbolKind.Class, variant: SymbolKind.Class, train: SymbolKind.Object, probe: SymbolKind.Object,
  sweep: SymbolKind.Array, param: SymbolKind.Constant, input: SymbolKind.Field, mask: SymbolKind.Field, view: SymbolKind.Field, instance: SymbolKind.Function,
  part: SymbolKind.Function, learn: SymbolKind.Property, binding: SymbolKind.Variable, loss: SymbolKind.Event, repeat: SymbolKind.Namespace, result: SymbolKind.Variable,
  allow: SymbolKind.Key,
};
