/**
 * Flow and queries on models whose answers are known from their papers, and laws over random graphs.
 *
 * The laws are checked against a second, naive computation: gradients by walking back node by node with every function
 * inlined, dependence by the same walk without stop-gradients.
 */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { Body, ModelGraph } from "../../../compiler/model/ir.js";
import { GraphBuilder } from "../../../compiler/model/build.js";
import { flow } from "../../../compiler/model/flow.js";
import { QueryError, dependsOn, edges, neverTrained, nodeNamed, parameterCount, parametersTrainedBy, trainedBy, unusedNodes } from "../../../compiler/model/queries.js";
import { verify } from "../../../compiler/model/verify.js";
import { calls, nodes, parameters, reachable } from "../../../compiler/model/visit.js";
import { anyGraph, ijepa, linearFunc, mae, simsiam } from "./graphs.js";

const factsOf = (graph: ModelGraph, name: string) => flow(graph).nodes.get(nodeNamed(graph, name)?.id ?? -1);

test("the loss of I-JEPA trains student and predictor, and follows the student through the teacher", () => {
  const graph = ijepa();
  expect(trainedBy(graph, "smooth_l1")).toEqual(["student", "predict"]);
  expect(neverTrained(graph)).toEqual([]);
  expect(unusedNodes(graph)).toEqual([]);
  expect(dependsOn(graph, "z_target")).toEqual({ nodes: [0, 3, 4, 5, 6], sources: ["image"], instances: ["teacher"], follows: ["student"], masks: ["targets"] });
  expect(dependsOn(graph, "z_hat")).toEqual({ nodes: [0, 1, 2, 7], sources: ["image"], instances: ["student", "predict"], follows: [], masks: ["targets", "context"] });
  expect([...factsOf(graph, "z_target")?.trains ?? []]).toEqual([]);
});

test("without stop-gradient a moving average still takes no gradient", () => {
  const graph = ijepa({ stop: false });
  expect(trainedBy(graph, "smooth_l1")).toEqual(["student", "predict"]);
  expect([...factsOf(graph, "z_target")?.trains ?? []]).toEqual([]);
});

test("what a value has seen: the prediction of I-JEPA its context, the target the whole image", () => {
  const graph = ijepa();
  expect(factsOf(graph, "z_hat")?.seen).toEqual(new Map([["image", { masks: new Set(["context"]), without: new Set(), local: false }]]));
  expect(factsOf(graph, "z_target")?.seen).toEqual(new Map([["image", { masks: undefined, without: new Set(), local: false }]]));
  expect(factsOf(graph, "z_hat")?.placed?.masks).toEqual(new Set(["context", "targets"]));
  expect(factsOf(ijepa({ told: false }), "z_hat")?.placed?.masks).toEqual(new Set(["context"]));
});

test("pixels picked before tokens mix have seen nothing but their own place", () => {
  const graph = mae();
  expect(factsOf(graph, "target")?.seen).toEqual(new Map([["image", { masks: new Set(["hidden"]), without: new Set(), local: true }]]));
  expect(factsOf(graph, "pixels")?.seen).toEqual(new Map([["image", { masks: new Set(["visible"]), without: new Set(), local: false }]]));
  expect(trainedBy(graph, "mse")).toEqual(["encode", "decode"]);
});

