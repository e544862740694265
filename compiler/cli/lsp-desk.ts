/**
 * The documents that an editor has open, and what the last check of each has found.
 *
 * Owns when a document is checked: when it is opened, and again a moment after a key, as others may use what was changed.
 * What is found is what `jepac check` finds of the same text; a file that is used counts with the text that the editor has of it.
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Connection } from "vscode-languageserver/node.js";
import { TextDocuments } from "vscode-languageserver/node.js";
import { TextDocument } from "vscode-languageserver-textdocument";
import type { Files } from "../editor/names.js";
import { load } from "../load.js";
import type { Diagnostic } from "../messages/report.js";
import { createDiagnostics } from "../messages/report.js";
import { version } from "../version.js";
import type { Found } from "./every-program.js";
import { checkEvery } from "./every-program.js";
import type { Read } from "./lsp-places.js";
import { toldOf } from "./lsp-places.js";
import { openText } from "./source.js";

/** Milliseconds without a key pressed after which a text is checked. */
const PAUSE = 120;

/** A document as it was last checked; `version` is its number then, as the document itself goes on. */
export interface Checked extends Read {
  readonly version: number;
  readonly found: Found;
}

/** What answers are given from. */
export interface Desk {
  /** The document as it is now; undefined where it is not open. */
  read(uri: string): Read | undefined;
  /** Programs of the last check, even where that is of a text before the last key: types are not lost while a line is written. */
  results(uri: string): Found["results"];
  /** The last check, where it is of the text as it is now: edits of an older one would fall in the wrong places. */
  current(uri: string): Checked | undefined;
}

/** Keeps the documents of an editor, and tells it their diagnostics. */
export function openDesk(connection: Connection, cwd: string): Desk {
  const documents = new TextDocuments(TextDocument);
  const checked = new Map<string, Checked>();
  const waiting = new Map<string, NodeJS.Timeout>();
  const unsaved = (absolute: string): string | undefined => documents.get(pathToFileURL(absolute).href)?.getText();

  const readDocument = (document: TextDocument): Read => {
    const text = document.getText();
    const opened = openText(pathOf(document.uri), text, { cwd }, unsaved);
    const { main, used, library, texts } = load(opened.source.file, text, opened.source.read ?? (() => undefined), createDiagnostics());
    return { document, opened, files: { main, used, library }, texts };
  };
  const look = (uri: string): void => {
    waiting.delete(uri);
    const document = documents.get(uri);
    if (document === undefined) return;
    try {
      const now = readDocument(document);
      const found = checkEvery(now.opened.source);
      const diagnostics = found.diagnostics.filter((d) => !isOfModules(d, now.files));
      checked.set(uri, { ...now, version: document.version, found: { ...found, diagnostics } });
      void connection.sendDiagnostics({ uri, version: document.version, diagnostics: toldOf(now, diagnostics) });
    } catch (error) {
      // A mistake of jepac's own must not take the editor's help away for the rest of the day.
      connection.console.error(`jepac ${version} could not check ${uri}: ${error instanceof Error ? error.stack ?? error.message : String(error)}`);
    }
  };
  const lookSoon = (uri: string): void => {
    clearTimeout(waiting.get(uri));
    waiting.set(uri, setTimeout(look, PAUSE, uri));
  };

  documents.onDidOpen(({ document }) => look(document.uri));
  // Others may use the file that changed. One that was just opened has been looked at.
  documents.onDidChangeContent(({ document }) => documents.keys().filter((uri) => uri !== document.uri || checked.get(uri)?.version !== document.version).forEach(lookSoon));
  connection.onDidChangeWatchedFiles(() => documents.keys().forEach(lookSoon));
  documents.onDidClose(({ document: { uri } }) => {
    clearTimeout(waiting.get(uri));
    waiting.delete(uri);
    checked.delete(uri);
    void connection.sendDiagnostics({ uri, diagnostics: [] });
  });
  documents.listen(connection);

  return {
    read(uri) {
      const document = documents.get(uri);
      return document === undefined ? undefined : readDocument(document);
    },
    results: (uri) => checked.get(uri)?.found.results ?? [],
    current(uri) {
      const last = checked.get(uri);
      return last?.version === documents.get(uri)?.version ? last : undefined;
    },
  };
}

/** A file of modules alone has nothing to compile, and is no mistake while it is written. */
function isOfModules({ code }: Diagnostic, { main }: Files): boolean {
  return code === "JEP2031" && main.items.some((i) => i.kind === "module");
}

/** The path of a document; one that was never saved is as if it lay in the folder of the server. */
function pathOf(uri: string): string {
  return uri.startsWith("file:") ? fileURLToPath(uri) : "untitled.jepa";
}
