/**
 * `jepac lsp`: the language server, for editors.
 *
 * Owns the connection: the protocol's messages on standard input and output, as editors start servers. What is answered is
 * `language-server.ts`. The protocol's library is loaded here and nowhere else: no other command waits for it.
 */
import type { Command } from "./command.js";

export const lspCommand: Command = {
  words: {},
  options: { stdio: { kind: "flag", help: "what some editors add; nothing else is spoken" } },
  examples: [["jepac lsp", "as an editor starts it: see docs/editors.md"]],
  async run(_args, cx) {
    const [{ createConnection, ProposedFeatures }, { serve }] = await Promise.all([import("vscode-languageserver/node.js"), import("./language-server.js")]);
    serve(createConnection(ProposedFeatures.all, process.stdin, process.stdout), cx.cwd);
    // The connection ends the process, by the protocol's `exit` or when the editor goes away.
    return await new Promise<number>(() => undefined);
  },
};
