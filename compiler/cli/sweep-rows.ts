/**
 * What a sweep runs: the rows of its table, from the programs of one or several files.
 *
 * Owns the expansion (a program with `sweep` statements stands for their points, any other for itself), unique names that
 * are also folder names, and the number that a paper gives, read from the comment before a variant: `Paper: 54.2`.
 */
import { basename } from "node:path";
import { suggest } from "../base/suggest.js";
import type { ProgramOptions, Source } from "../compile.js";
import { check } from "../compile.js";
import { parse } from "../syntax/parse.js";
import { CliError } from "./command.js";
import type { Opened } from "./source.js";

/** One run of a sweep. */
export interface SweepRow {
  /** Its name, also that of its folder. */
  readonly name: string;
  readonly opened: Opened;
  readonly source: Source;
  readonly options: ProgramOptions;
  /** The comment before the program, without the paper's number. */
  readonly doc: string;
  /** What the paper reports for this row, in percent. */
  readonly paper: number | undefined;
}

type Settings = NonNullable<ProgramOptions["set"]>;

/** The rows of the files' programs, in order. Programs with errors are rows too: compiling them tells the mistakes. */
export function sweepRows(files: readonly Opened[], set: Settings): SweepRow[] {
  const rows = files.flatMap((opened) => {
    const prefix = files.length === 1 ? "" : `${basename(opened.path).replace(/\.jepa$/, "")}.`;
    return programsOf(opened).flatMap((program) => rowsOf(opened, program, prefix, set));
  });
  const seen = new Set<string>();
  return rows.map((row) => {
    let name = row.name;
    for (let n = 2; seen.has(name); n++) name = `${row.name}-${n}`;
    seen.add(name);
    return { ...row, name };
  });
}

/** What a file declares, and the programs of other files that it sweeps over. */
function programsOf(opened: Opened): string[] {
  const swept = parse(opened.source.text, opened.source.file).ast.items.flatMap((item) => (item.kind === "sweep" ? [item.base.text] : []));
  return [...new Set([...check(opened.source).programs, ...swept])];
}

function rowsOf(opened: Opened, program: string, prefix: string, set: Settings): SweepRow[] {
  const { checked, graph } = check(opened.source, { program, set });
  const doc = (graph?.doc ?? "").replace(/\s+/g, " ").trim();
  const said = /\bPaper: (\d+(?:\.\d+)?)\b/.exec(doc)?.[1];
  const base = { opened, source: opened.source, doc: doc.replace(/\s*\bPaper: \d+(\.\d+)?\.?/, ""), paper: said === undefined ? undefined : Number(said) };
  const sweeps = checked?.sweeps ?? [];
  if (sweeps.length === 0) return [{ ...base, name: `${prefix}${program}`, options: { program, set } }];
  return sweeps.flatMap((sweep) => sweep.points.map((point) => {
    const settings = Object.fromEntries(point);
    const words = Object.entries(settings).map(([path, value]) => `${path}=${String(value)}`);
    return { ...base, paper: undefined, name: `${prefix}${sweep.name}.${words.join(",").replace(/[^\w.,=-]/g, "_")}`, doc: `${sweep.name}: ${words.join(", ")}`, options: { program, set: { ...set, ...settings } } };
  }));
}

/** The rows that are asked for. @throws CliError for a name that no row has. */
export function chosenRows(rows: readonly SweepRow[], only: readonly string[]): readonly SweepRow[] {
  const wanted = only.flatMap((word) => word.split(",")).map((word) => word.trim()).filter((word) => word !== "");
  const names = rows.map((row) => row.name);
  for (const word of wanted) {
    if (names.includes(word)) continue;
    const near = suggest(word, names);
    throw new CliError(`no row of the sweep is called ${word}`, near[0] === undefined ? `there are ${names.join(", ")}` : `did you mean ${near[0]}?`);
  }
  return wanted.length === 0 ? rows : rows.filter((row) => wanted.includes(row.name));
}
