/**
 * The text of a model graph and its reading, and the verifier.
 *
 * Laws over random graphs (what the builder made verifies, text reads back to the same graph), a golden for the notation,
 * and one broken graph for each rule of the verifier.
 */
import { isDeepStrictEqual } from "node:util";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { ModelGraph } from "../../../compiler/model/ir.js";
import type { LooseNode } from "../../../compiler/model/node.js";
import { GraphTextError } from "../../../compiler/model/literal.js";
import { parseGraph } from "../../../compiler/model/parse.js";
import { printGraph } from "../../../compiler/model/print.js";
import { printProblem, verify } from "../../../compiler/model/verify.js";
import { dims } from "../../../compiler/types/dim.js";
import { anyGraph, ijepa, mae, simsiam } from "./graphs.js";

const known: readonly (readonly [string, () => ModelGraph])[] = [["I-JEPA", ijepa], ["SimSiam", simsiam], ["MAE", mae]];

test.each(known)("%s made by hand verifies and reads back from its text", (_, make) => {
  const graph = make();
  expect(verify(graph).map(printProblem)).toEqual([]);
  expect(parseGraph(printGraph(graph))).toStrictEqual(graph);
});

test("a random graph verifies and reads back from its text, hostile names included", () => {
  fc.assert(fc.property(anyGraph, (graph) => {
    expect(verify(graph).map(printProblem)).toEqual([]);
    // Not vitest's equality: it takes a record with the key `constructor` for an instance of a class.
    expect(isDeepStrictEqual(parseGraph(printGraph(graph)), graph)).toBe(true);
  }), { numRuns: 150 });
});

test("source positions survive, with file names said once", () => {
  const graph = ijepa();
  const at = (file: string, start: number): { file: string; start: number; end: number } => ({ file, start, end: start + 7 });
  const placed: ModelGraph = {
    ...graph, origin: at("specs/ijepa.jepa", 0),
    funcs: graph.funcs.map((f, i) => ({ ...f, origin: at("std/vit.jepa", i), body: { ...f.body, nodes: f.body.nodes.map((n, j) => ({ ...n, origin: at("std/vit.jepa", j) })) } })),
    allowed: [{ what: "collapse", reason: "ablation: \"none\"", origin: at("specs/ijepa.jepa", 9) }],
  };
  const text = printGraph(placed);
  expect(text.split("std/vit.jepa")).toHaveLength(2);
  expect(parseGraph(text)).toStrictEqual(placed);
});

test("the notation is one line per thing and reads like the program", () => {
  const lines = printGraph(ijepa(), { origins: false }).split("\n");
  expect(lines.slice(0, 5)).toEqual([
    "model ijepa",
    'doc "I-JEPA (Assran et al., CVPR 2023), small."',
    "input image {height: 32, width: 32, channels: 3}",
    'mask targets {kind: "block", count: 4, scale: [0.15, 0.2], aspect: [0.75, 1.5], ratio: [0.6, 0.6], minKeep: 4, minus: [], sampler: "published", allowOverlap: false, trim: "tail", grid: "8x8/4x3"}',
    'mask context {kind: "block", count: 1, scale: [0.85, 1], aspect: [0.75, 1.5], ratio: [0.6, 0.6], minKeep: 4, minus: ["targets"], sampler: "published", allowOverlap: false, trim: "tail", grid: "8x8/4x3"}',
  ]);
  expect(lines.slice(lines.indexOf("body"))).toEqual([
    "body",
    "  inputs %0",
    '  %0 = input() {path: "image"}: f32[batch B, height 32, width 32, channel 3] in pixels',
    '  %1 = at(%0) {mask: "context"}: f32[batch B, height 32, width 32, channel 3] in pixels pending context',
    '  %2 z_context = call(%1) {instance: "student", func: "vit_at_context", dims: {B: "B", K_context: "K_context"}}: f32[batch B, token K_context, feature 128] at mask(context, 8x8/4x3) in latent(student)',
    '  %3 = call(%0) {instance: "teacher", func: "vit", dims: {B: "B"}}: f32[batch B, token 64, feature 128] at all(8x8/4x3) in latent(teacher)',
    '  %4 = normalize(%3) {eps: 0.00001}: f32[batch B, token 64, feature 128] at all(8x8/4x3) in latent(teacher)',
    "  %5 = stop_gradient(%4): f32[batch B, token 64, feature 128] at all(8x8/4x3) in latent(teacher)",
    '  %6 z_target = at(%5) {mask: "targets", grid: "8x8/4x3"}: f32[batch 4*B, token K_targets, feature 128] at mask(targets, 8x8/4x3) in latent(teacher)',
    '  %7 z_hat = call(%2) {instance: "predict", func: "predictor_at_targets", dims: {B: "B", K_context: "K_context", K_targets: "K_targets"}}: f32[batch 4*B, token K_targets, feature 128] at mask(targets, 8x8/4x3) in free(predict)',
    '  %8 = loss(%7, %6) {loss: "smooth_l1", numbers: {beta: 1}}: f32[] in scalar',
    "  results %8",
    'loss smooth_l1 = %8 {kind: "smooth_l1", weight: {kind: "constant", points: [1], stretch: 1}}',
    "",
  ]);
});

