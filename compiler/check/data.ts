/**
 * Whether the data of a program is what its inputs are made of.
 *
 * Owns the questions that take the model and the recipe together: whether folders of films and of pictures are read for a `Video`
 * and an `Image` (JEP6022), whether as many bands are read as the program takes (JEP6024, JEP6025), whether colors are changed of what
 * has none (JEP6027), whether generated signals have one row (JEP6029), and whether an augmentation makes actions say something else than what is seen (JEP6023). What
 * can only be known from the files themselves (classes, columns of actions, lengths of films) is told when a run begins.
 */
import type { Span } from "../base/span.js";
import type { Diagnostics, ReportExtras } from "../messages/report.js";
import { report } from "../messages/report.js";
import type { ModelGraph, Node } from "../model/ir.js";
import type * as ast from "../syntax/ast.js";
import type { Program } from "./program.js";
import type { CheckedTraining } from "./train.js";
import { isNumbers } from "./train.js";

/** Reports data of the wrong kind, and actions that are mirrored. */
export function checkData(graph: ModelGraph, program: Program, training: CheckedTraining, diagnostics: Diagnostics): void {
  const setting = program.settings.find(({ name }) => name.text === "data");
  const inputs = graph.body.nodes.filter(({ op }) => op === "input");
  const { kind } = training.train.data;
  const wrong = inputs.find((node) => isSeen(node) && (isFilm(node) ? kind !== "videos" && kind !== "synthetic" : kind === "videos"));
  const call = setting?.values[0];
  if (setting !== undefined && call !== undefined && wrong !== undefined) {
    const [reads, takes, instead] = kind === "videos" ? ["films", "a picture", "images"] : [kind === "images" ? "pictures" : kind === "arrays" ? "single samples" : "signals", "a film", "videos"];
    const extras = kind === "images" || kind === "videos" ? renamed(call, instead, program, wrong.origin) : { related: [{ span: wrong.origin, message: "declared here" }] };
    diagnostics.add(report("JEP6022", call.span, { data: kind, reads, name: wrong.attrs.path ?? "", takes, instead: `${instead}("…")` }, extras));
  }
  checkBands(graph, setting, training, diagnostics);
  if (isNumbers(training.train.data)) checkNumbers(graph, program, training, setting, diagnostics);
  const action = inputs.find(({ type }) => type.space.kind === "actions");
  if (action === undefined) return;
  const name = action.attrs.path ?? "";
  for (const at of mirrors(graph, training, setting?.span ?? program.span)) diagnostics.add(report("JEP6023", at, { name }, { related: [{ span: action.origin, message: `\`${name}\` is declared here` }] }));
}

/** Bands of files and of generated pictures, against the channels of the inputs. */
function checkBands(graph: ModelGraph, setting: ast.Setting | undefined, { train: { data } }: CheckedTraining, diagnostics: Diagnostics): void {
  const [input] = graph.inputs;
  const call = setting?.values[0];
  if (input === undefined || call?.kind !== "call") return;
  const { channels } = input;
  const related = [{ span: input.origin, message: `\`${input.name}\` is declared here` }];
  if (data.kind === "synthetic") {
    if (channels !== 1 && channels !== 3) diagnostics.add(report("JEP6025", call.span, { channels }, { related }));
  } else if ((data.kind === "images" || data.kind === "videos") && data.bands !== undefined && data.bands.length !== channels) {
    const at = call.args.find(({ name }) => name?.text === "bands")?.span ?? call.span;
    diagnostics.add(report("JEP6024", at, { found: `${data.bands.length} band${data.bands.length === 1 ? "" : "s"}`, name: input.name, channels }, { related }));
  }
}

/** Transforms that change colors, between a black and a white that numbers have not. */
const coloring: ReadonlySet<string> = new Set(["color_jitter", "grayscale", "solarize"]);

/** Numbers as they stand: no colors are changed, and generated signals have one row. */
function checkNumbers(graph: ModelGraph, program: Program, { transforms, train: { data } }: CheckedTraining, setting: ast.Setting | undefined, diagnostics: Diagnostics): void {
  const at = setting?.span ?? program.span;
  const lists = [{ at, transforms }, ...graph.views.map((view) => ({ at: view.origin, transforms: view.transforms }))];
  for (const list of lists) for (const { name } of list.transforms) if (coloring.has(name)) diagnostics.add(report("JEP6027", list.at, { what: name, data: data.kind }));
  const [input] = graph.inputs;
  if (data.kind === "waves" && input !== undefined && input.frames === undefined && input.height !== 1) {
    diagnostics.add(report("JEP6029", setting?.values[0]?.span ?? at, { name: input.name, rows: input.height }, { related: [{ span: input.origin, message: `\`${input.name}\` is declared here` }] }));
  }
}

function isSeen({ type }: Node): boolean {
  return type.axes.includes("height");
}

function isFilm({ type }: Node): boolean {
  return type.axes.includes("time");
}

/** The other word, where the call has nothing that only this one takes. A guess in a variant, whose data may be its base's. */
function renamed(call: ast.Expr, instead: string, program: Program, origin: Span): ReportExtras {
  const related = [{ span: origin, message: "declared here" }];
  if (call.kind !== "call" || call.args.some(({ name }) => name?.text === "every" || name?.text === "on_short")) return { related };
  return { related, fixes: [{ title: `read it as \`${instead}\``, edits: [{ span: call.callee.span, text: instead }], ...(program.chain.length > 1 ? { guess: true } : {}) }] };
}

/** Where pictures or clips are mirrored: views that do, and the data of inputs that have no view. */
function mirrors(graph: ModelGraph, { transforms }: CheckedTraining, data: Span): Span[] {
  const flips = (list: CheckedTraining["transforms"]): boolean => list.some(({ name, args }) => name === "flip" && args["p"] !== 0);
  const views = new Set(graph.views.filter((view) => flips(view.transforms)).map(({ origin }) => origin));
  return [...views, ...(flips(transforms) ? [data] : [])];
}
