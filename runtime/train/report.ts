/**
 * The report of a run: one HTML file that needs nothing else.
 *
 * Owns what is told and in which order: how it ended, the few numbers that matter, curves, sampled masks over pictures,
 * probes beside the untrained encoder, the model's graph, losses with their verdicts, configuration and environment.
 * Everything comes in as plain data; the function is pure, with no script, no font and no address in the result. The
 * graph is shown as an image, so that a graph file cannot run anything in the page.
 */
import { own } from "../base/own.js";
import type { Manifest, Schedule } from "../abi.js";
import { duration } from "../log/progress.js";
import { lineChart, smoothed } from "./charts.js";
import type { Chart, Series } from "./charts.js";
import { gainText } from "./gains.js";
import type { MetricRow } from "./loop.js";
import { escape, grouped, short } from "./markup.js";
import { alarmText } from "./monitors.js";
import { dataUri } from "./pictures.js";
import { percent } from "./probe.js";
import type { FactorScore, ProbeReport } from "./probe.js";
import { REPORT_STYLE } from "./report-style.js";

/** Everything a report tells. */
export interface ReportData {
  readonly manifest: Manifest;
  readonly rows: readonly MetricRow[];
  /** How the run ended, in a sentence. */
  readonly ending: string;
  readonly totalSteps: number;
  /** Steps of earlier parts of the run; `seconds` and `imagesPerSecond` are of the part after them. */
  readonly after: number;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  readonly probe: ProbeReport | undefined;
  /** HTML of `maskGallery`, empty when there are no masks. */
  readonly gallery: string;
  /** The model graph as SVG text, when the compiled folder has one. */
  readonly graph: string | undefined;
  /** What this run was: data, batch, seed, command. */
  readonly configuration: readonly (readonly [string, string])[];
  /** What it ran on: engine, versions. */
  readonly environment: readonly (readonly [string, string])[];
}

