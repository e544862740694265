/** The language server in a project of several files: mistakes in a library, names that files share, files that come and go. */
import { readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { CodeAction, Location, RegistrationParams, WorkspaceEdit } from "vscode-languageserver/node.js";
import { TextDocument } from "vscode-languageserver-textdocument";
import { editor } from "./lsp-editor.js";
import { jepac, small } from "./support.js";

const library = `/// A shared encoder.
module enc(patch, width, depth = 1) (image) -> Tokens[width] {
  part trunk = vit(patch, width, depth, heads: 2)
  trunk(image)
}

module two_layers(hidden, out) (x: Features[in]) -> Features[out] {
  part up = linear(hidden)
  part down = linear(out)
  down(gelu(up(x)))
}
`;
const base = small.replace("use std.vit", `use "./lib/encoders.jepa"`).replace("vit(4, width, depth: 1, heads: 2)", "enc(width, 4)").replace(/\nvariant wider[^]*$/, "");
const head = `use "../base.jepa"\nuse "../lib/encoders.jepa"\n\nvariant headed of tiny {\n  head top = two_layers(hidden: 32, out: 16)\n  z_hat = top(predict(z_context, at: targets))\n}\n`;
const project = {
  "lib/encoders.jepa": library,
  "base.jepa": base,
  "ablations/head.jepa": head,
  "ablations/wide.jepa": `use "../base.jepa"\n\nvariant wide of tiny {\n  param width = 32\n}\n`,
  "ablations/widest.jepa": `use "./wide.jepa"\n\nvariant widest of wide {\n  param width = 64\n  loss mse(z_hat, z_target)\n}\n`,
  "sweep.jepa": `use "./base.jepa"\n\nsweep sizes of tiny { width in [16, 32], predict.depth in [1, 2] }\n`,
  "node_modules/other/base.jepa": `use "../../base.jepa"\n\nvariant theirs of tiny {\n  param width = 8\n}\n`,
};
const broken = library.replace("linear(hidden)", "linear(hiden)");

/** What `jepac list` says of every file of a folder: parameters, FLOPs, losses and masks of its programs. */
async function listed(folder: string): Promise<string> {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".jepa") && f !== join("lib", "encoders.jepa") && !f.includes("node_modules")).toSorted();
  expect(files).toHaveLength(5);
  const { out, err, code } = await jepac(["list", ...files, "--format", "json"], { cwd: folder });
  return `${code} ${err}\n${out}`;
}

/** Writes the edits into the files. */
function save(edit: WorkspaceEdit | null): string[] {
  return Object.entries(edit?.changes ?? {}).map(([uri, edits]) => {
    const path = fileURLToPath(uri);
    writeFileSync(path, TextDocument.applyEdits(TextDocument.create(uri, "jepa", 0, readFileSync(path, "utf8")), edits));
    return path;
  });
}

test("mistakes in the modules of an open file are shown there, with their fixes, whoever uses it", async () => {
  const e = editor(project);
  // No file that uses it is open.
  const told = await e.open("lib/encoders.jepa", broken);
  expect(told.map((d) => [d.code, e.text("lib/encoders.jepa", d)])).toEqual([["JEP2001", "hiden"]]);
  expect(told[0]?.relatedInformation?.at(-1)?.location.uri).toMatch(/ablations\/head\.jepa$/);
  const [fix] = await e.ask<CodeAction[]>("textDocument/codeAction", "lib/encoders.jepa", { range: told[0]?.range, context: { diagnostics: told } });
  const mended = e.edited("lib/encoders.jepa", fix?.edit?.changes?.[e.uriOf("lib/encoders.jepa")] ?? []);
  expect(mended).toBe(library);
  const clean = e.next("lib/encoders.jepa");
  await e.change("lib/encoders.jepa", mended);
  expect(await clean).toEqual([]);
  // The same once more with one that is open: both are told, each where it stands, the library's once.
  expect(await e.open("ablations/head.jepa", head)).toEqual([]);
  const again = e.next("lib/encoders.jepa");
  await e.change("lib/encoders.jepa", broken);
  expect(await again).toHaveLength(1);
  const later = e.next("ablations/head.jepa");
  await e.change("lib/encoders.jepa", broken.replace("linear(out)", "linear(outt)"));
  expect((await later).map((d) => [d.code, d.range.start.line])).toEqual([["JEP2001", 1]]);
  // What a variant makes of the lines of a program is that variant's, and not shown in the program.
  const b = editor(project);
  expect(await b.open("base.jepa", base)).toEqual([]);
  const wide = await b.open("ablations/wide.jepa", project["ablations/wide.jepa"].replace("32", "33"));
  expect(wide.filter((d) => d.severity === 1)).toHaveLength(1);
  const same = b.next("base.jepa");
  await b.change("base.jepa", `${base}\n`);
  expect(await same).toEqual([]);
});

