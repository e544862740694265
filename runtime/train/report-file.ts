/**
 * The report as a file in the run folder.
 *
 * Owns the gathering: all rows of the run (earlier parts of a resumed one included), the batch whose masks are shown, the
 * graph beside the compiled module. What the report looks like is report.ts.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Manifest } from "../abi.js";
import { counted } from "../base/counted.js";
import { readBytes, writeAtomic } from "../base/files.js";
import { wordsOf } from "../data/source.js";
import { readRows } from "../log/jsonl.js";
import type { StepRow } from "../log/jsonl.js";
import type { Batches } from "./batches.js";
import type { TrainingData } from "./datasets.js";
import type { LoopEnd, MetricRow } from "./loop.js";
import { maskGallery } from "./pictures.js";
import type { ProbeReport } from "./probe.js";
import type { Recipe } from "./recipe.js";
import { renderReport } from "./report.js";
import { RUN_FILES } from "./run-folder.js";

/** What a report is gathered from. */
export interface ReportJob {
  readonly manifest: Manifest;
  readonly folder: string;
  /** The folder of the compiled program, where `graph.svg` may be. */
  readonly compiled: string | undefined;
  readonly graph: string | undefined;
  readonly recipe: Recipe;
  readonly data: TrainingData;
  readonly batches: Batches;
  readonly end: LoopEnd;
  /** Steps that earlier parts of the run had made: the time and the rate are of the part after them. */
  readonly after: number;
  readonly probe: ProbeReport | undefined;
  readonly seconds: number;
  readonly imagesPerSecond: number;
  readonly environment: readonly (readonly [string, string])[];
}

/** Writes `report.html`; returns its path. */
export async function writeReport(job: ReportJob): Promise<string> {
  const { manifest, recipe, folder } = job;
  const rows = readRows(join(folder, RUN_FILES.metrics)).filter(isMetricRow);
  const html = renderReport({
    manifest,
    rows,
    ending: ending(job.end, recipe, rows.reduce((sum, row) => sum + (row.alarms ?? []).length, 0)),
    totalSteps: job.end.step,
    after: job.after,
    seconds: job.seconds,
    imagesPerSecond: job.imagesPerSecond,
    probe: job.probe,
    gallery: manifest.masks.length === 0 ? "" : maskGallery(manifest, await job.batches.next(0)),
    graph: job.graph ?? (await graphOf(job.compiled)),
    configuration: [
      ["data", job.data.lines[0] ?? job.data.source.name],
      [wordsOf(job.data.source)[1], String(recipe.images)],
      ["batch", String(recipe.batch)],
      ["steps", `${recipe.totalSteps} (${recipe.stepsPerEpoch} an epoch)`],
      ["seed", String(recipe.seed)],
    ],
    environment: job.environment,
  });
  const path = join(folder, RUN_FILES.report);
  await writeAtomic(path, html);
  return path;
}

/** How the run ended, in a sentence; alarms are those of the whole run. */
function ending(end: LoopEnd, recipe: Recipe, count: number): string {
  const alarms = count === 0 ? "no collapse alarm" : counted(count, "collapse alarm");
  return end.kind === "finished" ? `Finished ${counted(recipe.totalSteps, "step")}, ${alarms}.` : `Stopped after step ${end.step} of ${recipe.totalSteps}: ${alarms}.`;
}

async function graphOf(compiled: string | undefined): Promise<string | undefined> {
  const path = compiled === undefined ? undefined : join(compiled, "graph.svg");
  return path === undefined || !existsSync(path) ? undefined : new TextDecoder().decode(await readBytes(path));
}

/** Rows come from a file that anybody may have edited; those without the fields of a metric row are left out. */
function isMetricRow(row: StepRow): row is MetricRow {
  const record = (key: string): boolean => key in row && typeof Reflect.get(row, key) === "object" && Reflect.get(row, key) !== null;
  return "loss" in row && typeof row.loss === "number" && "lr" in row && "wd" in row && record("losses") && record("momentum") && record("kept");
}
