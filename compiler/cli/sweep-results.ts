/**
 * The table and the plot of a sweep: the paper's numbers beside ours.
 *
 * Owns what is read from a row's folder (its probe, its last loss) and the three files: CSV for programs, Markdown for
 * people, one SVG. Scores are percent; a score over several factors is their mean. The untrained encoder stands beside the
 * trained one, since an accuracy means nothing without it. Nothing here knows how rows were run.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { escape } from "../../runtime/train/markup.js";
import type { ProbeReport } from "../../runtime/train/probe.js";
import { RUN_FILES } from "../../runtime/train/run-folder.js";

/** What is known of a row when its run has ended. Scores are percent. */
export interface RowResult {
  readonly name: string;
  readonly doc: string;
  readonly paper: number | undefined;
  /** `done`, `collapsed`, `failed` or `waiting`. */
  readonly state: string;
  readonly steps: number | undefined;
  readonly loss: number | undefined;
  readonly linear: number | undefined;
  readonly untrained: number | undefined;
  readonly nearest: number | undefined;
  /** Of heads that attend to all tokens, where the program probes with them. */
  readonly attentive: number | undefined;
  readonly rank: number | undefined;
}

/** Reads what a run left in its folder. */
export function readResult(folder: string, row: Pick<RowResult, "name" | "doc" | "paper" | "state">): RowResult {
  const probe = readJson(join(folder, RUN_FILES.probe));
  const encoder = isProbe(probe) ? probe.encoders[0] : undefined;
  const factors = encoder?.factors ?? [];
  const percent = (values: readonly number[]): number | undefined => (values.length === 0 ? undefined : (100 * values.reduce((a, b) => a + b, 0)) / values.length);
  const last = lastMetric(join(folder, RUN_FILES.metrics));
  return {
    ...row,
    steps: last?.step,
    loss: last?.loss,
    linear: percent(factors.map((f) => f.linear.trained)),
    untrained: percent(factors.map((f) => f.linear.untrained)),
    nearest: percent(factors.map((f) => f.nearest.trained)),
    attentive: percent(factors.flatMap((f) => f.attentive?.trained ?? [])),
    rank: encoder?.rank.trained,
  };
}

function readJson(path: string): unknown {
  if (!existsSync(path)) return undefined;
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    return value;
  } catch {
    return undefined;
  }
}

function isProbe(value: unknown): value is ProbeReport {
  return typeof value === "object" && value !== null && "encoders" in value && Array.isArray(value.encoders);
}

function lastMetric(path: string): { readonly step: number; readonly loss: number } | undefined {
  if (!existsSync(path)) return undefined;
  const line = readFileSync(path, "utf8").trimEnd().split("\n").at(-1) ?? "";
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === "object" && value !== null && "step" in value && typeof value.step === "number" && "loss" in value && typeof value.loss === "number") return { step: value.step, loss: value.loss };
  } catch {
    // A line that was being written when the run was cut off.
  }
  return undefined;
}

const one = (x: number | undefined): string => (x === undefined ? "" : x.toFixed(1));
const four = (x: number | undefined): string => (x === undefined ? "" : x.toPrecision(4));

/** The columns of both tables: heading, and the cell of a row. */
const known: readonly (readonly [heading: string, cell: (r: RowResult) => string])[] = [
  ["row", (r) => r.name],
  ["paper", (r) => one(r.paper)],
  ["linear", (r) => one(r.linear)],
  ["untrained", (r) => one(r.untrained)],
  ["nearest", (r) => one(r.nearest)],
  ["attentive", (r) => one(r.attentive)],
  ["rank", (r) => one(r.rank)],
  ["loss", (r) => four(r.loss)],
  ["steps", (r) => (r.steps === undefined ? "" : String(r.steps))],
  ["state", (r) => r.state],
  ["what", (r) => r.doc],
];

/** Those of some rows: attentive heads, and for people papers, have a column where there are some. */
function columnsOf(rows: readonly RowResult[], optional: readonly string[]): typeof known {
  return known.filter(([heading]) => (heading !== "attentive" && heading !== "paper") || !optional.includes(heading) || rows.some((r) => r[heading] !== undefined));
}

/** Scores that are summed up over seeds. */
const summed = ["linear", "untrained", "nearest", "attentive", "rank"] as const;