/** The report as an HTML document. */
export function renderReport(data: ReportData): string {
  const { manifest } = data;
  const sections = [
    notes(data),
    `<section><h2>Curves</h2><div class="grid2">${charts(data.rows).map(chartCard).join("")}</div></section>`,
    data.probe === undefined ? "" : `<section><h2>Probes</h2>${probeText(data.probe)}<div class="card wide">${probeRows(data.probe)}</div></section>`,
    data.gallery === "" ? "" : `<section><h2>Sampled masks</h2><p class="lead">${manifest.inputs[0]?.frames === undefined ? "Pictures of the first batch as the encoder gets them, each with the positions that the step drew for it; the number is how many are kept." : "Frames of clips of the first batch as the encoder gets them, each with the positions that the step drew there; the number is how many are kept in that frame."}</p>${data.gallery}</section>`,
    data.graph === undefined ? "" : `<section><h2>Model</h2><div class="graph"><img alt="graph of ${escape(manifest.program)}" src="${dataUri("image/svg+xml", new TextEncoder().encode(data.graph))}"></div></section>`,
    `<section><h2>Losses</h2><div class="card wide">${table(["loss", "kind", "weight", "trivial values", "protected by"], manifest.losses.map((loss) => [loss.name, loss.kind, loss.course === undefined ? short(loss.weight) : scheduleText(loss.course), loss.trivial.length === 0 ? "–" : loss.trivial.map((t) => `${short(t.value)} (${t.of})`).join(", "), loss.verdict]))}</div></section>`,
    `<section><h2>Parameters</h2><div class="card wide">${parameterTable(manifest)}</div></section>`,
    `<section class="grid2"><div><h2>Configuration</h2><div class="card wide">${table(["", ""], [...data.configuration, ...recipeRows(manifest)])}</div></div><div><h2>Environment</h2><div class="card wide">${table(["", ""], data.environment)}</div></div></section>`,
  ];
  const title = `${escape(manifest.program)} – training report`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${title}</title><style>${REPORT_STYLE}</style></head>
<body><main><header><h1>${escape(manifest.program)}</h1><p class="lead">${escape(manifest.doc)}</p><p class="lead">${escape(data.ending)}</p>${tiles(data)}</header>
${sections.join("\n")}
</main></body></html>
`;
}

function tiles(data: ReportData): string {
  const last = data.rows.at(-1);
  const signal = Object.entries(data.rows.findLast((row) => row.signals !== undefined)?.signals ?? {})[0];
  const score = data.probe?.encoders[0];
  // What training changed most, for better or worse: a first factor that nothing here can read would say nothing of the run.
  const change = ({ linear }: FactorScore): number => Math.abs(linear.trained - linear.untrained);
  const factor = score?.factors.toSorted((a, b) => change(b) - change(a))[0];
  const list: [string, string][] = [[last === undefined ? "–" : short(last.loss), "loss at the end"]];
  if (signal !== undefined) list.push([signal[1].rank.toFixed(1), `effective rank of ${signal[0]}`], [signal[1].std.toFixed(2), `embedding std of ${signal[0]}`]);
  if (factor !== undefined) {
    list.push([percent(factor.linear.trained), `linear probe, ${factor.factor} (untrained ${percent(factor.linear.untrained)})`]);
    list.push([percent(factor.nearest.trained), `nearest neighbors (untrained ${percent(factor.nearest.untrained)})`]);
    if (factor.attentive !== undefined) list.push([percent(factor.attentive.trained), `attentive probe (untrained ${percent(factor.attentive.untrained)})`]);
  }
  const made = data.totalSteps - data.after;
  const what = data.after === 0 ? steps(made) : `the last ${grouped(made)} of ${steps(data.totalSteps)},`;
  if (made > 0) list.push([duration(data.seconds), `${what} at ${short(data.imagesPerSecond)} ${data.manifest.inputs[0]?.frames === undefined ? "images" : "clips"}/s`]);
  return `<div class="tiles">${list.map(([value, name]) => `<div class="tile"><b>${escape(value)}</b><span>${escape(name)}</span></div>`).join("")}</div>`;
}

function notes(data: ReportData): string {
  const alarms = data.rows.flatMap((row) => row.alarms ?? []).map(alarmText);
  const allowed = data.manifest.allowed.map((entry) => `The program allows ${entry.what} (${entry.codes.length === 0 ? "which the checker has not found" : entry.codes.join(", ")}): ${entry.reason}`);
  return [...allowed, ...alarms].map((text) => `<p class="note">${escape(text)}</p>`).join("");
}

function charts(rows: readonly MetricRow[]): Chart[] {
  const loss: [number, number][] = rows.map((row) => [row.step, row.loss]);
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.signals ?? {})))];
  const signal = (pick: "std" | "rank"): Series[] => names.map((name) => ({ name, points: rows.flatMap((row): [number, number][] => {
    const read = own(row.signals ?? {}, name);
    return read === undefined ? [] : [[row.step, read[pick]]];
  }) }));
  const momenta = [...new Set(rows.flatMap((row) => Object.keys(row.momentum)))];
  const weighed = [...new Set(rows.flatMap((row) => Object.keys(row.weights ?? {})))];
  const masks = [...new Set(rows.flatMap((row) => Object.keys(row.kept)))];
  const over = (name: string, value: (row: MetricRow) => number | undefined): Series => ({ name, points: rows.flatMap((row): [number, number][] => (value(row) === undefined ? [] : [[row.step, value(row) ?? 0]])) });
  const all: Chart[] = [
    { title: "Loss", series: [{ name: "each step", points: loss, faint: true, color: 0 }, { name: "smoothed", points: smoothed(loss), color: 0 }] },
    { title: "Effective rank", series: signal("rank"), fromZero: true },
    { title: "Embedding std (1 is isotropic, 0 is collapsed)", series: signal("std"), fromZero: true },
    { title: "Learning rate", series: [over("lr", (row) => row.lr)], fromZero: true },
    { title: "Weight decay", series: [over("decay", (row) => row.wd)], fromZero: true },
    { title: "Momentum", series: momenta.map((name) => over(name, (row) => own(row.momentum, name))) },
    { title: "Weights of losses", series: weighed.map((name) => over(name, (row) => own(row.weights ?? {}, name))), fromZero: true },
    { title: "Tokens kept", series: masks.map((name) => over(name, (row) => own(row.kept, name))), fromZero: true },
  ];
  return all.filter((chart) => chart.series.some((series) => series.points.length > 0));
}

function chartCard(chart: Chart): string {
  return `<div class="card"><h3>${escape(chart.title)}</h3>${lineChart(chart)}</div>`;
}

function steps(n: number): string {
  return n === 1 ? "1 step" : `${grouped(n)} steps`;
}

function probeText(probe: ProbeReport): string {
  const heads = probe.encoders.flatMap(({ encoder, attentive }) => (attentive === undefined ? [] : [` Attentive probes of ${encoder} read all tokens: ${attentive.heads === 1 ? "one head" : `${attentive.heads} heads`}, ${attentive.epochs} epochs of AdamW from a rate of ${short(attentive.learningRate)}, weight decay ${short(attentive.weightDecay)}.`]));
  return `<p class="lead">Frozen, mean-pooled features after ${steps(probe.step)}, beside the same encoder untrained (seed ${probe.seed}). ${grouped(probe.trainImages)} pictures to fit on, ${grouped(probe.testImages)} to test on (${escape(probe.test)}).${escape(heads.join(""))}</p>`;
}

function probeRows(probe: ProbeReport): string {
  // Better is what shows as more: the last bits of a rank that did not change are none.
  const cell = (untrained: number, trained: number, show: (value: number) => string): string => `<td class="n">${show(untrained)}</td><td class="n${trained > untrained && show(trained) !== show(untrained) ? " better" : ""}">${show(trained)}</td>`;
  const rows = probe.encoders.flatMap((encoder) => [
    ...encoder.factors.flatMap((score) => [
      `<tr><td>linear probe of <code>${escape(encoder.encoder)}</code>: ${escape(score.factor)}</td>${cell(score.linear.untrained, score.linear.trained, percent)}<td class="n">${percent(score.chance)}</td></tr>`,
      `<tr><td>${score.neighbors}-nearest neighbors of <code>${escape(encoder.encoder)}</code>: ${escape(score.factor)}</td>${cell(score.nearest.untrained, score.nearest.trained, percent)}<td class="n">${percent(score.chance)}</td></tr>`,
      ...(score.attentive === undefined ? [] : [`<tr><td>attentive probe of <code>${escape(encoder.encoder)}</code>: ${escape(score.factor)}</td>${cell(score.attentive.untrained, score.attentive.trained, percent)}<td class="n">${percent(score.chance)}</td></tr>`]),
    ]),
    `<tr><td>effective rank of <code>${escape(encoder.encoder)}</code> (of ${encoder.width})</td>${cell(encoder.rank.untrained, encoder.rank.trained, (value) => value.toFixed(1))}<td></td></tr>`,
  ]);
  const gains = probe.encoders.map((score) => `<p>${escape(gainText(score, probe.testImages)).replaceAll("\n", "; ")}</p>`);
  return `<table><thead><tr><th>probe</th><th class="n">untrained</th><th class="n">trained</th><th class="n">guessing</th></tr></thead><tbody>${rows.join("")}</tbody></table>${gains.join("")}`;
}

function parameterTable(manifest: Manifest): string {
  const groups = new Map<string, { role: string; tensors: number; values: number }>();
  for (const { group, role, shape } of manifest.parameters) {
    const key = `${group}\n${role}`;
    const sum = groups.get(key) ?? { role, tensors: 0, values: 0 };
    groups.set(key, { role, tensors: sum.tensors + 1, values: sum.values + shape.reduce((product, side) => product * side, 1) });
  }
  const rows = [...groups].map(([key, sum]) => [key.split("\n")[0] ?? "", sum.role, grouped(sum.tensors), grouped(sum.values)]);
  return table(["module", "role", "tensors", "values"], [...rows, ["trained in all", "", "", grouped(manifest.counts.trainable)], ["FLOPs per image", "", "", grouped(manifest.counts.flopsPerImage)]]);
}

function recipeRows({ train, ema, source, compiler }: Manifest): [string, string][] {
  const optimizer = Object.entries(train.optimizer).map(([key, value]) => (key === "kind" ? String(value) : `${key} ${value}`)).join(", ");
  return [
    ["source", `${source.file} (${source.hash.slice(0, 12)}…)`],
    ["compiler", compiler],
    ["optimizer", optimizer],
    ["learning rate", scheduleText(train.learningRate)],
    ["weight decay", scheduleText(train.weightDecay)],
    ...ema.map((edge): [string, string] => [`momentum of ${edge.target}`, scheduleText(edge.momentum)]),
    ["gradient clip", train.gradientClip === undefined ? "none" : short(train.gradientClip)],
  ];
}

function scheduleText(schedule: Schedule): string {
  const warmup = schedule.warmup === undefined ? "" : `, warm-up ${schedule.warmup.value} ${schedule.warmup.unit}`;
  return `${schedule.kind.replace("_", " ")} ${schedule.points.join(" → ")}${warmup}${schedule.stretch === 1 ? "" : `, horizon × ${schedule.stretch}`}`;
}

/** A table of text; a header of empty cells is left out. */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const head = header.every((cell) => cell === "") ? "" : `<thead><tr>${header.map((cell) => `<th>${escape(cell)}</th>`).join("")}</tr></thead>`;
  return `<table>${head}<tbody>${rows.map((row) => `<tr>${row.map((cell) => `<td>${escape(cell)}</td>`).join("")}</tr>`).join("")}</tbody></table>`;
}
