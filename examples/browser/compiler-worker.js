/**
 * The compiler in a worker, so that typing never waits for it: checks, drawings, formatting, what is known of a name, what may be written; and plans.
 *
 * Messages are `{ id, kind, ... }`, answers `{ id, kind, ... }` or `{ id, kind: "failed", message }`. Of checks only the latest counts:
 * one that a newer text has overtaken ends between two programs of a file and says nothing. What compiles is loaded when it is asked for.
 */
import { checkEach } from "./compiler/every-program.js";
import { completions } from "./compiler/editor/completion.js";
import { hoverText, wordParts } from "./compiler/editor/hover.js";
import { keywordAt } from "./compiler/editor/keywords.js";
import { occurrenceAt } from "./compiler/editor/names.js";
import { findings, overview, programOf } from "./compiler/editor/overview.js";
import { load } from "./compiler/load.js";
import { createDiagnostics } from "./compiler/messages/report.js";
import { toSvg } from "./compiler/model/export-svg.js";
import { format } from "./compiler/syntax/format.js";

let files = new Map();
let latest = 0;
/** What the last check has found, for questions about names. */
let found;

const read = (path) => files.get(path);

const answers = {
  files({ files: given }) {
    files = new Map(given);
  },
  async check({ id, file, text, program }) {
    latest = id;
    // Texts that are waiting come in first.
    await turn();
    const began = performance.now();
    const checking = checkEach({ file, text, read });
    for (;;) {
      if (latest !== id) return;
      const { done, value } = checking.next();
      if (done) {
        found = value;
        break;
      }
      await turn();
    }
    const told = overview(found, file, program);
    postMessage({ id, kind: "check", overview: told, ms: performance.now() - began });
    const graph = told.program === undefined || told.program.standing === "broken" ? undefined : programOf(found, program)?.graph;
    if (graph !== undefined) postMessage({ id, kind: "drawing", svg: toSvg(graph) });
  },
  format({ id, file, text }) {
    const { text: formatted, diagnostics } = format(text, file);
    postMessage({ id, kind: "format", text: formatted, refused: diagnostics.some((d) => d.severity === "error") });
  },
  about({ id, file, text, offset }) {
    const loaded = load(file, text, read, createDiagnostics());
    const occurrence = occurrenceAt(loaded.main, offset);
    const keyword = occurrence === undefined ? keywordAt(text, offset) : undefined;
    const about = occurrence === undefined ? keyword && wordParts(keyword) : hoverText(loaded, found?.results ?? [], occurrence);
    postMessage({ id, kind: "about", text: about });
  },
  complete({ id, file, text, offset }) {
    const loaded = load(file, text, read, createDiagnostics());
    postMessage({ id, kind: "complete", list: completions(loaded, text, offset) });
  },
  async compile({ id, file, text, program, device }) {
    const { compile, large, portable, software } = await import("./compiler/index.js");
    const limits = typeof device === "string" ? { large, portable, software }[device] : device;
    const result = compile({ file, text, read }, { target: "wgsl", device: limits, ...(program === undefined ? {} : { program }) });
    const { ok, manifest, plan, files: written, diagnostics, texts } = result;
    const kernels = Object.fromEntries(written.filter((f) => f.path.endsWith(".wgsl")).map((f) => [f.path, f.text]));
    postMessage({ id, kind: "compile", ok, findings: findings(diagnostics, texts, file), manifest, module: plan === undefined ? undefined : { plan, kernels } });
  },
};

self.addEventListener("message", async ({ data }) => {
  try {
    await answers[data.kind](data);
  } catch (error) {
    postMessage({ id: data.id, kind: "failed", message: error instanceof Error ? error.message : String(error) });
  }
});

function turn() {
  return new Promise((go) => setTimeout(go, 0));
}