/** Rows that differ in nothing but their seed, as a table: mean and deviation (of n - 1) of what they got. Empty where none do. */
function overSeeds(rows: readonly RowResult[], line: (cells: readonly string[]) => string): string[] {
  const alike = new Map<string, RowResult[]>();
  for (const row of rows) {
    const name = row.name.replace(/(^|[.,])seed=\d+,?/, "$1").replace(/[.,]$/, "");
    if (name !== row.name) alike.set(name, [...alike.get(name) ?? [], row]);
  }
  const groups = [...alike].filter(([, own]) => own.length > 1);
  const columns = summed.filter((key) => groups.some(([, own]) => own.some((r) => r[key] !== undefined)));
  if (groups.length === 0 || columns.length === 0) return [];
  const cell = (own: readonly RowResult[], key: (typeof summed)[number]): string => {
    const values = own.flatMap((r) => r[key] ?? []);
    if (values.length < 2) return "";
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return `${mean.toFixed(1)} ± ${Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)).toFixed(1)}`;
  };
  return [
    "Over seeds, mean ± standard deviation:", "", line(["rows", "seeds", ...columns]), line(["---", "---:", ...columns.map(() => "---:")]),
    ...groups.map(([name, own]) => line([name, String(own.length), ...columns.map((key) => cell(own, key))])), "",
  ];
}

/** Comma-separated values, quoted where they must be. */
export function toCsv(rows: readonly RowResult[]): string {
  const columns = columnsOf(rows, ["attentive"]);
  const quote = (cell: string): string => (/[",\n\r]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
  return [columns.map(([h]) => h), ...rows.map((r) => columns.map(([, cell]) => cell(r)))].map((cells) => `${cells.map(quote).join(",")}\n`).join("");
}

/** A Markdown document with the table, what its columns mean, and the plot. */
export function toMarkdown(title: string, rows: readonly RowResult[], plot: string): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((c) => c.replaceAll("|", "\\|")).join(" | ")} |`;
  const columns = columnsOf(rows, ["attentive", "paper"]);
  const right = columns.map(([h]) => (["row", "state", "what"].includes(h) ? "---" : "---:"));
  return [
    `# ${title}`, "", line(columns.map(([h]) => h)), line(right), ...rows.map((r) => line(columns.map(([, cell]) => cell(r)))), "",
    ...overSeeds(rows, line),
    `${columns.some(([h]) => h === "paper") ? "paper: what the paper reports for its own, much larger, configuration. " : ""}linear, untrained, nearest: accuracy in percent of a linear head and of`,
    "the nearest neighbors on frozen features of this configuration, and of the linear head before training; attentive: of a head on all tokens. Compare orders, not figures.", "", `![${title}](${plot})`, "",
  ].join("\n");
}

const colors = { paper: "#9aa5b1", ours: "#2563eb", untrained: "#d97706", text: "#1f2933", line: "#e4e7eb" } as const;

/** One plot: a bar for the paper's number, one for ours, and a mark for the untrained encoder, row by row. */
export function toSvg(title: string, rows: readonly RowResult[]): string {
  // Names get the room that they need: about seven units a letter.
  const left = Math.max(210, Math.min(460, 24 + 7 * Math.max(0, ...rows.map((r) => r.name.length))));
  const [width, rowHeight, top] = [550 + left, 34, 64];
  const height = top + rows.length * rowHeight + 34;
  const span = width - left - 60;
  const x = (percent: number): number => left + (span * Math.max(0, Math.min(100, percent))) / 100;
  const bar = (value: number | undefined, y: number, fill: string): string => (value === undefined ? "" : `<rect x="${left}" y="${y}" width="${(x(value) - left).toFixed(1)}" height="10" rx="2" fill="${fill}"/><text x="${(x(value) + 5).toFixed(1)}" y="${y + 9}" font-size="10">${value.toFixed(1)}</text>`);
  const body = rows.map((r, i) => {
    const y = top + i * rowHeight;
    const mark = r.untrained === undefined ? "" : `<path d="M${x(r.untrained).toFixed(1)} ${y + 13}v12" stroke="${colors.untrained}" stroke-width="2"/>`;
    const note = r.linear === undefined && r.state !== "done" ? `<text x="${left}" y="${y + 23}" font-size="10" font-style="italic">${escape(r.state)}</text>` : "";
    return `<text x="${left - 10}" y="${y + 17}" text-anchor="end">${escape(r.name)}<title>${escape(r.doc)}</title></text>${bar(r.paper, y + 2, colors.paper)}${bar(r.linear, y + 14, colors.ours)}${mark}${note}`;
  });
  const grid = [0, 25, 50, 75, 100].map((p) => `<path d="M${x(p)} ${top - 6}v${rows.length * rowHeight + 10}" stroke="${colors.line}"/><text x="${x(p)}" y="${height - 12}" text-anchor="middle" font-size="10">${p} %</text>`);
  const key = [["paper", colors.paper], ["here, linear probe", colors.ours], ["here, untrained", colors.untrained]].map(([name = "", color = ""], i) => `<rect x="${left + i * 150}" y="36" width="10" height="10" rx="2" fill="${color}"/><text x="${left + i * 150 + 15}" y="45" font-size="11">${name}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="12" fill="${colors.text}" role="img" aria-label="${escape(title)}">
<rect width="100%" height="100%" fill="#fff"/><text x="${left}" y="22" font-size="15" font-weight="600">${escape(title)}</text>
${[...key, ...grid, ...body].join("\n")}
</svg>
`;
}