test("tokens that were replaced before any mixing have not been seen, whatever is picked later", () => {
  const g = new GraphBuilder("masked at the input");
  const grid = { rows: 8, cols: 8, patch: 4, channels: 3 };
  g.mask("hidden", { kind: "random", grid });
  g.mask("shown", { kind: "complement", minus: ["hidden"], grid });
  g.instance("e", "encoder", "tower");
  const linear = linearFunc(g, 48, 48);
  g.image("image", 32, 32, 3);
  const pixels = g.body.node("patches", [0], { patch: 4, grid });
  const tower = g.func("tower", (b) => {
    const x = b.input("x", g.body.type(pixels));
    const y = b.node("replace_at", [b.call("embed", linear, [x]), b.param("mask_token", [1, 1, 48])], { mask: "hidden", grid });
    return [b.node("attend", [y, y, y], { heads: 4 }), y];
  });
  const mixed = g.body.call("e", tower, [pixels], { name: "mixed" });
  const apart = g.body.result(mixed, 1, { name: "apart" });
  g.body.at(mixed, "hidden", { name: "mixed_hidden" });
  g.body.at(apart, "hidden", { name: "apart_hidden" });
  g.body.at(apart, "shown", { name: "apart_shown" });
  g.loss("l", g.body.loss("mse", [g.body.at(mixed, "hidden"), g.body.at(pixels, "hidden")]));
  const graph = g.build();
  expect(verify(graph)).toEqual([]);
  const seen = (name: string) => factsOf(graph, name)?.seen.get("image");
  expect(seen("mixed_hidden")).toEqual({ masks: undefined, without: new Set(["hidden"]), local: false });
  expect(seen("apart_hidden")).toEqual({ masks: new Set(), without: new Set(["hidden"]), local: true });
  expect(seen("apart_shown")).toEqual({ masks: new Set(["shown"]), without: new Set(["hidden"]), local: true });
});

test("SimSiam trains encoder and predictor through one side of each loss", () => {
  const graph = simsiam();
  expect(trainedBy(graph, "ab")).toEqual(["f", "h"]);
  const into = edges(graph).flatMap((e) => (e.kind === "loss" ? [[e.operand, e.gradient]] : []));
  expect(into).toEqual([[0, true], [1, false], [0, true], [1, false]]);
  const free = edges(simsiam({ stop: false })).flatMap((e) => (e.kind === "loss" ? [[e.operand, e.gradient]] : []));
  expect(free).toEqual([[0, true], [1, true], [0, true], [1, true]]);
});

test("edges have kinds, and gradients run from the loss to what learns and no further", () => {
  const list = edges(ijepa()).map((e) => (e.kind === "ema" ? `${e.from} ~ ${e.to}` : `${e.kind} ${e.from} > ${e.to}${e.gradient ? " gradient" : ""}`));
  expect(list).toEqual([
    "data 0 > 1", "data 1 > 2", "data 0 > 3", "data 3 > 4", "stop-gradient 4 > 5", "data 5 > 6", "data 2 > 7 gradient",
    "loss 7 > 8 gradient", "loss 6 > 8", "student ~ teacher",
  ]);
});

test("parameters are counted exactly, those of a moving average as untrained", () => {
  const graph = ijepa();
  const vit = 48 * 128 + 128 + 4 * 4 * (128 * 128 + 128);
  expect(parameterCount(graph, "student")).toEqual({ trained: vit, untrained: 0, fixed: 64 * 128, state: 0, total: vit + 64 * 128 });
  expect(parameterCount(graph, "teacher")).toEqual({ trained: 0, untrained: vit, fixed: 64 * 128, state: 0, total: vit + 64 * 128 });
  const predictor = 64 + 128 * 64 + 64 + 64 * 128 + 128 + 2 * 4 * (64 * 64 + 64);
  expect(parameterCount(graph, "predict").trained).toBe(predictor);
  expect(parameterCount(graph).total).toBe(2 * (vit + 64 * 128) + predictor + 64 * 64);
  expect([...parameters(graph)].reduce((n, p) => n + p.count, 0)).toBe(parameterCount(graph).total);
});

