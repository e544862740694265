/**
 * `jepac graph`: the model graph for people and for programs.
 *
 * Owns the choice of a form and of a place to put it. The forms are `compiler/model/export-*.ts` and `print.ts`.
 */
import { extname, resolve } from "node:path";
import { check } from "../check-source.js";
import { toDot } from "../model/export-dot.js";
import { toJson } from "../model/export-json.js";
import { toMermaid } from "../model/export-mermaid.js";
import { toSvg } from "../model/export-svg.js";
import type { ModelGraph } from "../model/ir.js";
import { printGraph } from "../model/print.js";
import { writeAtomic } from "../../runtime/base/files.js";
import type { Command } from "./command.js";
import { CliError } from "./command.js";
import { tellDiagnostics } from "./show.js";
import { openSource, programOptions, readProgramOptions } from "./source.js";

const formats: Readonly<Record<string, (graph: ModelGraph) => string>> = {
  text: (graph) => printGraph(graph),
  json: (graph) => toJson(graph),
  dot: toDot,
  mermaid: toMermaid,
  svg: toSvg,
};

/** The forms that a file's name says. A name that says none takes any. */
const named: Readonly<Record<string, string>> = { ".txt": "text", ".json": "json", ".dot": "dot", ".gv": "dot", ".mmd": "mermaid", ".mermaid": "mermaid", ".svg": "svg" };

/** The form that is asked for, by `--format` or by the name of the file. @throws CliError where they contradict each other. */
function formatOf(asked: string | undefined, out: string | undefined): string {
  const said = out === undefined ? undefined : named[extname(out).toLowerCase()];
  if (asked !== undefined && said !== undefined && asked !== said) throw new CliError(`-o ${out ?? ""} names a file of ${said}, and --format says ${asked}`, "leave --format away, or name the file otherwise");
  return asked ?? said ?? "text";
}

export const graphCommand: Command = {
  words: { file: "the program" },
  options: {
    format: { kind: "text", choices: Object.keys(formats), initial: "by the file's name, else text", help: "the form" },
    out: { kind: "text", alias: "o", help: "a file to write to (standard output)" },
    ...programOptions,
  },
  examples: [
    ["jepac graph specs/ijepa.jepa -o ijepa.svg", "a picture"],
    ["jepac graph specs/ijepa.jepa --format json", "for programs"],
    ["jepac graph specs/ijepa.jepa --format mermaid", "for a README"],
  ],
  async run(args, cx) {
    const out = args.text("out");
    const format = formatOf(args.text("format"), out);
    const opened = openSource(args.need("file"), cx);
    const result = check(opened.source, readProgramOptions(args));
    tellDiagnostics(result, opened, cx);
    if (!result.ok || result.graph === undefined) return 1;
    const text = (formats[format] ?? printGraph)(result.graph);
    const whole = text.endsWith("\n") ? text : `${text}\n`;
    if (out === undefined) cx.out.write(whole);
    else await writeAtomic(resolve(cx.cwd, out), whole);
    return 0;
  },
};