test.each([250, 400])("a key %i ms after a library was opened, while a file that uses it is checked, does not end what is known of that", { timeout: 60_000 }, async (ms) => {
  const many = Array.from({ length: 40 }, (_, i) => `\nvariant v${i} of tiny {\n  head top = two_layers(hidden: 32, out: ${16 + i})\n  loss mse(top(z_hat), 0)\n}\n`).join("");
  const e = editor({ "lib.jepa": broken, "user.jepa": `use "./lib.jepa"\n${small}${many}` });
  const told = e.open("lib.jepa", broken, (found) => found.length > 0);
  // Longer than the pause before a check, and shorter than forty programs take; the answer is the same at any time.
  await new Promise((resolve) => { setTimeout(resolve, ms); });
  await e.change("lib.jepa", `${broken}\n`);
  expect((await told).map((d) => d.code)).toEqual(["JEP2001"]);
});

test.for([
  ["lib/encoders.jepa", "two_layers", "mlp_of_two", ["lib/encoders.jepa", "ablations/head.jepa"]],
  ["lib/encoders.jepa", "width", "features", ["lib/encoders.jepa", "base.jepa"]],
  ["lib/encoders.jepa", "hidden", "inner", ["lib/encoders.jepa", "ablations/head.jepa"]],
  ["base.jepa", "z_hat", "guess", ["base.jepa", "ablations/head.jepa", "ablations/widest.jepa"]],
  ["ablations/head.jepa", "z_hat", "guess", ["base.jepa", "ablations/head.jepa", "ablations/widest.jepa"]],
  ["base.jepa", "width", "features", ["base.jepa", "ablations/wide.jepa", "ablations/widest.jepa", "sweep.jepa"]],
  ["base.jepa", "tiny", "model_of_all", ["base.jepa", "ablations/head.jepa", "ablations/wide.jepa", "sweep.jepa"]],
  ["base.jepa", "predict", "guesser", ["base.jepa", "ablations/head.jepa", "sweep.jepa"]],
] as const)("a rename reaches every file of the project: %s, `%s`", async ([file, from, newName, touched]) => {
  const e = editor(project);
  await e.open(file, project[file]);
  const before = await listed(e.folder);
  const position = e.place(file, from, from === "predict" ? 1 : 0);
  const places = await e.ask<Location[]>("textDocument/references", file, { position, context: { includeDeclaration: true } });
  const edit: WorkspaceEdit | null = await e.ask("textDocument/rename", file, { position, newName });
  const ofEdit = Object.entries(edit?.changes ?? {}).flatMap(([uri, edits]) => edits.filter((x) => x.newText === newName || x.newText.endsWith(`: ${newName}`)).map(({ range }) => `${uri} ${JSON.stringify(range)}`));
  expect(places.map(({ uri, range }) => `${uri} ${JSON.stringify(range)}`).toSorted()).toEqual(ofEdit.toSorted());
  expect(save(edit).toSorted()).toEqual(touched.map((name) => join(e.folder, name)).toSorted());
  // The programs are what they were, under other names.
  const words = (text: string): string => text.replaceAll(newName, from);
  expect(words(await listed(e.folder))).toBe(before);
});

test("a rename that a file of the project cannot bear is refused, with the file's name", async () => {
  const e = editor(project);
  await e.open("lib/encoders.jepa", library);
  const ask = async (newName: string): Promise<unknown> => await e.ask("textDocument/rename", "lib/encoders.jepa", { position: e.place("lib/encoders.jepa", "two_layers"), newName });
  await expect(ask("top")).rejects.toThrow("ablations/head.jepa: `top` is declared already");
  await expect(ask("enc")).rejects.toThrow("`enc` is declared already");
});

