/**
 * The documents that an editor has open, and what the last check of each has found.
 *
 * Owns which documents are checked: one that was opened or changed, and those that use it; when is `lsp-turns.ts`. What is
 * found is what `jepac check` finds of the same text. While a file of modules is open, files that use them are checked as
 * well, open or not: nothing else finds their mistakes.
 */
import { pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";
import type { Connection, Diagnostic as Told } from "vscode-languageserver/node.js";
import { TextDocuments } from "vscode-languageserver/node.js";
import { TextDocument } from "vscode-languageserver-textdocument";
import type { Found } from "../every-program.js";
import { checkEach } from "../every-program.js";
import type { Diagnostic } from "../messages/report.js";
import { version } from "../version.js";
import type { OpenFiles } from "./lsp-files.js";
import { isFile, openFiles, pathOf } from "./lsp-files.js";
import type { Read } from "./lsp-places.js";
import { absoluteOf } from "./lsp-places.js";
import type { Checked, Shown } from "./lsp-shown.js";
import { createTurns } from "./lsp-turns.js";
import type { Turns } from "./lsp-turns.js";
import { isUnreached, modulesOf, nameIn, shownIn, toldOf } from "./lsp-shown.js";

/** Most files that are not open and are checked all the same. */
const MOST_UNOPENED = 8;

/** What answers are given from. */
export interface Desk {
  /** The document as it is now; undefined where it is not open. */
  read(uri: string): Read | undefined;
  /** Programs of the last check, even where that is of a text before the last key: types are not lost while a line is written. */
  results(uri: string): Found["results"];
  /** The same, of a document that was opened a moment ago too: it is checked first, since who points at a name asks once. */
  resultsNow(uri: string): Found["results"];
  /** The last check, where it is of the text as it is now: edits of an older one would fall in the wrong places. */
  current(uri: string): Checked | undefined;
  /** What is shown in a document. */
  shown(uri: string): readonly Shown[];
  /** The file at an absolute path and those that use it, open or not; whether all folders could be looked at for them. */
  around(absolute: string): { readonly reads: readonly Read[]; readonly whole: boolean };
  /** Folders that the editor works in, by their addresses. */
  setFolders(uris: readonly string[]): void;
}

/** Keeps the documents of an editor, and tells it their diagnostics; `refresh` is called when checks have come to an end. */
export function openDesk(connection: Connection, cwd: string, refresh: () => void): Desk {
  const documents = new TextDocuments(TextDocument);
  const files = openFiles(documents, cwd);
  /** Checks by address: of open documents, and of files that use one and are not open. */
  const checked = new Map<string, Checked>();
  /** Addresses of files that are not open and were checked. */
  const unopened = new Set<string>();
  /** What was told last of each document, and documents that are told when all is checked. */
  const told = new Map<string, readonly Told[]>();
  const later = new Set<string>();

  /** Tells what is known of a document; of one that was not checked itself, only what is new. */
  const publish = (document: TextDocument, isNew: boolean): void => {
    const { uri } = document;
    const diagnostics = toldOf(document, checked);
    // Of a text that has gone on, it is told when that is checked.
    if (diagnostics === undefined) return;
    // What stood in its modules is not taken away before the files that use it have been checked again.
    if (diagnostics.length === 0 && isUnreached(document, checked) && (turns.isDue() || unopenedUser() !== undefined)) return void later.add(uri);
    later.delete(uri);
    const before = told.get(uri);
    told.set(uri, diagnostics);
    if (isNew || !isDeepStrictEqual(before, diagnostics)) void connection.sendDiagnostics({ uri, version: document.version, diagnostics: [...diagnostics] });
  };
  /** Checks a document, or a file that is not open. */
  const look = function* (uri: string): Generator<undefined, undefined> {
    const document = documents.get(uri);
    const now = document === undefined ? files.readPath(pathOf(uri)) : files.read(document);
    if (now === undefined) return void unopened.add(uri);
    const before = checked.get(uri);
    const { version: last } = now.document;
    const found = yield* checkEach(now.opened.source);
    // Not before: one that a key has put an end to is to be looked at again.
    if (document === undefined) unopened.add(uri);
    checked.set(uri, { ...now, version: last, found: { ...found, diagnostics: found.diagnostics.filter((d) => !isOfModules(d, now)) } });
    if (document !== undefined) publish(document, true);
    // Open files whose modules it uses, or used, may have more to show, or less.
    const touched = new Set([before, now].flatMap((r) => r?.files.used.map((f) => absoluteOf(r.opened, f.span.file)) ?? []));
    for (const other of documents.all()) if (other.uri !== uri && touched.has(pathOf(other.uri))) publish(other, false);
  };
  /** A file that is not open, and uses a module of an open one that no check has reached. */
  const unopenedUser = (): string | undefined => {
    if (unopened.size >= MOST_UNOPENED) return undefined;
    return documents.all().filter((d) => isFile(d) && isUnreached(d, checked)).flatMap((d) => files.usersOf(pathOf(d.uri)))
      .filter((path) => files.openAt(path) === undefined).map((path) => pathToFileURL(path).href).find((uri) => !unopened.has(uri));
  };
  const turns = createTurns({
    check: look,
    more: unopenedUser,
    goesOn: (uri) => documents.get(uri) !== undefined,
    // A mistake of jepac's own must not take the editor's help away for the rest of the day.
    failed(uri, error) {
      if (documents.get(uri) === undefined) unopened.add(uri);
      connection.console.error(`jepac ${version} could not check ${uri}: ${error instanceof Error ? error.stack ?? error.message : String(error)}`);
    },
    ended() {
      for (const document of documents.all()) if (later.has(document.uri)) publish(document, true);
      refresh();
    },
  });
  /** Files that are not open may have another text now, or use others. */
  const forgetUnopened = (): void => {
    for (const uri of unopened) checked.delete(uri);
    unopened.clear();
  };

  documents.onDidOpen(() => {
    files.mayHaveChanged();
    forgetUnopened();
  });
  // A document that was opened has changed as well.
  documents.onDidChangeContent(({ document: { uri } }) => {
    const path = pathOf(uri);
    if ([...unopened].some((user) => { const by = checked.get(user); return by !== undefined && nameIn(by, path) !== undefined; })) forgetUnopened();
    const text = documents.get(uri)?.getText();
    const users = [...checked].filter(([user, by]) => {
      const file = nameIn(by, path);
      // What lacks a file may have been waiting for this one.
      return user !== uri && (file === undefined ? by.found.diagnostics.some((d) => d.code === "JEP2028") : by.texts.get(file) !== text);
    });
    turns.soon([uri, ...users.map(([user]) => user)]);
  });
  documents.onDidSave(() => files.mayHaveChanged());
  connection.onDidChangeWatchedFiles(() => {
    files.mayHaveChanged();
    forgetUnopened();
    turns.soon(documents.keys());
  });
  documents.onDidClose(({ document: { uri } }) => {
    files.mayHaveChanged();
    forgetUnopened();
    turns.forget(uri);
    for (const known of [told, checked, later]) known.delete(uri);
    void connection.sendDiagnostics({ uri, diagnostics: [] });
    // What was not saved is gone: files that use it have the saved text again.
    turns.soon([...checked].filter(([, by]) => nameIn(by, pathOf(uri)) !== undefined).map(([user]) => user));
  });
  documents.listen(connection);
  return answersOf(documents, files, checked, turns);
}

function answersOf(documents: TextDocuments<TextDocument>, files: OpenFiles, checked: ReadonlyMap<string, Checked>, turns: Turns): Desk {
  const of = <T>(uri: string, answer: (document: TextDocument) => T): T | undefined => {
    const document = documents.get(uri);
    return document === undefined ? undefined : answer(document);
  };
  return {
    read: (uri) => of(uri, files.read),
    results: (uri) => checked.get(uri)?.found.results ?? [],
    resultsNow(uri) {
      if (!checked.has(uri) && documents.get(uri) !== undefined) turns.now(uri);
      return checked.get(uri)?.found.results ?? [];
    },
    current: (uri) => (checked.get(uri)?.version === documents.get(uri)?.version ? checked.get(uri) : undefined),
    shown: (uri) => of(uri, (document) => shownIn(document, checked)) ?? [],
    around: (absolute) => ({ reads: files.usersOf(absolute).flatMap((path) => files.readPath(path) ?? []).filter((read) => nameIn(read, absolute) !== undefined), whole: files.isWhole() }),
    setFolders: files.setFolders,
  };
}

/** A file of modules alone has nothing to compile, and is no mistake while it is written. */
function isOfModules({ code }: Diagnostic, read: Read): boolean {
  return code === "JEP2031" && modulesOf(read).length > 0;
}