test("trained parameters are named through loops, and a head that no loss reaches is found", () => {
  const g = new GraphBuilder("two heads");
  g.instance("e", "encoder", "linear");
  g.instance("idle", "head", "linear");
  const func = linearFunc(g, 48, 48);
  g.image("image", 32, 32, 3);
  const x = g.body.node("patches", [0], { patch: 4, grid: { rows: 8, cols: 8, patch: 4, channels: 3 } });
  const z = g.body.call("e", func, [x]);
  const other = g.body.call("idle", func, [z]);
  g.loss("l", g.body.loss("mse", [z, x]));
  g.loss("none", g.body.loss("mse", [other, x]), 0);
  const graph = g.build();
  expect(neverTrained(graph)).toEqual(["idle"]);
  expect(trainedBy(graph, "none")).toEqual([]);
  expect(parametersTrainedBy(graph, "l")).toEqual(["e.weight", "e.bias"]);
  expect(parametersTrainedBy(ijepa(), "smooth_l1")).toContain("student.blocks.*.q.weight");
  expect(parametersTrainedBy(ijepa(), "smooth_l1")).toContain("predict.mask_token");
  expect(parametersTrainedBy(ijepa(), "smooth_l1").some((p) => p.includes("teacher") || p.includes("pos_embed"))).toBe(false);
});

test("a stop-gradient inside a function cuts, and an operand that a function ignores is not a dependency", () => {
  const g = new GraphBuilder("inside");
  g.instance("e", "encoder", "linear");
  g.instance("s", "head", "stopper");
  const linear = linearFunc(g, 48, 48);
  const stopper = g.func("stopper", (b) => {
    const x = b.tokens("x", 48);
    const y = b.tokens("y", 48);
    const w = b.param("scale", [48]);
    return [b.node("mul", [b.stopGradient(x), w]), y];
  });
  g.image("image", 32, 32, 3);
  const x = g.body.node("patches", [0], { patch: 4, grid: { rows: 8, cols: 8, patch: 4, channels: 3 } });
  const z = g.body.call("e", linear, [x], { name: "z" });
  const a = g.body.call("s", stopper, [z, x], { name: "a" });
  const b = g.body.result(a, 1, { name: "b" });
  g.loss("cut", g.body.loss("mse", [a, x]));
  g.loss("second", g.body.loss("mse", [b, x]));
  const graph = g.build();
  expect(trainedBy(graph, "cut")).toEqual(["s"]);
  expect(trainedBy(graph, "second")).toEqual([]);
  expect(dependsOn(graph, "a").instances).toEqual(["e", "s"]);
  expect(dependsOn(graph, "b").instances).toEqual([]);
  expect(factsOf(graph, "b")?.seen.get("image")).toEqual({ masks: undefined, without: new Set(), local: true });
});

test("a loop passes what is carried from round to round", () => {
  // Round: (x, y) becomes (y, stop(x)). After one round the first result is y; after two, stop(x).
  const make = (count: number): ModelGraph => {
    const g = new GraphBuilder("swap");
    for (const name of ["p", "q"]) g.instance(name, "encoder", "linear");
    g.instance("loop", "head", "loop");
    const linear = linearFunc(g, 48, 48);
    const each = g.func("each", (b) => {
      const x = b.tokens("x", 48);
      return [b.tokens("y", 48), b.stopGradient(x)];
    });
    const loop = g.func("loop", (b) => [b.repeat("layers", count, each, [b.tokens("x", 48), b.tokens("y", 48)], 2)]);
    g.image("image", 32, 32, 3);
    const x = g.body.node("patches", [0], { patch: 4, grid: { rows: 8, cols: 8, patch: 4, channels: 3 } });
    const z = g.body.call("loop", loop, [g.body.call("p", linear, [x]), g.body.call("q", linear, [x])]);
    g.loss("l", g.body.loss("mse", [z, x]));
    return g.build();
  };
  expect(trainedBy(make(1), "l")).toEqual(["q"]);
  expect(trainedBy(make(2), "l")).toEqual([]);
  expect(dependsOn(make(2), 4).instances).toEqual(["p"]);
});

