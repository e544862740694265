/**
 * The report: well-formed, self-contained, safe against names from programs, and its pictures decode to what went in.
 */
import sharp from "sharp";
import { expect, test } from "vitest";
import type { Manifest, StepBatch } from "../../../runtime/abi.js";
import { lineChart, lossChart, smoothed } from "../../../runtime/train/charts.js";
import type { MetricRow } from "../../../runtime/train/loop.js";
import { denormalize, encodePng, maskGallery } from "../../../runtime/train/pictures.js";
import { renderReport } from "../../../runtime/train/report.js";
import type { ReportData } from "../../../runtime/train/report.js";
import { fakeManifest, record } from "./fakes.js";

const HOSTILE = `<script>alert("1")</script>&'`;

/** Throws unless every element of the HTML is closed in order; returns the names seen. */
function elements(html: string): string[] {
  const open: string[] = [];
  const seen: string[] = [];
  for (const [, close, name = "", self] of html.replace(/<!doctype html>/i, "").replace(/<style>[^]*?<\/style>/g, "").matchAll(/<(\/?)([a-zA-Z][\w-]*)(?:\s+[\w:-]+(?:="[^"<]*")?)*\s*(\/?)>/g)) {
    if (close === "/") {
      if (open.pop() !== name) throw new Error(`</${name}> closes nothing that is open`);
    } else {
      seen.push(name);
      if (self !== "/" && !["meta", "img", "br"].includes(name)) open.push(name);
    }
  }
  if (open.length > 0) throw new Error(`never closed: ${open.join(" ")}`);
  const loose = html.replace(/<style>[^]*?<\/style>/g, "").replace(/<[^<>]*>/g, "");
  if (/[<>]/.test(loose)) throw new Error("there are angle brackets outside of elements");
  return seen;
}

async function reportData(manifest: Manifest): Promise<ReportData> {
  const { rows } = await record({ manifest: fakeManifest() });
  return {
    manifest,
    rows,
    ending: "Finished 40 steps.",
    totalSteps: 40,
    after: 0,
    seconds: 83,
    imagesPerSecond: 121.7,
    probe: {
      program: "line", step: 40, seed: 7, trainImages: 400, testImages: 100, test: HOSTILE,
      encoders: [{ encoder: "student", width: 6, rank: { trained: 5, untrained: 3.25 }, attentive: { heads: 2, epochs: 31, learningRate: 0.001, weightDecay: 0.01 }, factors: [{ factor: HOSTILE, classes: 3, chance: 0.34, linear: { trained: 0.9, untrained: 0.5 }, nearest: { trained: 0.4, untrained: 0.6 }, attentive: { trained: 0.987, untrained: 0.123 }, neighbors: 5 }] }],
    },
    gallery: "",
    graph: `<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>`,
    configuration: [["data", HOSTILE]],
    environment: [["engine", "fake 1"]],
  };
}

test("the report is well-formed and holds every part", async () => {
  const html = renderReport(await reportData(fakeManifest({ allowed: [{ what: "collapse", reason: "ablation", codes: ["JEP4001"] }] })));
  const seen = elements(html);
  expect(seen.filter((name) => name === "svg").length).toBeGreaterThanOrEqual(6);
  for (const part of ["Curves", "Probes", "Model", "Losses", "Parameters", "Configuration", "Environment", "5-nearest neighbors of", "attentive probe of", "98.7 %", "12.3 %", "2 heads, 31 epochs", "90.0 %", "50.0 %", "fake 1", "The program allows collapse (JEP4001): ablation", "prefers-color-scheme:dark"]) expect(html).toContain(part);
});

test("nothing is fetched and nothing can run", async () => {
  const html = renderReport(await reportData(fakeManifest({ program: HOSTILE, doc: HOSTILE })));
  expect(elements(html)).not.toContain("script");
  expect(html).not.toMatch(/(src|href)="(?!data:)/);
  expect(html).not.toMatch(/url\(|@import|https?:\/\//);
  expect(html).toContain("&lt;script&gt;");
});

test("time and rate of a report are those of the part that was timed", async () => {
  const data = await reportData(fakeManifest());
  expect(renderReport(data)).toContain("<b>1 min 23 s</b><span>40 steps at 122 images/s</span>");
  expect(renderReport({ ...data, after: 30 })).toContain("<b>1 min 23 s</b><span>the last 10 of 40 steps, at 122 images/s</span>");
  expect(renderReport({ ...data, after: 40 })).not.toContain("images/s");
});

test("a run without a single row still has a report", async () => {
  elements(renderReport({ ...(await reportData(fakeManifest())), rows: [], probe: undefined, graph: undefined }));
});

test("a png decodes to the pixels that went in", async () => {
  const rgb = Uint8Array.from({ length: 7 * 5 * 3 }, (_, i) => (i * 37) % 256);
  const { data, info } = await sharp(encodePng(rgb, 7, 5)).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, info.channels]).toEqual([7, 5, 3]);
  expect(new Uint8Array(data)).toEqual(rgb);
});

test("normalized pixels come back as the bytes they were", () => {
  const [mean, std] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
  const bytes = Uint8Array.from({ length: 60 }, (_, i) => (i * 91) % 256);
  const normalized = Float32Array.from(bytes, (value, i) => (value / 255 - (mean[i % 3] ?? 0)) / (std[i % 3] ?? 1));
  expect(denormalize(normalized, 3, mean, std)).toEqual(bytes);
});

test("the gallery shows every set of every mask, each with the positions that were drawn", () => {
  const grid = { rows: 2, cols: 2 };
  const base = { grid, kind: "block", scale: [0.1, 0.2], aspect: [1, 1], ratio: [0, 0], minKeep: 0, minus: [], sampler: "published", allowOverlap: false, trim: "tail" } as const;
  const manifest = fakeManifest({
    inputs: [{ name: "image", height: 4, width: 4, channels: 3 }],
    views: [{ name: "image", input: "image", height: 4, width: 4, transforms: [] }],
    masks: [{ ...base, name: "targets", count: 2 }, { ...base, name: "context", count: 1 }],
  });
  const batch: StepBatch = {
    size: 2,
    images: { image: new Float32Array(2 * 48) },
    masks: { targets: { count: 2, length: 1, indices: Int32Array.of(0, 1, 2, 3) }, context: { count: 1, length: 2, indices: Int32Array.of(1, 3, 0, 2) } },
    draws: {},
  };
  const html = maskGallery(manifest, batch);
  expect(elements(html).filter((name) => name === "figure").length).toBe(2 * 4);
  expect(html.match(/targets 2 · 1/g)?.length).toBe(2 * 2);
  const outlines = [...html.matchAll(/class="outline" d="([^"]*)"/g)].map((match) => match[1]);
  // First image, first target: position 0, the upper left quarter; its context: positions 1 and 3, the right half.
  expect(outlines[0]).toBe("M0 0H2M0 2H2M0 0V2M2 0V2");
  expect(outlines[2]).toBe("M2 0H4M2 0V2M4 0V2M2 4H4M2 2V4M4 2V4");
});

test("charts survive hard series: one point, gaps, constants, huge ranges, nothing", () => {
  const series = [[], [[1, 2]], [[1, NaN], [2, 1], [3, Infinity], [4, 2]], [[1, 5], [2, 5]], [[1, 1e-12], [2, 1e12]], [[1, -3], [2, -2]]] as const;
  for (const points of series) {
    const svg = lineChart({ title: HOSTILE, series: [{ name: "a", points }] });
    elements(svg);
    expect(svg).not.toMatch(/NaN|Infinity/);
  }
});

const ticksBelow = (svg: string): string[] => [...svg.matchAll(/<text class="tick"[^>]*text-anchor="middle">([^<]*)</g)].map((m) => m[1] ?? "");
const endsOf = (svg: string): string[] => [...svg.matchAll(/<text class="end"[^>]*>([^<]*)<tspan[^>]*>([^<]*)/g)].map((m) => `${m[1]} ${m[2]}`);

test("steps are whole: one point has one tick, a few have no fractions between them", () => {
  const chart = (...steps: number[]): string => lineChart({ title: "t", series: [{ name: "a", points: steps.map((step) => [step, step / 7] as const) }] });
  expect(ticksBelow(chart(1))).toEqual(["1"]);
  expect(ticksBelow(chart(500))).toEqual(["500"]);
  expect(ticksBelow(chart(1, 2))).toEqual(["1", "2"]);
  expect(ticksBelow(chart(1, 2, 3, 4))).toEqual(["1", "2", "3", "4"]);
  expect(ticksBelow(chart(1, 50, 100))).toEqual(["20", "40", "60", "80", "100"]);
  // A point alone is seen, too: its line has a length, if of nothing.
  expect(chart(1)).toMatch(/d="M[\d.]+ [\d.]+h0"/);
  expect(chart(1, 2)).not.toContain("h0");
});

test("a loss that falls ends with the number that was measured last, and says where the line is smoothed", () => {
  const losses = (n: number): [number, number][] => Array.from({ length: n }, (_, i) => [i + 1, i === n - 1 ? 0.2564 : 1 - i / (2 * n)]);
  const few = lossChart(losses(30));
  expect([few.smooth, few.title, endsOf(lineChart(few))]).toEqual([false, "loss by step", ["0.256 loss"]]);
  const many = lossChart(losses(100));
  expect([many.smooth, many.title, endsOf(lineChart(many))]).toEqual([true, "loss by step, smoothed", ["0.256 last step"]]);
  expect(smoothed(losses(100)).at(-1)?.[1]).toBeGreaterThan(0.5);
  // A loss that is no number is not what was measured last.
  expect(endsOf(lineChart(lossChart([...losses(100), [101, NaN]])))).toEqual(["0.256 last step"]);
});

test("a million steps make a small chart", () => {
  const points = Array.from({ length: 1_000_000 }, (_, i): [number, number] => [i + 1, Math.sin(i / 1e5)]);
  expect(lineChart({ title: "t", series: [{ name: "a", points }] }).length).toBeLessThan(20_000);
});

test("smoothing has no pull at the start: a constant stays what it is", () => {
  const rows: Pick<MetricRow, "step" | "loss">[] = [1, 2, 3].map((step) => ({ step, loss: 4 }));
  for (const [, value] of smoothed(rows.map((row) => [row.step, row.loss] as const))) expect(value).toBeCloseTo(4, 12);
});
