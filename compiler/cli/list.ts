/**
 * `jepac list`: what files offer.
 *
 * Owns a table of models and variants with their sizes, and the `param`s that `--set` can change. Programs with mistakes
 * are listed too, with the number of their errors.
 */
import { check, lowerChecked } from "../compile.js";
import type { CheckResult } from "../compile.js";
import { flopsPerImage } from "../lower/cost.js";
import { parameterCount } from "../model/queries.js";
import { textTable } from "../../runtime/log/table.js";
import type { Command } from "./command.js";
import { count, short } from "./show.js";
import type { Opened } from "./source.js";
import { openSource } from "./source.js";
import type { CliTerminal } from "./terminal.js";

export const listCommand: Command = {
  words: { files: "programs" },
  options: { format: { kind: "text", choices: ["text", "json"], initial: "text", help: "a table, or JSON for programs" } },
  examples: [["jepac list examples/ijepa-small.jepa", "what is in it"], ["jepac list specs/*.jepa", "what is in all of them"]],
  async run(args, cx) {
    // All are opened first: a file that is not there is told before anything else.
    const files = args.texts("files").map((file) => openSource(file, cx));
    if (args.text("format") === "json") {
      const told = files.map(fileJson);
      cx.out.write(`${JSON.stringify(told.length === 1 ? told[0] : told, undefined, 2)}\n`);
      return 0;
    }
    files.forEach((opened, i) => {
      if (files.length > 1) cx.out.write(`${i === 0 ? "" : "\n"}${opened.shown}\n`);
      tellFile(opened, cx);
    });
    return 0;
  },
};

/** What a file offers, for programs: numbers are absent where mistakes keep them from being known. */
function fileJson(opened: Opened): Record<string, unknown> {
  const programs = check(opened.source).programs.map((program) => {
    const result = check(opened.source, { program });
    const errors = result.diagnostics.filter((d) => d.severity === "error").length;
    const params = Object.fromEntries(result.checked?.params ?? []);
    const sweeps = (result.checked?.sweeps ?? []).map(({ name, points }) => ({ name, runs: points.length }));
    return { program, errors, ...(errors > 0 || result.checked === undefined ? {} : sizes(result.checked)), params, sweeps };
  });
  return { file: opened.shown, programs };
}

function sizes({ graph, training, ...checked }: NonNullable<CheckResult["checked"]>): Record<string, unknown> {
  const { total, trained } = parameterCount(graph);
  const flops = flopsPerImage(graph, lowerChecked({ graph, training, ...checked }), training.train.batch);
  return { parameters: total, trained, flopsPerImage: flops, losses: graph.losses.map((l) => l.name), masks: graph.masks.map((m) => m.name) };
}

function tellFile(opened: Opened, cx: CliTerminal): void {
  const { programs } = check(opened.source);
  if (programs.length === 0) {
    cx.out.write(`${opened.shown} declares no model and no variant\n`);
    return;
  }
  const results = programs.map((program) => ({ program, result: check(opened.source, { program }) }));
  cx.out.write(`${textTable(["program", "parameters", "trained", "FLOPs an image", "losses", "masks"], results.map((r) => row(r.program, r.result)))}\n`);
  for (const { program, result } of results) tellParams(program, result, cx);
}

function row(program: string, result: CheckResult): string[] {
  const errors = result.diagnostics.filter((d) => d.severity === "error").length;
  if (errors > 0 || result.checked === undefined) return [program, `${errors} ${errors === 1 ? "error" : "errors"}`, "", "", "", ""];
  const { graph, training } = result.checked;
  const { total, trained } = parameterCount(graph);
  const flops = flopsPerImage(graph, lowerChecked(result.checked), training.train.batch);
  return [program, count(total), count(trained), short(flops), graph.losses.map((l) => l.name).join(" "), graph.masks.map((m) => m.name).join(" ") || "-"];
}

function tellParams(program: string, result: CheckResult, cx: CliTerminal): void {
  const params = [...(result.checked?.params ?? [])].map(([name, value]) => `${name} = ${JSON.stringify(value)}`);
  if (params.length > 0) cx.out.write(`\n${program}: ${params.join(", ")}\n`);
  const sweeps = result.checked?.sweeps ?? [];
  for (const sweep of sweeps) cx.out.write(`${program}: sweep ${sweep.name}, ${sweep.points.length} runs\n`);
}
