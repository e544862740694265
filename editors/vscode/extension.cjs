/**
 * jepac in VS Code: starts `jepac lsp`, and leaves the rest to it.
 *
 * Owns when the server starts (with the first file of the language, in a trusted folder), ends and starts again (the command, a changed
 * setting), and what is said where it cannot. What the editor shows is the server's; colors before it runs are jepa.tmLanguage.json's.
 */
"use strict";
const { dirname } = require("node:path");
const { commands, window, workspace } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");
const { findServer } = require("./server.cjs");

/** The server that runs or starts; undefined where there is none. */
let client;

/** Folders in which jepac may be, that of the file first. */
function places() {
  const files = [window.activeTextEditor?.document, ...workspace.textDocuments].filter((document) => document?.languageId === "jepa" && document.uri.scheme === "file");
  return [...files.map((document) => dirname(document.uri.fsPath)), ...(workspace.workspaceFolders ?? []).map(({ uri }) => uri.fsPath)];
}

async function start() {
  if (client !== undefined || !workspace.isTrusted) return;
  const settings = workspace.getConfiguration("jepac", window.activeTextEditor?.document.uri);
  const found = findServer({ server: settings.get("server", ""), places: places() });
  if (found.missing !== undefined) return complain(found.missing, "jepac.server");
  const node = settings.get("node", "node") || "node";
  const watcher = workspace.createFileSystemWatcher("**/*.jepa");
  const started = new LanguageClient("jepac", "jepac", { command: node, args: [found.bin, "lsp"], options: { cwd: found.folder } }, {
    documentSelector: [{ scheme: "file", language: "jepa" }, { scheme: "untitled", language: "jepa" }],
    synchronize: { fileEvents: watcher },
  });
  client = started;
  try {
    await started.start();
  } catch (error) {
    if (client === started) client = undefined;
    watcher.dispose();
    return complain(`The language server did not start (${node} ${found.bin} lsp): ${error instanceof Error ? error.message : String(error)}`, "jepac.node");
  }
}

async function stop() {
  const running = client;
  client = undefined;
  await running?.dispose();
}

async function complain(what, setting) {
  const [open, again] = ["Open the setting", "Try again"];
  const answer = await window.showWarningMessage(what, open, again);
  if (answer === open) await commands.executeCommand("workbench.action.openSettings", setting);
  if (answer === again) await start();
}

/** Called by the editor with the first file of the language. */
function activate(context) {
  context.subscriptions.push(
    commands.registerCommand("jepac.restart", async () => {
      await stop();
      await start();
    }),
    workspace.onDidGrantWorkspaceTrust(() => start()),
    workspace.onDidChangeConfiguration(async (event) => {
      if (!event.affectsConfiguration("jepac.server") && !event.affectsConfiguration("jepac.node")) return;
      await stop();
      await start();
    }),
  );
  // Not awaited: where jepac is missing, the answer to that may take its time.
  void start();
}

function deactivate() {
  return stop();
}

module.exports = { activate, deactivate };
