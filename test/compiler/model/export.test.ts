/**
 * The exports: JSON by schema, DOT, Mermaid and SVG.
 *
 * Pictures are judged by what must hold of any of them: they parse, nothing overlaps, nothing leaves the page, what the
 * program's text says never becomes structure. SVG is parsed by librsvg (through sharp), DOT by Graphviz where it is there.
 */
import { spawnSync } from "node:child_process";
import * as fc from "fast-check";
import sharp from "sharp";
import { expect, test } from "vitest";
import type { ModelGraph } from "../../../compiler/model/ir.js";
import { count, diagram } from "../../../compiler/model/diagram.js";
import { toDot } from "../../../compiler/model/export-dot.js";
import { graphData, toJson } from "../../../compiler/model/export-json.js";
import { toMermaid } from "../../../compiler/model/export-mermaid.js";
import { toSvg } from "../../../compiler/model/export-svg.js";
import { nodeOf } from "../../../compiler/model/node.js";
import { layout } from "../../../compiler/model/layout.js";
import { dotString, escapeXml, mermaidString } from "../../../compiler/model/text.js";
import { anyGraph, hostileNames, ijepa, mae, simsiam } from "./graphs.js";

const known: readonly (readonly [string, ModelGraph])[] = [["ijepa", ijepa()], ["simsiam", simsiam()], ["mae", mae()]];

/** Replaces every name that a program can choose by a hostile one. */
function renamed(graph: ModelGraph, name: string): ModelGraph {
  return {
    ...graph, name, doc: name,
    masks: graph.masks.map((m) => ({ ...m, name: `${m.name}${name}`, minus: m.minus.map((x) => `${x}${name}`) })),
    instances: graph.instances.map((i) => ({ ...i, module: name, config: { [name]: name } })),
    body: { ...graph.body, nodes: graph.body.nodes.map((n) => nodeOf({ ...n, name: n.name === undefined ? undefined : name, attrs: { ...n.attrs, ...(n.attrs.mask === undefined ? {} : { mask: `${n.attrs.mask}${name}` }) } })) },
    losses: graph.losses.map((l) => ({ ...l, name, kind: name })),
  };
}

test("a picture of I-JEPA says what matters", () => {
  const { boxes, arrows } = diagram(ijepa());
  const byTitle = new Map(boxes.map((b) => [b.title, b]));
  expect(boxes.map((b) => `${b.kind} ${b.title}`)).toEqual([
    "mask targets", "mask context", "input image", "op at context", "encoder student", "encoder teacher", "op normalize", "op at targets",
    "predictor predict", "loss smooth_l1",
  ]);
  expect(byTitle.get("student")).toMatchObject({ state: "learns", value: "z_context", shape: "[B, K_context, 128]", place: "at context · latent(student)", details: ["vit · patch 4 · width 128 · depth 4 · heads 4", "270 k parameters, trained"] });
  expect(byTitle.get("teacher")).toMatchObject({ state: "follows", details: ["vit · patch 4 · width 128 · depth 4 · heads 4", "270 k parameters, follows student"] });
  const title = (id: string): string => boxes.find((b) => b.id === id)?.title ?? "?";
  expect(arrows.map((a) => `${a.kind}: ${title(a.from)} > ${title(a.to)}${a.gradient ? " gradient" : ""}${a.stopped ? " stopped" : ""}${a.label === undefined ? "" : ` "${a.label}"`}`)).toEqual([
    "data: image > at context", "mask: context > at context", "data: at context > student", "data: image > teacher", "data: teacher > normalize",
    "data: normalize > at targets stopped", "mask: targets > at targets", "data: student > predict gradient", "mask: targets > predict",
    "data: predict > smooth_l1 gradient", "data: at targets > smooth_l1", 'ema: student > teacher "ema 0.996 → 1"',
  ]);
});

test.each(known)("the SVG of %s is well-formed, stays inside of its page and has a dark theme", async (_, graph) => {
  const svg = toSvg(graph);
  const meta = await sharp(Buffer.from(svg)).metadata();
  expect(meta.width).toBeGreaterThan(300);
  expect(svg).toContain("prefers-color-scheme: dark");
  expect(toSvg(graph)).toBe(svg);
  expect(toSvg(graph, { theme: "dark" })).not.toContain("prefers-color-scheme");
  const [, width = 0, height = 0] = (/viewBox="0 0 (\d+) (\d+)"/.exec(svg) ?? []).map(Number);
  for (const [, x = "", y = ""] of svg.matchAll(/<text[^>]* x="([^"]+)" y="([^"]+)"/g)) {
    expect(Number(x)).toBeGreaterThan(0);
    expect(Number(x)).toBeLessThan(width);
    expect(Number(y)).toBeLessThan(height);
  }
});

