/**
 * The graph of every program that ships: it verifies, reads back from its text, and is drawn.
 *
 * This is where the checker's typing rules and those of `model/rules.ts`, written apart, are held against each other. The
 * counts of the published configuration are those of the release (I-JEPA, ViT-H/14: computed from its shapes).
 */
import { readFileSync, readdirSync } from "node:fs";
import { isDeepStrictEqual } from "node:util";
import sharp from "sharp";
import { expect, test } from "vitest";
import { check, listPrograms } from "../../../compiler/check/check.js";
import { load } from "../../../compiler/load.js";
import { createDiagnostics } from "../../../compiler/messages/report.js";
import { toDot } from "../../../compiler/model/export-dot.js";
import { toJson } from "../../../compiler/model/export-json.js";
import { toMermaid } from "../../../compiler/model/export-mermaid.js";
import { toSvg } from "../../../compiler/model/export-svg.js";
import type { ModelGraph } from "../../../compiler/model/ir.js";
import { parseGraph } from "../../../compiler/model/parse.js";
import { printGraph } from "../../../compiler/model/print.js";
import { parameterCount, trainedBy } from "../../../compiler/model/queries.js";
import { printProblem, verify } from "../../../compiler/model/verify.js";

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** Every model and variant of a file, those with mistakes left out. */
function graphsOf(file: string, text: string): ModelGraph[] {
  const files = load(file, text, read, createDiagnostics());
  return listPrograms(files, createDiagnostics()).flatMap((program) => {
    const diagnostics = createDiagnostics();
    const graph = check(files, { program }, diagnostics)?.graph;
    return graph === undefined || diagnostics.hasErrors() ? [] : [graph];
  });
}

const files = ["specs", "examples"].flatMap((folder) => readdirSync(folder).filter((f) => f.endsWith(".jepa")).map((f) => `${folder}/${f}`));

test.each(files)("every program of %s has a graph that verifies, reads back and is drawn", async (file) => {
  const graphs = graphsOf(file, read(file) ?? "");
  expect(graphs.length).toBeGreaterThan(0);
  for (const graph of graphs) {
    expect(verify(graph).map((p) => `${graph.name}: ${printProblem(p)}`)).toEqual([]);
    expect(isDeepStrictEqual(parseGraph(printGraph(graph)), graph)).toBe(true);
    expect(toDot(graph)).toContain("digraph");
    expect(toMermaid(graph)).toContain("flowchart");
    expect(JSON.parse(toJson(graph)).format).toBe("jepac-graph");
    expect((await sharp(Buffer.from(toSvg(graph)), { limitInputPixels: false }).metadata()).format).toBe("svg");
  }
});

test("the published I-JEPA has the parameters of the release, and its loss trains student and predictor", () => {
  const graph = graphsOf("specs/ijepa.jepa", read("specs/ijepa.jepa") ?? "").find((g) => g.name === "ijepa");
  expect(graph).toBeDefined();
  if (graph === undefined) return;
  expect(parameterCount(graph, "student").trained).toBe(630_434_560);
  expect(parameterCount(graph, "teacher")).toMatchObject({ trained: 0, untrained: 630_434_560 });
  expect(parameterCount(graph, "predict").trained).toBe(22_279_424);
  expect(graph.losses.map((l) => trainedBy(graph, l))).toEqual([["student", "predict"]]);
});

test("a program with views, statistics, unions, tubes and schedules verifies and reads back", () => {
  const programs = [`use std.vit
model pairs {
  input image: Image[32, 32, 3]
  view a, b = augment(image) { flip(p: 0.5) }
  encoder f = vit(4, 96, 2, 3)
  predictor h = mlp(hidden: 64, out: 96)
  z = union(pool(f(a)), pool(f(b)))
  z_a, z_b = separate(z, into: 2)
  w = join(z_a, z_b)
  loss spread = variance(w)
  loss near = linear_schedule(0 -> 1) * mse(h(z_a), stopgrad(whiten(z_b)))
  loss codes = cross_entropy(h(z_b), stopgrad(sinkhorn(z_a)))
}`, `use std.vit
model tubes_of_video {
  input video: Video[8, 32, 32, 3]
  mask hidden = random(0.5)
  x = tubes(video, patch: 8, frames: 2)
  y = linear(192)(x at hidden)
  loss mse(y, stopgrad(linear(192)(x at hidden)))
}`];
  for (const text of programs) {
    const diagnostics = createDiagnostics();
    const graph = check(load("x.jepa", text, read, diagnostics), {}, diagnostics)?.graph;
    expect(diagnostics.list.filter((d) => d.severity === "error").map((d) => `${d.code} ${d.message}`)).toEqual([]);
    expect(graph).toBeDefined();
    if (graph === undefined) continue;
    expect(verify(graph).map(printProblem)).toEqual([]);
    expect(isDeepStrictEqual(parseGraph(printGraph(graph)), graph)).toBe(true);
    toSvg(graph);
  }
});
