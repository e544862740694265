/**
 * `jepac dev`: what happens inside the compiler.
 *
 * Owns the view of stages: their list, times, and the text of any of them. Stages name themselves (the record that every
 * pass leaves), so a new pass shows up here without a word. The text of a tensor stage reads back with the parser of the
 * tensor IR, that of `model` with the parser of the graph.
 */
import { join, resolve } from "node:path";
import { suggest } from "../base/suggest.js";
import { compile } from "../compile.js";
import type { CompileResult } from "../compile.js";
import { printGraph } from "../model/print.js";
import type { StageRecord } from "../passes/pass.js";
import { textTable } from "../../runtime/log/table.js";
import { writeAtomic } from "../../runtime/base/files.js";
import type { Command } from "./command.js";
import { CliError } from "./command.js";
import { tellDiagnostics } from "./show.js";
import { openSource, programOptions, readProgramOptions } from "./source.js";

export const devCommand: Command = {
  words: { file: "the program" },
  options: {
    list: { kind: "flag", help: "list the stages, and which of them changed something" },
    time: { kind: "flag", help: "with the time that each took" },
    dump: { kind: "text", help: "print a stage by name or number, or `all` of them" },
    "stop-after": { kind: "text", help: "leave out what comes after this stage" },
    out: { kind: "text", alias: "o", help: "a folder to dump into, one file per stage (standard output)" },
    ...programOptions,
  },
  examples: [
    ["jepac dev specs/ijepa.jepa --list --time", "stages and times"],
    ["jepac dev specs/ijepa.jepa --dump differentiate", "the tensor IR after differentiation"],
    ["jepac dev specs/ijepa.jepa --dump all -o dump", "everything, for a diff"],
  ],
  async run(args, cx) {
    const opened = openSource(args.need("file"), cx);
    const result = compile(opened.source, { ...readProgramOptions(args), target: "tfjs", now: () => cx.clock() });
    tellDiagnostics(result, opened, cx);
    if (!result.ok) return 1;
    const stages = until(allStages(result), args.text("stop-after"));
    const dump = args.text("dump");
    if (dump === undefined || args.flag("list") || args.flag("time")) cx.out.write(`${table(stages, args.flag("time"))}\n`);
    if (dump === undefined) return 0;
    const chosen = dump === "all" ? stages : [find(stages, dump)];
    const out = args.text("out");
    for (const stage of chosen) {
      if (out === undefined) cx.out.write(`${chosen.length > 1 ? `// ---- ${stage.name} ----\n` : ""}${ended(stage.record.text())}`);
      else await writeAtomic(join(resolve(cx.cwd, out), fileName(stage)), ended(stage.record.text()));
    }
    if (out !== undefined) cx.out.write(`${chosen.length} ${chosen.length === 1 ? "stage" : "stages"} into ${out}\n`);
    return 0;
  },
};

/** A stage with a name of its own: passes that run twice are told apart by their place (`cse#2`). */
interface Stage {
  readonly name: string;
  readonly number: number;
  readonly record: StageRecord;
}

function allStages(result: CompileResult): Stage[] {
  const { graph } = result;
  const model: StageRecord[] = graph === undefined ? [] : [{ stage: "model", level: "model", ms: 0, changed: true, text: () => printGraph(graph) }];
  const files: StageRecord[] = result.files.map((f) => ({ stage: f.path, level: "files", ms: 0, changed: true, text: () => f.text }));
  const seen = new Map<string, number>();
  return [...model, ...result.stages, ...files].map((record, i) => {
    const times = (seen.get(record.stage) ?? 0) + 1;
    seen.set(record.stage, times);
    return { name: times === 1 ? record.stage : `${record.stage}#${times}`, number: i + 1, record };
  });
}

function until(stages: readonly Stage[], last: string | undefined): readonly Stage[] {
  return last === undefined ? stages : stages.slice(0, stages.indexOf(find(stages, last)) + 1);
}

function find(stages: readonly Stage[], wanted: string): Stage {
  const found = stages.find((s) => s.name === wanted || String(s.number) === wanted);
  if (found !== undefined) return found;
  const near = suggest(wanted, stages.map((s) => s.name));
  throw new CliError(`there is no stage \`${wanted}\``, near[0] === undefined ? `there are ${stages.map((s) => s.name).join(", ")}` : `did you mean \`${near[0]}\`?`);
}

function table(stages: readonly Stage[], time: boolean): string {
  const header = ["stage", "number", "level", "changed", ...(time ? ["ms"] : []), "lines"];
  return textTable(header, stages.map((s) => [
    s.name, String(s.number), s.record.level, s.record.changed ? "yes" : "-", ...(time ? [s.record.ms.toFixed(1)] : []), String(ended(s.record.text()).split("\n").length - 1),
  ]));
}

function fileName(stage: Stage): string {
  const plain = stage.name.replace(/[^\w.#-]/g, "_").replace("#", "-");
  const extension = stage.record.level === "tensor" ? ".tensor" : stage.record.level === "model" ? ".model" : "";
  return `${String(stage.number).padStart(2, "0")}-${plain}${extension}`;
}

function ended(text: string): string {
  return text.endsWith("\n") ? text : `${text}\n`;
}