test("the picture of I-JEPA has no crossing and marks gradients, stops and averages", () => {
  const svg = toSvg(ijepa());
  const arrows = [...svg.matchAll(/<g class="arrow ([a-z ]+)"><path class="line" d="([^"]+)"/g)].filter(([, , d = ""]) => d.includes("V") || d.includes("C"));
  const kinds = arrows.map(([, kind = ""]) => kind).sort();
  // Eleven arrows and the moving average; legend entries are straight and are not counted.
  expect(kinds).toEqual(["average", "choose", "choose", "choose", "gradient", "gradient", "plain", "plain", "plain", "plain", "plain", "plain stopped"]);
  const { boxes, arrows: list } = diagram(ijepa());
  const placed = layout(boxes.map((b) => ({ id: b.id, width: 200, height: 90 })), list.filter((a) => a.kind !== "ema"), { gapX: 30, gapY: 50 });
  expect(crossingsOf(placed.routes)).toBe(0);
});

/** Pairs of polylines that properly intersect. */
function crossingsOf(routes: readonly (readonly { x: number; y: number }[])[]): number {
  const segments = routes.map((r) => r.slice(1).map((b, i) => [r[i] ?? b, b] as const));
  const side = (a: { x: number; y: number }, b: { x: number; y: number }, c: { x: number; y: number }): number => Math.sign((b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x));
  let n = 0;
  segments.forEach((one, i) => segments.slice(i + 1).forEach((two) => {
    for (const [a, b] of one) for (const [c, d] of two) if (side(a, b, c) * side(a, b, d) < 0 && side(c, d, a) * side(c, d, b) < 0) n++;
  }));
  return n;
}

