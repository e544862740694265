/**
 * The language server: what editors ask by the Language Server Protocol, answered from the checker.
 *
 * Owns which requests are answered, and with what of `compiler/editor/`. Documents and their checks are `lsp-desk.ts`, places
 * of the protocol `lsp-places.ts`. A request about a document that is not open has no answer, and is no accident.
 */
import type { CodeAction, CompletionItem, Connection, DocumentSymbol, InitializeResult, InlayHint, Position, SemanticTokens, TextEdit } from "vscode-languageserver/node.js";
import {
  CodeActionKind, CompletionItemKind, DocumentHighlightKind, ErrorCodes, InlayHintKind, MarkupKind, ResponseError, SemanticTokensBuilder, SymbolKind, TextDocumentSyncKind,
} from "vscode-languageserver/node.js";
import type { TextDocument } from "vscode-languageserver-textdocument";
import { coloring, colors } from "../editor/colors.js";
import type { Kind } from "../editor/completion.js";
import { completions } from "../editor/completion.js";
import { hintText, hoverText } from "../editor/hover.js";
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
import type { Checked, Desk } from "./lsp-desk.js";
import { openDesk } from "./lsp-desk.js";
import type { Read } from "./lsp-places.js";
import { changesOf, linesOf, locationOf, rangeOf, toldOf } from "./lsp-places.js";

/** Serves one editor, whose unsaved documents are as if they lay in `cwd`. Returns at once; the connection ends with the process. */
export function serve(connection: Connection, cwd: string): void {
  connection.onInitialize((): InitializeResult => ({
    serverInfo: { name: "jepac", version },
    capabilities: {
      textDocumentSync: TextDocumentSyncKind.Incremental,
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
    },
  }));
  const desk = openDesk(connection, cwd);
  answerNames(connection, desk);
  answerEdits(connection, desk);
  answerWhole(connection, desk);
  connection.listen();
}

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

/** What is asked of a name: what it is, where it comes from, where else it stands. */
function answerNames(connection: Connection, desk: Desk): void {
  connection.onHover((asked) => {
    const at = pointed(desk, asked);
    const value = at === undefined ? undefined : hoverText(at.now.files, desk.results(asked.textDocument.uri), at.occurrence);
    return at === undefined || value === undefined ? null : { contents: { kind: MarkupKind.Markdown, value }, range: rangeOf(at.now.document, at.occurrence.name.span) };
  });
  connection.onDefinition((asked) => {
    const at = declaredAt(desk, asked);
    if (at === undefined) return null;
    // From a line of a variant to the one of its base that it replaces.
    const { span } = (at.occurrence.role.kind === "declares" ? originOf(at.now.files, at.declared) : at.declared).name;
    return locationOf(at.now, span) ?? null;
  });
  connection.onReferences((asked) => {
    const at = declaredAt(desk, asked);
    if (at === undefined) return null;
    const { file, start } = originOf(at.now.files, at.declared).name.span;
    return placesOf(at.now.files, at.declared).filter((s) => asked.context.includeDeclaration || s.file !== file || s.start !== start).flatMap((s) => locationOf(at.now, s) ?? []);
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
    const result = rename(at.now.files, at.occurrence, asked.newName);
    return "refused" in result ? refusal(result.refused) : changesOf(at.now, result.edits);
  });
  connection.onCompletion(({ textDocument: { uri }, position }): CompletionItem[] => {
    const now = desk.read(uri);
    if (now === undefined) return [];
    return completions(now.files, now.document.getText(), now.document.offsetAt(position))
      .map(({ label, kind, detail, insert }) => ({ label, kind: completionKinds[kind], ...(detail === undefined ? {} : { detail }), ...(insert === undefined ? {} : { insertText: insert }) }));
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
    const quick = last.found.diagnostics.filter(({ span }) => span.file === last.opened.source.file && span.start <= to && from <= span.end).flatMap((d) => d.fixes.flatMap((fix): CodeAction[] => {
      const edit = changesOf(last, fix.edits);
      return edit === null ? [] : [{ title: fix.title, kind: CodeActionKind.QuickFix, edit, diagnostics: toldOf(last, [d]), ...(d.fixes.length === 1 && fix.guess !== true ? { isPreferred: true } : {}) }];
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