test("an unknown name is answered with the nearest known one", () => {
  expect(() => trainedBy(ijepa(), "smoth_l1")).toThrow(QueryError);
  expect(() => trainedBy(ijepa(), "smoth_l1")).toThrow("Did you mean `smooth_l1`?");
  expect(() => dependsOn(ijepa(), "z_targt")).toThrow("Did you mean `z_target`?");
  expect(() => parameterCount(ijepa(), "nobody")).toThrow("There are `student`, `teacher`, `predict`.");
});

/** Instances behind a node with every function walked anew: slow and obvious. */
function naive(graph: ModelGraph, gradient: boolean): (node: number) => Set<string> {
  const funcs = new Map(graph.funcs.map((f) => [f.name, f]));
  /** Inputs and whether own parameters, behind result `index` of a body. */
  const walk = (body: Body, root: number): { inputs: Set<number>; owners: Set<string> } => {
    const inputs = new Set<number>();
    const owners = new Set<string>();
    const visit = (id: number): void => {
      const node = body.nodes[id];
      if (node === undefined || (gradient && (node.op === "stop_gradient" || (node.op === "scale" && node.attrs.value === 0)))) return;
      if (node.op === "input") inputs.add(body.inputs.indexOf(id));
      else if (node.op === "param") owners.add("own");
      else if (node.op === "call" || node.op === "repeat") {
        const callee = funcs.get(node.attrs.func ?? "");
        if (callee === undefined) return;
        const inner = walk(callee.body, callee.body.results[0] ?? -1);
        if (inner.owners.size > 0) owners.add(body === graph.body ? (node.attrs.instance ?? "") : "own");
        for (const i of inner.inputs) visit(node.args[i] ?? -1);
      } else node.args.forEach(visit);
    };
    visit(root);
    return { inputs, owners };
  };
  return (node) => walk(graph.body, node).owners;
}

test("on random graphs, flow agrees with walking every function anew", () => {
  fc.assert(fc.property(anyGraph, (graph) => {
    const facts = flow(graph);
    const optimized = new Set(graph.instances.flatMap((i) => (i.training.kind === "optimized" ? [i.name] : [])));
    const trains = naive(graph, true);
    const depends = naive(graph, false);
    for (const node of graph.body.nodes) {
      const own = facts.nodes.get(node.id);
      expect(new Set(own?.trains)).toEqual(new Set([...trains(node.id)].filter((x) => optimized.has(x))));
      expect(new Set(own?.depends)).toEqual(depends(node.id));
    }
    for (const loss of graph.losses) expect(new Set(parametersTrainedBy(graph, loss).map((p) => p.split(".")[0]))).toEqual(new Set(trainedBy(graph, loss)));
  }), { numRuns: 60 });
});

test("the work does not grow with depth, and grows in step with the number of nodes", () => {
  const deep = ijepa({ depth: 48 });
  expect([...nodes(deep)].length).toBe([...nodes(ijepa({ depth: 4 }))].length);
  expect([...calls(deep)].every((c) => c.callee !== undefined)).toBe(true);
  const chain = (length: number): ModelGraph => {
    const g = new GraphBuilder("chain");
    for (let i = 0; i < 20; i++) g.instance(`e${i}`, "encoder", "linear");
    g.image("image", 32, 32, 3);
    let x = g.body.node("patches", [0], { patch: 4, grid: { rows: 8, cols: 8, patch: 4, channels: 3 } });
    const f = linearFunc(g, 48, 48);
    for (let i = 0; i < length; i++) x = g.body.call(`e${i % 20}`, f, [x]);
    g.loss("l", g.body.loss("mse", [x, x]));
    return g.build();
  };
  const long = chain(30_000);
  expect(reachable(long.body, [long.body.nodes.length - 1]).size).toBe(long.body.nodes.length);
  // Every node shares one set of trained instances once all have been met: 30,000 nodes, 20 sets.
  const sets = new Set([...flow(long).nodes.values()].map((f) => f.trains));
  expect(sets.size).toBeLessThan(50);
  expect(trainedBy(long, "l")).toHaveLength(20);
});