test("the line that uses a file leads to it", async () => {
  const e = editor(project);
  await e.open("ablations/wide.jepa", project["ablations/wide.jepa"]);
  const go = async (name: string, words: string): Promise<Location | null> => await e.ask("textDocument/definition", name, { position: e.place(name, words, 0, 2) });
  expect((await go("ablations/wide.jepa", "../base"))?.uri).toBe(e.uriOf("base.jepa"));
  await e.open("p.jepa", small);
  expect(dirname(fileURLToPath((await go("p.jepa", "std.vit"))?.uri ?? "file:///"))).toMatch(/compiler[\\/]std$/);
  await e.open("q.jepa", `use "./nowhere.jepa"\n${small}`);
  expect(await go("q.jepa", "./nowhere")).toBeNull();
});

test("a file is one however its address is written, and edits name it as the editor does", async () => {
  const spell = (uri: string): string => uri.replaceAll("(", "%28").replaceAll(")", "%29");
  const e = editor({ "my (1)/base.jepa": small, "my (1)/deep.jepa": `use "./base.jepa"\n\nvariant deep of tiny {\n  param width = 24\n}\n` }, { spell });
  expect(e.uriOf("my (1)/base.jepa")).toContain("%28");
  await e.open("my (1)/base.jepa", small);
  const deep = `use "./base.jepa"\n\nvariant deep of tiny {\n  param width = 24\n}\n`;
  expect(await e.open("my (1)/deep.jepa", deep)).toEqual([]);
  const later = e.next("my (1)/deep.jepa");
  await e.change("my (1)/base.jepa", small.replace("heads: 2)\n  encoder teacher", "heads: 2, hats: 1)\n  encoder teacher"));
  expect((await later).map((d) => d.code)).toEqual(["JEP2004"]);
  const edit: WorkspaceEdit | null = await e.ask("textDocument/rename", "my (1)/deep.jepa", { position: e.place("my (1)/deep.jepa", "width"), newName: "w" });
  expect(Object.keys(edit?.changes ?? {}).toSorted()).toEqual([e.uriOf("my (1)/base.jepa"), e.uriOf("my (1)/deep.jepa")]);
});

test("files that come, go or change beside the editor are seen, and what was not saved is forgotten with its window", async () => {
  const e = editor(project, { capabilities: { workspace: { didChangeWatchedFiles: { dynamicRegistration: true } } } });
  const registered = new Promise<RegistrationParams>((resolve) => {
    e.client.onRequest("client/registerCapability", (params: RegistrationParams) => {
      resolve(params);
      return null;
    });
  });
  await e.ready;
  expect((await registered).registrations).toMatchObject([{ method: "workspace/didChangeWatchedFiles", registerOptions: { watchers: [{ globPattern: "**/*.jepa" }] } }]);
  expect(await e.open("ablations/head.jepa", head)).toEqual([]);
  const changed = async (type: number): Promise<string[]> => {
    const told = e.next("ablations/head.jepa");
    await e.client.sendNotification("workspace/didChangeWatchedFiles", { changes: [{ uri: e.uriOf("lib/encoders.jepa"), type }] });
    return (await told).map((d) => `${d.code} ${d.range.start.line}`);
  };
  const [path, away] = [join(e.folder, "lib/encoders.jepa"), join(e.folder, "lib/away.jepa")];
  renameSync(path, away);
  expect(await changed(3)).toContain("JEP2028 1");
  renameSync(away, path);
  expect(await changed(1)).toEqual([]);
  writeFileSync(path, broken);
  expect(await changed(2)).toEqual(["JEP2001 1"]);
  unlinkSync(path);
  // A file that is written in the editor before it is saved is there for those that use it.
  const there = e.next("ablations/head.jepa");
  await e.open("lib/encoders.jepa", library);
  expect(await there).toEqual([]);
  const gone = e.next("ablations/head.jepa");
  await e.close("lib/encoders.jepa");
  expect((await gone).map((d) => d.code)).toContain("JEP2028");
});