test.each([
  ["model x\nbody\n  %0 = frobnicate(): f32[]", /Line 3.*no op/],
  ["model x\nbody\n  %0 = input() {path: 3}: f32[]", /Line 3.*`path` must be text/],
  ["model x\nbody\n  %0 = input() {pth: \"a\"}: f32[]", /there is no attribute `pth`/],
  ["model x\n  %0 = input() {path: \"a\"}: f32[]", /Line 2.*belongs in a function or a body/],
  ["body", /no `model` line/],
  ["model x @3:1:2", /there is no file 3/],
  ["model x extra", /nothing more is expected/],
  ["model x\nbody\n  %0 = input() {path: \"a\"}: f32[depth B]", /`depth` is no axis/],
  [`model x\ninput y ${"[".repeat(200)}`, /nested too deeply/],
])("a slip in an edited text is named by its line: %s", (text, message) => {
  expect(() => parseGraph(text)).toThrow(GraphTextError);
  expect(() => parseGraph(text)).toThrow(message);
});

function edit(graph: ModelGraph, id: number, change: Partial<LooseNode>): ModelGraph {
  return { ...graph, body: { ...graph.body, nodes: graph.body.nodes.map((n) => (n.id === id ? Object.assign({}, n, change) : n)) } };
}

const base = ijepa();
const student = base.instances[0];

test.each<readonly [string, ModelGraph, RegExp]>([
  ["an operand that is not older", edit(base, 1, { args: [2] }), /uses %2, which is not older/],
  ["an id that is not its position", edit(base, 1, { id: 7 }), /has the id 7/],
  ["a missing attribute", edit(base, 4, { attrs: {} }), /lacks `eps`/],
  ["an attribute too many", edit(base, 5, { attrs: { eps: 1 } }), /does not take `eps`/],
  ["too many operands", edit(base, 5, { args: [4, 3] }), /`stop_gradient` has 2 operands/],
  ["a type that does not follow", edit(base, 5, { type: { ...base.body.nodes[5]!.type, shape: dims(["B", 64, 127]) } }), /makes \[B, 64, 128\], but its type says \[B, 64, 127\]/],
  ["positions that do not follow", edit(base, 4, { type: { ...base.body.nodes[4]!.type, positions: { kind: "none" } } }), /is at all positions/],
  ["a function that does not exist", edit(base, 3, { attrs: { ...base.body.nodes[3]!.attrs, func: "vat" } }), /there is no function `vat`/],
  ["an instance that does not exist", edit(base, 3, { attrs: { ...base.body.nodes[3]!.attrs, instance: "teach" } }), /instance `teach` does not exist/],
  ["a mask that does not exist", edit(base, 6, { attrs: { ...base.body.nodes[6]!.attrs, mask: "nowhere" } }), /unknown mask `nowhere`/],
  ["a dimension that is not given", edit(base, 3, { attrs: { ...base.body.nodes[3]!.attrs, dims: {} } }), /the dimension `B` of `vit` is not given/],
  ["a function used before it is defined", { ...base, funcs: [...base.funcs].reverse() }, /there is no function/],
  ["two functions of one name", { ...base, funcs: [...base.funcs, base.funcs[0]!] }, /another function has its name/],
  ["a parameter declared twice", { ...base, instances: base.instances.map((i) => ({ ...i, params: [...i.params, ...i.params.slice(0, 1)] })) }, /the parameter .* occurs twice/],
  ["a parameter that its instance lacks", { ...base, instances: base.instances.map((i) => ({ ...i, params: i.params.slice(1) })) }, /is not declared by `student`/],
  ["an average of nothing", { ...base, instances: [{ ...student!, training: { kind: "ema", of: "ghost", momentum: base.losses[0]!.weight } }, ...base.instances.slice(1)] }, /follows the unknown instance `ghost`/],
  ["averages in a circle", { ...base, instances: [{ ...student!, training: { kind: "ema", of: "teacher", momentum: base.losses[0]!.weight } }, ...base.instances.slice(1)] }, /follows itself/],
  ["a loss that is not a scalar", { ...base, losses: base.losses.map((l) => ({ ...l, node: 7 })) }, /is not a scalar/],
  ["an input that is not declared", { ...base, inputs: [] }, /the input `image` is not declared/],
  ["a result of what is not a call", edit(base, 5, { op: "result", attrs: { index: 0 } }), /not a call/],
])("the verifier finds %s", (_, graph, message) => {
  expect(verify(graph).map(printProblem).join("\n")).toMatch(message);
});
