/**
 * The files that an editor works with: open ones with the text that it has of them, others as they are saved.
 *
 * Owns how a document is read with all that it uses, and which files may use it: those under the editor's folders and those
 * of the projects that open documents lie in.
 */
import { fileURLToPath, pathToFileURL } from "node:url";
import type { TextDocuments } from "vscode-languageserver/node.js";
import { TextDocument } from "vscode-languageserver-textdocument";
import { load } from "../load.js";
import { createDiagnostics } from "../messages/report.js";
import { CliError } from "./command.js";
import type { Read } from "./lsp-places.js";
import type { Programs } from "./lsp-users.js";
import { programsUnder, usersOf } from "./lsp-users.js";
import { openText, projectRoot, readText } from "./source.js";

/** Files by their absolute paths. */
export interface OpenFiles {
  /** The document of a file; undefined where it is not open. */
  openAt(absolute: string): TextDocument | undefined;
  /** A document with all that it uses. */
  read(document: TextDocument): Read;
  /** A file, open or not; undefined where there is none. */
  readPath(absolute: string): Read | undefined;
  /** A file and those that use it, as far as their texts say. */
  usersOf(absolute: string): readonly string[];
  /** Whether all folders could be looked at for users. */
  isWhole(): boolean;
  /** Folders that the editor works in, by their addresses. */
  setFolders(uris: readonly string[]): void;
  /** A file may have come or gone. */
  mayHaveChanged(): void;
}

/** The files of an editor with these documents, of which unsaved ones are as if they lay in `cwd`. */
export function openFiles(documents: TextDocuments<TextDocument>, cwd: string): OpenFiles {
  let folders: readonly string[] = [];
  /** Kept until a file may have come or gone. */
  let programs: Programs | undefined;
  const openAt = (absolute: string): TextDocument | undefined => documents.all().find((d) => isFile(d) && pathOf(d.uri) === absolute);
  const addressOf = (absolute: string): string => openAt(absolute)?.uri ?? pathToFileURL(absolute).href;
  const textOf = (absolute: string): string | undefined => openAt(absolute)?.getText() ?? savedText(absolute);
  const paths = (): readonly string[] => documents.all().filter(isFile).map(({ uri }) => pathOf(uri));
  const read = (document: TextDocument): Read => {
    const text = document.getText();
    const opened = openText(pathOf(document.uri), text, { cwd }, (absolute) => openAt(absolute)?.getText());
    const { main, used, library, texts } = load(opened.source.file, text, opened.source.read ?? (() => undefined), createDiagnostics());
    return { document, opened, files: { main, used, library }, texts, addressOf };
  };
  const programsNow = (): Programs => {
    const roots = [...new Set([...folders, ...paths().map(projectRoot)])];
    programs ??= programsUnder(roots.filter((root) => !roots.some((other) => root !== other && root.startsWith(`${other}/`))));
    return programs;
  };
  return {
    openAt, read,
    readPath(absolute) {
      const text = textOf(absolute);
      return text === undefined ? undefined : read(openAt(absolute) ?? TextDocument.create(pathToFileURL(absolute).href, "jepa", 0, text));
    },
    usersOf: (absolute) => usersOf(absolute, [...new Set([...paths(), ...programsNow().paths])], textOf),
    isWhole: () => programsNow().whole,
    setFolders(uris) {
      folders = uris.filter((uri) => isFile({ uri })).map(pathOf);
      programs = undefined;
    },
    mayHaveChanged() {
      programs = undefined;
    },
  };
}

function savedText(absolute: string): string | undefined {
  try {
    return readText(absolute, absolute);
  } catch (error) {
    if (error instanceof CliError) return undefined;
    throw error;
  }
}

/** Whether a document is a file of this machine. */
export function isFile({ uri }: { readonly uri: string }): boolean {
  return /^file:\/\/(localhost)?\//.test(uri);
}

/** The path of a document; one that was never saved is as if it lay in the folder of the server. */
export function pathOf(uri: string): string {
  return isFile({ uri }) ? fileURLToPath(uri) : "untitled.jepa";
}
