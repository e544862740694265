/** The language server as an editor meets it: requests of the protocol in, answers and diagnostics out. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type {
  CodeAction, CompletionItem, DocumentHighlight, DocumentSymbol, Hover, InitializeResult, InlayHint, Location, SemanticTokens, TextEdit, WorkspaceEdit,
} from "vscode-languageserver/node.js";
import { createProtocolConnection, StreamMessageReader, StreamMessageWriter } from "vscode-languageserver/node.js";
import { TextDocument } from "vscode-languageserver-textdocument";
import { editor } from "./lsp-editor.js";
import { jepac, root, small } from "./support.js";

const hoverOf = (hover: Hover | null): string => (hover !== null && typeof hover.contents === "object" && "value" in hover.contents ? hover.contents.value : "");

test("diagnostics are those of `jepac check`, again after each change, and go when the file is closed", async () => {
  const broken = small.replace("at: targets)", "at: target)");
  const e = editor({ "p.jepa": broken });
  const told = await e.open("p.jepa", broken);
  const { out } = await jepac(["check", "p.jepa", "--format", "json"], { cwd: e.folder });
  const checked: { diagnostics: { code: string; message: string; start: { line: number; column: number } }[] } = JSON.parse(out);
  expect(checked.diagnostics.length).toBeGreaterThan(0);
  expect(told.map((d) => [d.code, d.range.start.line + 1, d.range.start.character + 1])).toEqual(checked.diagnostics.map((d) => [d.code, d.start.line, d.start.column]));
  expect(told[0]?.message).toContain("Did you mean `targets`");
  const later = e.next("p.jepa");
  await e.change("p.jepa", small);
  expect(await later).toEqual([]);
  const last = e.next("p.jepa");
  await e.change("p.jepa", broken);
  expect(await last).toHaveLength(told.length);
  const gone = e.next("p.jepa");
  await e.close("p.jepa");
  expect(await gone).toEqual([]);
});

test("a collapse is refused in the editor, and its fix mends it", async () => {
  const open = small.replace("stopgrad(normalize(teacher(image)))", "normalize(student(image))");
  const e = editor();
  const told = await e.open("p.jepa", open);
  const collapse = told.find((d) => d.code === "JEP4001");
  expect(collapse?.severity).toBe(1);
  const actions = await e.ask<CodeAction[]>("textDocument/codeAction", "p.jepa", { range: collapse?.range, context: { diagnostics: [] } });
  const stop = actions.find((a) => a.title.startsWith("Stop the gradient"));
  const later = e.next("p.jepa");
  await e.change("p.jepa", e.edited("p.jepa", stop?.edit?.changes?.[e.uriOf("p.jepa")] ?? []));
  expect((await later).filter((d) => d.severity === 1)).toEqual([]);
});

test("all certain fixes at once are what `jepac check --fix` leaves", async () => {
  const broken = small.replace("at: targets)", "at: target)").replace("epochs", "epoch").replace("min_keep: 0)", "min_kep: 0)");
  const e = editor({ "p.jepa": broken });
  await e.open("p.jepa", broken);
  const range = { start: { line: 0, character: 0 }, end: { line: 99, character: 0 } };
  const [all] = await e.ask<CodeAction[]>("textDocument/codeAction", "p.jepa", { range, context: { diagnostics: [], only: ["source.fixAll"] } });
  const once = e.edited("p.jepa", all?.edit?.changes?.[e.uriOf("p.jepa")] ?? []);
  expect(once).not.toBe(broken);
  await jepac(["check", "p.jepa", "--fix"], { cwd: e.folder });
  expect(readFileSync(join(e.folder, "p.jepa"), "utf8")).toBe(once);
});

test("a hover tells types, places, sizes and verdicts, each in its own program", async () => {
  const e = editor();
  await e.open("p.jepa", small);
  const hover = async (words: string, nth = 0, plus = 0): Promise<string> => hoverOf(await e.ask("textDocument/hover", "p.jepa", { position: e.place("p.jepa", words, nth, plus) }));
  expect(await hover("z_context")).toContain("z_context: f32[batch B, token K_context, feature 16]");
  expect(await hover("z_context")).toContain("At `context`.");
  expect(await hover("z_target = ")).toContain("In latent(teacher)");
  expect(await hover("teacher =")).toMatch(/follows `student`, momentum 0\.99 -> 1/);
  expect(await hover("student =")).toMatch(/`vit`, 4,096 \+ 256 fixed parameters, trained by `smooth_l1`/);
  expect(await hover("context =")).toMatch(/On a grid of 4x4, one set an image of 1 to 9 of 16 positions\. It keeps \d/);
  expect(await hover("targets =")).toMatch(/On a grid of 4x4, 2 sets an image, each of 1 to 4 of 16 positions\.$/);
  expect(await hover("encoder", 0, 3)).toMatch(/^```jepa\nencoder student[^]*a latent space of its own/);
  expect(await hover("smooth_l1")).toMatch(/0\.5 d²\/β[^]*trains `student`, `predict`[^]*\*\*sound\*\*[^]*is held by dynamics/);
  expect(await hover("vit(4", 0, 1)).toMatch(/module vit\(patch/);
  expect(await hover("width: 8")).toMatch(/^```jepa\nwidth\n```\n\nA parameter of `vit_predictor`/);
  expect(await hover("stopgrad")).toContain("stopgrad(x)");
  expect(await hover("linear(on")).toMatch(/linear\(on: teacher, pool: mean\)[^]*a linear classifier on frozen features/);
  expect(await hover("tiny {")).toMatch(/A very small I-JEPA\.[^]*parameters[^]*\*\*sound\*\*/);
  // The variant is twice as wide.
  expect(await hover("width = 32")).toContain("param width = 32");
  expect(await hover("batch ")).toContain("Images a step.");
  expect(await hover("shapes(")).toMatch(/shapes\(count: 4096\)[^]*Generated pictures of shapes/);
  expect(await hover("block(")).toContain("a rectangle of the grid");
  expect(await hover("of tiny", 0, 4)).toContain("model tiny");
  expect(await hover("width", 0, 1)).toContain("param width = 16");
  expect(hoverOf(await e.ask("textDocument/hover", "p.jepa", { position: { line: 1, character: 0 } }))).toBe("");
});