test.each(hostileNames)("the name %j is text in every export and nothing else", async (name) => {
  for (const [, graph] of known) {
    const odd = renamed(graph, name);
    const svg = toSvg(odd);
    await expect(sharp(Buffer.from(svg)).metadata()).resolves.toMatchObject({ format: "svg" });
    const tags = new Set([...svg.matchAll(/<\/?([A-Za-z!?][^\s>/]*)/g)].map((m) => m[1]));
    expect([...tags].sort()).toEqual(["g", "path", "rect", "style", "svg", "text", "title"]);
    // Attribute values keep to a plain alphabet but for the one label that holds text, which is escaped.
    for (const [, value = ""] of svg.matchAll(/ (?:class|d|x|y|width|height|rx|transform|font-size|text-anchor)="([^"]*)"/g)) expect(value).toMatch(/^[A-Za-z0-9 .,()-]*$/);
    for (const line of toDot(odd).split("\n").slice(3, -2)) expect(line).toMatch(/^ {2}[mn]\d+( -> [mn]\d+)? \[(?:[a-z]+=(?:[a-z]+|\d+|"(?:[^"\\]|\\.)*")(?:, )?)*\];$/);
    for (const line of toMermaid(odd).split("\n").slice(1, -1)) expect(line).toMatch(/^ {2}([mn]\d+(\[\/|\(\[|\[|\(|\{\{)"[^"]*"(\/\]|\]\)|\]|\)|\}\})|[mn]\d+ (--x\|"stop-gradient"\||-\. "[^"]*" \.->|-\.->|==>|-->) [mn]\d+|classDef .*|class [mn]\d+ [a-z]+|linkStyle \d+ [a-z:#0-9,.-]+)$/);
    expect(JSON.parse(toJson(odd)).name).toBe(name);
  }
});

test("Graphviz reads the DOT of hostile programs", () => {
  const tried = spawnSync("dot", ["-V"]);
  if (tried.error !== undefined) {
    console.warn("NOT TESTED: Graphviz (`dot`) is not on this machine; DOT was only checked by pattern.");
    expect(toDot(ijepa())).toContain("digraph");
    return;
  }
  for (const name of hostileNames) {
    const run = spawnSync("dot", ["-Tplain"], { input: toDot(renamed(ijepa(), name)) });
    expect(`${name}: ${run.stderr.toString().replace(/.*(Fontconfig|Pango).*\n?/g, "")}${run.status}`).toBe(`${name}: 0`);
    expect(run.stdout.toString().split("\n").filter((l) => l.startsWith("node "))).toHaveLength(10);
  }
});

test("random graphs export without a throw, and librsvg reads their pictures", async () => {
  await fc.assert(fc.asyncProperty(anyGraph, async (graph) => {
    toDot(graph);
    toMermaid(graph);
    expect(JSON.parse(toJson(graph)).nodes).toHaveLength(graph.body.nodes.length);
    await sharp(Buffer.from(toSvg(graph)), { limitInputPixels: false }).metadata();
  }), { numRuns: 60 });
});

test("boxes never overlap, and data arrows go down, on random graphs", () => {
  fc.assert(fc.property(anyGraph, (graph) => {
    const { boxes, arrows } = diagram(graph);
    const placed = layout(boxes.map((b, i) => ({ id: b.id, width: 80 + (i % 5) * 30, height: 40 + (i % 3) * 20 })), arrows.filter((a) => a.kind !== "ema"), { gapX: 20, gapY: 40 });
    const all = [...placed.nodes.values()];
    expect(all).toHaveLength(boxes.length);
    for (const [i, a] of all.entries()) {
      expect(a.x - a.width / 2).toBeGreaterThan(-0.01);
      expect(a.x + a.width / 2).toBeLessThan(placed.width + 0.01);
      for (const b of all.slice(i + 1)) {
        const apart = Math.abs(a.x - b.x) >= (a.width + b.width) / 2 + 19.9 || a.y + a.height <= b.y || b.y + b.height <= a.y;
        expect(apart).toBe(true);
      }
    }
    for (const arrow of arrows.filter((a) => a.kind !== "ema")) expect(placed.nodes.get(arrow.from)?.rank).toBeLessThan(placed.nodes.get(arrow.to)?.rank ?? -1);
  }), { numRuns: 80 });
});

test("JSON has the documented fields, with kinds, counts, masks and what each loss trains", () => {
  const data = graphData(ijepa());
  expect(Object.keys(data)).toEqual(["format", "version", "name", "doc", "inputs", "views", "masks", "instances", "functions", "nodes", "edges", "losses", "allowed", "parameters"]);
  expect(data).toMatchObject({ format: "jepac-graph", version: 1, name: "ijepa" });
  expect(data.instances.map((i) => [i.name, i.training.kind, i.parameters.trained])).toEqual([["student", "optimized", 270_464], ["teacher", "ema", 0], ["predict", "optimized", 49_920]]);
  expect(data.losses[0]).toMatchObject({ name: "smooth_l1", kind: "smooth_l1", node: 8, trains: ["student", "predict"] });
  expect(data.masks.map((m) => [m.name, m.count, m.grid])).toEqual([["targets", 4, "8x8/4x3"], ["context", 1, "8x8/4x3"]]);
  expect(data.nodes[6]).toMatchObject({ op: "at", name: "z_target", args: [5], type: { shape: ["4*B", "K_targets", "128"], positions: { kind: "mask", mask: "targets" }, space: { kind: "latent", of: "teacher" } }, flow: { trains: [], depends: ["teacher"], follows: ["student"], seen: [{ source: "image", masks: null, without: [], local: false }] } });
  expect(data.edges.filter((e) => e.kind === "ema")).toMatchObject([{ from: "student", to: "teacher", momentum: { points: [0.996, 1] } }]);
  expect(toJson(ijepa())).toBe(toJson(ijepa()));
});

test.each([[640, "640"], [12_345, "12.3 k"], [5_486_400, "5.49 M"], [630_434_560, "630 M"], [1_011_092_608, "1.01 G"]])("%d parameters read as %s", (n, text) => {
  expect(count(n)).toBe(text);
});

test("text is escaped by what each notation needs", () => {
  expect(escapeXml(`<a b="c">&'\u0000\ud800`)).toBe("&#60;a b=&#34;c&#34;&#62;&#38;&#39; \ufffd");
  expect(dotString(`a"b\\n\nc`)).toBe(`"a\\"b\\\\n\\nc"`);
  expect(mermaidString(`"end" #x; <b>`)).toBe(`"#34;end#34; #35;x#59; #60;b#62;"`);
});

test("a graph of thousands of boxes is laid out", () => {
  const boxes = Array.from({ length: 3000 }, (_, i) => ({ id: String(i), width: 60, height: 30 }));
  const lines = boxes.slice(1).flatMap((_, i) => [{ from: String(i), to: String(i + 1) }, { from: "0", to: String(i + 1) }]);
  const placed = layout(boxes, lines, { gapX: 10, gapY: 10 });
  expect(placed.nodes.size).toBe(3000);
  expect(placed.nodes.get("2999")?.rank).toBe(2999);
});
