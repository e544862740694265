/** An editor that speaks the protocol with the language server in this process: texts in, answers and diagnostics out. */
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { pathToFileURL } from "node:url";
import { afterAll } from "vitest";
import type { ClientCapabilities, Diagnostic, InitializeResult, Location, Position, TextEdit } from "vscode-languageserver/node.js";
import { createConnection, createProtocolConnection, StreamMessageReader, StreamMessageWriter } from "vscode-languageserver/node.js";
import { TextDocument } from "vscode-languageserver-textdocument";
import { serve } from "../../../compiler/cli/language-server.js";
import { temporary } from "./support.js";

/** How an editor differs from a plain one. */
export interface Habits {
  readonly capabilities?: ClientCapabilities;
  /** How it writes addresses. */
  readonly spell?: (uri: string) => string;
}

/** An editor with files of a folder; `open` shows a text, which need not be the saved one. */
export function editor(files: Readonly<Record<string, string>> = {}, { capabilities = {}, spell = (uri) => uri }: Habits = {}) {
  const folder = temporary({ "package.json": "{}", ...files });
  const [up, down] = [new PassThrough(), new PassThrough()];
  serve(createConnection(new StreamMessageReader(up), new StreamMessageWriter(down)), folder);
  const client = createProtocolConnection(new StreamMessageReader(down), new StreamMessageWriter(up));
  const heard = new Map<string, Diagnostic[]>();
  const waiting = new Set<() => void>();
  client.onNotification("textDocument/publishDiagnostics", ({ uri, diagnostics }: { uri: string; diagnostics: Diagnostic[] }) => {
    heard.set(uri, diagnostics);
    for (const tell of waiting) tell();
    waiting.clear();
  });
  client.listen();
  afterAll(() => client.dispose());
  const ready = (async (): Promise<InitializeResult> => {
    const result: InitializeResult = await client.sendRequest("initialize", { processId: null, rootUri: null, capabilities });
    await client.sendNotification("initialized", {});
    return result;
  })();
  const uriOf = (name: string): string => spell(pathToFileURL(join(folder, name)).href);
  const texts = new Map<string, TextDocument>();
  /** What is told next of a document, or the next that is as wanted. */
  const next = async (name: string, wanted = (_: readonly Diagnostic[]): boolean => true): Promise<Diagnostic[]> => {
    heard.delete(uriOf(name));
    for (let told = heard.get(uriOf(name)); ; told = heard.get(uriOf(name))) {
      if (told !== undefined && wanted(told)) return told;
      await new Promise<void>((resolve) => { waiting.add(resolve); });
    }
  };
  const ask = async <T>(method: string, name: string, more: object = {}): Promise<T> => await client.sendRequest(method, { textDocument: { uri: uriOf(name) }, ...more });
  return {
    folder, ready, uriOf, next, ask, client,
    async open(name: string, text: string, wanted?: (told: readonly Diagnostic[]) => boolean): Promise<Diagnostic[]> {
      await ready;
      texts.set(name, TextDocument.create(uriOf(name), "jepa", 1, text));
      const told = next(name, wanted);
      await client.sendNotification("textDocument/didOpen", { textDocument: { uri: uriOf(name), languageId: "jepa", version: 1, text } });
      return await told;
    },
    async change(name: string, text: string): Promise<void> {
      const version = (texts.get(name)?.version ?? 0) + 1;
      texts.set(name, TextDocument.create(uriOf(name), "jepa", version, text));
      await client.sendNotification("textDocument/didChange", { textDocument: { uri: uriOf(name), version }, contentChanges: [{ text }] });
    },
    async close(name: string): Promise<void> {
      await client.sendNotification("textDocument/didClose", { textDocument: { uri: uriOf(name) } });
    },
    /** The place of the nth appearance of a text, plus so many letters. */
    place(name: string, words: string, nth = 0, plus = 0): Position {
      const document = texts.get(name);
      let at = -1;
      for (let i = 0; i <= nth; i++) at = document?.getText().indexOf(words, at + 1) ?? -1;
      if (document === undefined || at < 0) throw new Error(`${name} has no \`${words}\``);
      return document.positionAt(at + plus);
    },
    edited(name: string, edits: readonly TextEdit[]): string {
      const document = texts.get(name);
      return document === undefined ? "" : TextDocument.applyEdits(document, [...edits]);
    },
    text: (name: string, { range }: Pick<Location, "range">): string => texts.get(name)?.getText(range) ?? "",
  };
}