test("a hover on a document that was opened just now knows types and sizes, and its check is told once", async () => {
  const e = editor();
  const told = e.open("p.jepa", small);
  await e.ready;
  const hover = hoverOf(await e.ask("textDocument/hover", "p.jepa", { position: e.place("p.jepa", "z_context") }));
  expect(hover).toContain("z_context: f32[batch B, token K_context, feature 16]");
  expect(await told).toEqual([]);
});

test("names lead to their declarations: in the file, in a file it uses, in the library", async () => {
  const e = editor({ "base.jepa": small });
  const text = `use "./base.jepa"\n\nvariant deep of tiny {\n  predictor predict = vit_predictor(width: 8, depth: 2, heads: 2)\n}\n`;
  await e.open("p.jepa", text);
  const go = async (words: string, plus = 0): Promise<Location | null> => await e.ask("textDocument/definition", "p.jepa", { position: e.place("p.jepa", words, 0, plus) });
  const base = await go("tiny");
  expect(base?.uri).toBe(e.uriOf("base.jepa"));
  expect(small.split("\n")[base?.range.start.line ?? 0]).toBe("model tiny {");
  const library = await go("vit_predictor");
  const source = readFileSync(fileURLToPath(library?.uri ?? "file:///"), "utf8").split("\n")[library?.range.start.line ?? 0];
  expect(source).toMatch(/^module vit_predictor\(/);
  const argument = await go("depth: 2");
  expect(argument?.uri).toBe(library?.uri);
  expect(argument?.range.start.line).toBe(library?.range.start.line);
  await e.open("q.jepa", small);
  const use: Location | null = await e.ask("textDocument/definition", "q.jepa", { position: e.place("q.jepa", "z_context, at") });
  expect(e.text("q.jepa", { range: use?.range ?? { start: { line: 0, character: 0 }, end: { line: 0, character: 0 } } })).toBe("z_context");
  expect(use?.range.start).toEqual(e.place("q.jepa", "z_context ="));
});

test("places of a name, and highlights, are all of them and no others", async () => {
  const e = editor();
  await e.open("p.jepa", small);
  const places: Location[] = await e.ask("textDocument/references", "p.jepa", { position: e.place("p.jepa", "targets"), context: { includeDeclaration: true } });
  expect(places.map((p) => p.range.start)).toEqual([0, 1, 2, 3].map((i) => e.place("p.jepa", "targets", i)));
  const marks: DocumentHighlight[] = await e.ask("textDocument/documentHighlight", "p.jepa", { position: e.place("p.jepa", "targets", 2) });
  expect(marks.map((m) => m.kind)).toEqual([3, 2, 2, 2]);
});

test("a rename keeps the meaning: bare arguments say their place, and what would change another is refused", async () => {
  const e = editor();
  await e.open("p.jepa", small);
  const named = async (words: string, newName: string, nth = 0): Promise<string> => {
    const edit: WorkspaceEdit | null = await e.ask("textDocument/rename", "p.jepa", { position: e.place("p.jepa", words, nth), newName });
    return e.edited("p.jepa", edit?.changes?.[e.uriOf("p.jepa")] ?? []);
  };
  const wide = await named("width", "w");
  expect(wide).toContain("param w = 16");
  expect(wide).toContain("vit(4, width: w, depth: 1, heads: 2)");
  expect(wide).toContain("vit_predictor(width: 8");
  // What a variant puts in its place is the same thing.
  expect(wide).toContain("param w = 32");
  const later = e.next("p.jepa");
  await e.change("p.jepa", wide);
  expect((await later).filter((d) => d.severity === 1)).toEqual([]);
  await e.change("p.jepa", small);
  // The word of an argument is no value, whatever a value is called.
  const mean = small.replaceAll("z_hat", "mean").replace("linear(on: teacher)", "linear(on: teacher, pool: mean)");
  await e.change("p.jepa", mean);
  expect(await named("mean", "guess")).toContain("pool: mean");
  await e.change("p.jepa", small);
  for (const [words, newName, why] of [["z_hat", "z_target", "declared already"], ["z_hat", "mean", "built in"], ["z_hat", "2x", "no name"], ["vit(", "vat", "belongs to the library"], ["stopgrad", "sg", "word of the language"]]) {
    await expect(named(words ?? "", newName ?? "")).rejects.toThrow(why);
  }
});

test("completion knows the words of a place", async () => {
  const e = editor();
  const labels = async (text: string, mark: string): Promise<string[]> => {
    await e.change("p.jepa", text.replace(mark, mark.replace("|", "")));
    const position = TextDocument.create("", "", 0, text).positionAt(text.indexOf(mark) + mark.indexOf("|"));
    const items: CompletionItem[] = await e.ask("textDocument/completion", "p.jepa", { position });
    return items.map((i) => i.label);
  };
  await e.open("p.jepa", small);
  const with_ = (line: string): string => small.replace("  loss smooth_l1(z_hat, z_target)", `  ${line}`);
  expect(await labels(`${small}\n|\n`, "\n|\n")).toEqual(["use", "module", "model", "train", "probe", "variant", "sweep"]);
  expect(await labels(with_("lo|"), "lo|")).toEqual(expect.arrayContaining(["loss", "mask", "encoder", "z_hat", "student"]));
  expect(await labels(with_("loss sm|"), "sm|")).toEqual(expect.arrayContaining(["smooth_l1", "info_nce"]));
  expect(await labels(with_("loss smooth_l1(z_hat, |"), ", |")).toEqual(expect.arrayContaining(["beta:", "z_target"]));
  expect(await labels(with_("head h = vit_predictor(|"), "r(|")).toEqual(expect.arrayContaining(["width:", "depth:", "heads:"]));
  expect(await labels(with_("z = predict(z_context, |"), ", |")).toEqual(expect.arrayContaining(["at:", "targets"]));
  expect(await labels(small.replace("steps          4", "st|"), "st|")).toEqual(expect.arrayContaining(["steps", "epochs", "learning_rate"]));
  expect(await labels(`${small}\nsweep s of tiny { predict.| in [1] }\n`, "t.|")).toEqual(expect.arrayContaining(["width", "depth", "heads"]));
  expect(await labels(`${small}\nsweep s of t|`, "of t|")).toEqual(["tiny", "wider"]);
  // Where one of a few words may stand, nothing else is offered; a mask's and a probe's words are not the modules of their names.
  expect(await labels(small.replace("use std.vit", "use std.|"), "std.|")).toEqual(["heads", "nn", "vit"]);
  expect(await labels(small.replace("image: Image", "image: Im|"), "Im|")).toEqual(["Image", "Video", "Action", "Label"]);
  expect(await labels(small.replace("z_target)\n", "z_target) in l|\n"), "in l|")).toEqual(expect.arrayContaining(["latent", "pixels"]));
  expect((await labels(small.replace("2 of block(", "2 of block(|"), "k(|")).slice(0, 3)).toEqual(["scale:", "aspect:", "ratio:"]);
  expect(await labels(small.replace("linear(on", "linear(|on"), "r(|")).toEqual(["on:", "pool:", "student", "teacher", "predict"]);
  expect(await labels(small.replace("linear(on: teacher)", "at|"), "at|")).toEqual(["linear", "knn", "attentive"]);
  expect((await labels(small.replace("linear(on", "attentive(|on"), "e(|")).slice(0, 5)).toEqual(["on:", "heads:", "epochs:", "learning_rate:", "weight_decay:"]);
  expect(await labels(small.replace("batch          16", "optimizer a|"), "r a|")).toEqual(["adamw", "sgd", "lars"]);
  expect(await labels(`${small}\nsweep s of tiny { p| in [1] }\n`, "p|")).toEqual(["width", "student", "teacher", "predict"]);
  expect(await labels(`${small}\n// a no|`, "no|")).toEqual([]);
});

test("outline, hints, colors and formatting", async () => {
  const e = editor();
  const loose = small.replace("z_hat = predict(z_context, at: targets)", "z_hat   =   predict( z_context , at:targets )");
  await e.open("p.jepa", loose);
  const symbols: DocumentSymbol[] = await e.ask("textDocument/documentSymbol", "p.jepa");
  expect(symbols.map((s) => s.name)).toEqual(["tiny", "train tiny", "probe tiny", "wider"]);
  expect(symbols[0]?.children?.map((s) => s.name)).toEqual(["width", "image", "targets", "context", "student", "teacher", "predict", "z_context", "z_target", "z_hat", "loss"]);
  const hints: InlayHint[] = await e.ask("textDocument/inlayHint", "p.jepa", { range: { start: { line: 0, character: 0 }, end: { line: 99, character: 0 } } });
  expect(hints.map((h) => h.label)).toEqual(expect.arrayContaining([": [B, K_context, 16]", expect.stringMatching(/^: \d+\.\d of 16 positions$/), expect.stringMatching(/^: 4,096 \+ 256 fixed parameters$/)]));
  const [edit]: TextEdit[] = await e.ask("textDocument/formatting", "p.jepa", { options: { tabSize: 2, insertSpaces: true } });
  expect(edit?.newText).toBe(small);
  const { capabilities } = await e.ready;
  const types = capabilities.semanticTokensProvider?.legend.tokenTypes ?? [];
  const { data }: SemanticTokens = await e.ask("textDocument/semanticTokens/full", "p.jepa");
  const document = TextDocument.create("", "", 0, loose);
  const colored = new Map<string, string>();
  for (let i = 0, line = 0, from = 0; i < data.length; i += 5) {
    const [down = 0, right = 0, length = 0, type = 0] = data.slice(i, i + 5);
    [line, from] = [line + down, down === 0 ? from + right : right];
    colored.set(document.getText({ start: { line, character: from }, end: { line, character: from + length } }), types[type] ?? "");
  }
  expect(Object.fromEntries([...colored].filter(([word]) => ["mask", "of", "at", "vit", "depth", "16", "steps", "/// A very small I-JEPA.", "z_hat", "->"].includes(word))))
    .toEqual({ mask: "keyword", of: "keyword", at: "parameter", vit: "function", depth: "parameter", 16: "number", steps: "property", "/// A very small I-JEPA.": "comment", z_hat: "variable", "->": "operator" });
});

test("a used file counts with its unsaved text, and its mistakes are told where it is used", async () => {
  const e = editor({ "base.jepa": small });
  const text = `use "./base.jepa"\n\nvariant deep of tiny {\n  param width = 24\n}\n`;
  expect(await e.open("p.jepa", text)).toEqual([]);
  await e.open("base.jepa", small);
  const later = e.next("p.jepa");
  await e.change("base.jepa", small.replace("heads: 2)\n  encoder teacher", "heads: 2, hats: 1)\n  encoder teacher"));
  const told = await later;
  expect(told.map((d) => [d.code, d.range.start.line])).toEqual([["JEP2004", 0]]);
  expect(told[0]?.relatedInformation?.[0]?.location.uri).toBe(e.uriOf("base.jepa"));
});

test("a file of modules alone, an unsaved document and a text that cannot be read are no accidents", async () => {
  const e = editor();
  expect(await e.open("m.jepa", "module twice(n) (x: Tokens[width]) -> Tokens[width] {\n  x * n\n}\n")).toEqual([]);
  expect((await e.open("n.jepa", "model { = ) \u0000 ".repeat(40))).length).toBeGreaterThan(0);
  expect(hoverOf(await e.ask("textDocument/hover", "n.jepa", { position: { line: 0, character: 2 } }))).toContain("A program: its inputs");
  expect(hoverOf(await e.ask("textDocument/hover", "n.jepa", { position: { line: 0, character: 8 } }))).toBe("");
  expect(await e.ask("textDocument/formatting", "n.jepa", { options: { tabSize: 2, insertSpaces: true } })).toEqual([]);
  expect(await e.ask("textDocument/hover", "never-opened.jepa", { position: { line: 0, character: 0 } })).toBeNull();
});

test("`jepac lsp` speaks the protocol on its streams and ends as it says", async () => {
  const child = spawn(process.execPath, [join(root, "dist/compiler/cli/bin.js"), "lsp", "--stdio"], { stdio: ["pipe", "pipe", "inherit"] });
  const client = createProtocolConnection(new StreamMessageReader(child.stdout), new StreamMessageWriter(child.stdin));
  client.listen();
  const ended = new Promise<number | null>((resolve) => { child.once("exit", resolve); });
  const { serverInfo }: InitializeResult = await client.sendRequest("initialize", { processId: process.pid, rootUri: null, capabilities: {} });
  expect(serverInfo?.name).toBe("jepac");
  await client.sendRequest("shutdown");
  await client.sendNotification("exit");
  expect(await ended).toBe(0);
  client.dispose();
});
