/**
 * `jepac sweep`: many variants, one command, one table.
 *
 * Owns the order of runs (one after another in this process, or several side by side as processes of their own compiled
 * programs), and going on: a row whose folder says that it ended is not run again, one that was cut off goes on from its
 * checkpoint, one that was run from another text or with other options is refused. Tables and plot are written after every
 * row, so a sweep that is stopped has results. Rows are sweep-rows.ts, results sweep-results.ts.
 */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { existsSync, openSync, closeSync, readFileSync } from "node:fs";
import { basename, dirname, join, relative, resolve } from "node:path";
import { counted } from "../../runtime/base/counted.js";
import { makeFolder, writeAtomic } from "../../runtime/base/files.js";
import { refuseTaken } from "../../runtime/train/claim.js";
import { holdsRun, shellWord } from "../../runtime/train/run-folder.js";
import { checkEngineRuns, parseOptions } from "../../runtime/train/options.js";
import type { CompileResult } from "../compile.js";
import { check, compile } from "../compile.js";
import type { Command } from "./command.js";
import { CliError } from "./command.js";
import { compileInto } from "./compile.js";
import { loadCompiled } from "../../runtime/train/compiled.js";
import { noteLine, tellDiagnostics } from "./show.js";
import { openSource, programOptions, readProgramOptions } from "./source.js";
import type { RowResult } from "./sweep-results.js";
import { readResult, toCsv, toMarkdown, toSvg } from "./sweep-results.js";
import type { SweepRow } from "./sweep-rows.js";
import { chosenRows, sweepRows } from "./sweep-rows.js";
import type { CliTerminal } from "./terminal.js";
import { keepChanges, runOptions, runWords } from "./train.js";

const own: readonly string[] = ["data", "eval-data", "engine", "steps", "epochs", "batch", "seed", "workers", "probe", "quiet"];
const interrupted = 130;

/** What a row's folder says about its run. */
interface RowFile {
  readonly hash: string;
  readonly words: readonly string[];
  /** The exit code of the run; absent while it has not ended. */
  readonly code?: number;
}

interface Sweep {
  readonly rows: readonly SweepRow[];
  readonly words: readonly string[];
  readonly folder: string;
  readonly shown: string;
  readonly title: string;
  readonly cx: CliTerminal;
}

export const sweepCommand: Command = {
  words: { files: "programs" },
  options: {
    only: { kind: "texts", help: "only these rows (names with commas, or repeated)" },
    jobs: { kind: "text", initial: "1", help: "how many runs side by side" },
    list: { kind: "flag", help: "list the rows and run nothing" },
    out: { kind: "text", alias: "o", help: "the folder of the sweep (runs/sweep-<file> unless given)" },
    ...Object.fromEntries(Object.entries(runOptions).filter(([name]) => own.includes(name))),
    ...Object.fromEntries(Object.entries(programOptions).filter(([name]) => name === "set")),
  },
  examples: [
    ["jepac sweep examples/ablations/*.jepa --steps 400", "all tables of the paper, on the small configuration"],
    ["jepac sweep examples/ablations/masking.jepa --only multi_block,random --jobs 2", "two rows, side by side"],
  ],
  async run(args, cx) {
    const files = args.texts("files");
    const opened = files.map((file) => openSource(file, cx));
    const rows = chosenRows(sweepRows(opened, readProgramOptions(args).set ?? {}), args.texts("only"));
    const jobs = readJobs(args.text("jobs") ?? "1");
    if (args.flag("list")) {
      // What cannot be read is not listed: rows may be missing, and that is not to look like all of them.
      const unread = opened.map((one) => ({ one, result: check(one.source) })).filter(({ result }) => result.diagnostics.some((d) => d.severity === "error" && d.code.startsWith("JEP1")));
      for (const { one, result } of unread) tellDiagnostics(result, one, cx);
      if (unread.length > 0) return 1;
      for (const row of rows) cx.out.write(`${row.name}${row.paper === undefined ? "" : `  (paper: ${row.paper.toFixed(1)})`}  ${row.doc}\n`);
      return 0;
    }
    const words = runWords(args).filter((word) => own.includes(word.replace(/^--(no-)?/, "").replace(/=.*$/s, "")));
    checkEngineRuns("tfjs", parseOptions(words).engine);
    const title = files.length === 1 ? basename(files[0] ?? "").replace(/\.jepa$/, "") : "ablations";
    const shown = args.text("out") ?? join("runs", `sweep-${title}`);
    const sweep: Sweep = { rows, words, folder: resolve(cx.cwd, shown), shown, title, cx };
    const compiled = await compileAll(sweep);
    if (compiled === undefined) return 1;
    const code = await runAll(sweep, compiled, jobs);
    const results = await writeResults(sweep);
    cx.out.write(`${results.filter((r) => r.state === "done").length} of ${counted(rows.length, "row")} done; ${["results.csv", "results.md", "results.svg"].map((f) => join(shown, f)).join(", ")}\n`);
    return code;
  },
};

function readJobs(text: string): number {
  const jobs = Number(text);
  if (!/^\d+$/.test(text) || jobs < 1 || jobs > 64) throw new CliError(`--jobs takes a whole number from 1 to 64, not ${text}`);
  return jobs;
}

/** Every row compiled before the first one runs: a mistake in the last must not wait for all the others. */
async function compileAll(sweep: Sweep): Promise<ReadonlyMap<SweepRow, CompileResult> | undefined> {
  const compiled = new Map<SweepRow, CompileResult>();
  let failed = false;
  const told = new Set<string>();
  for (const row of sweep.rows) {
    const result = compile(row.source, { ...row.options, target: "tfjs" });
    if (!result.ok) {
      sweep.cx.err.write(noteLine(`the row ${row.name} has mistakes`, sweep.cx.err, sweep.cx.env));
      // A mistake of the file is one of all its rows, and is told once.
      const mistakes = JSON.stringify(result.diagnostics);
      if (!told.has(mistakes)) tellDiagnostics(result, row.opened, sweep.cx);
      told.add(mistakes);
      failed = true;
    }
    compiled.set(row, result);
  }
  if (failed || compiled.size === 0) return undefined;
  for (const row of sweep.rows) await refuseOther(sweep, row, hashOf(compiled.get(row)));
  return compiled;
}

function hashOf(result: CompileResult | undefined): string {
  return result?.manifest?.source.hash ?? "";
}

/** A folder of another program, of other options, of files that somebody has changed, or of another process that is training there, is not written into. @throws CliError or HostError */
async function refuseOther(sweep: Sweep, row: SweepRow, hash: string): Promise<void> {
  const shown = join(sweep.shown, row.name);
  refuseTaken(join(sweep.folder, row.name), shown);
  const held = readRow(sweep, row);
  if (held === undefined) return;
  if (held.hash === hash && held.words.join(" ") === said(sweep).join(" ")) return hasEnded(held) ? undefined : keepChanges(join(sweep.folder, row.name, "compiled"), shown);
  throw new CliError(
    `${shown} was run ${held.hash === hash ? `with other options (${held.words.join(" ") || "none"})` : "from another text of the program"}`,
    "give another folder with --out, or remove that one",
  );
}

/** The options that make a run what it is. */
function said(sweep: Sweep): readonly string[] {
  return sweep.words.filter((word) => !/^--(no-)?(quiet|workers|engine)\b/.test(word));
}

function rowPath(sweep: Sweep, row: SweepRow): string {
  return join(sweep.folder, row.name, "row.json");
}

function readRow(sweep: Sweep, row: SweepRow): RowFile | undefined {
  const path = rowPath(sweep, row);
  if (!existsSync(path)) return undefined;
  try {
    const value: unknown = JSON.parse(readFileSync(path, "utf8"));
    if (isRowFile(value)) return value;
  } catch {
    // Told below.
  }
  throw new CliError(`${join(sweep.shown, row.name, "row.json")} is damaged`, "remove the folder of that row");
}

function isRowFile(value: unknown): value is RowFile {
  return typeof value === "object" && value !== null && "hash" in value && typeof value.hash === "string" && "words" in value && Array.isArray(value.words);
}

/** Ended for good: 0 is done, 3 a collapse that the program stops at. */
function hasEnded(held: RowFile | undefined): boolean {
  return held?.code === 0 || held?.code === 3;
}

/** Runs side by side. */
interface Aside {
  readonly children: Set<ChildProcess>;
  stopped: boolean;
}

/** What ends a sweep, each run with a checkpoint. */
const STOPS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

async function runAll(sweep: Sweep, compiled: ReadonlyMap<SweepRow, CompileResult>, jobs: number): Promise<number> {
  const waiting = sweep.rows.filter((row) => !hasEnded(readRow(sweep, row)));
  const before = sweep.rows.length - waiting.length;
  if (before > 0) sweep.cx.err.write(`${before} rows had ended before\n`);
  const codes: number[] = [];
  const aside: Aside = { stopped: false, children: new Set() };
  // Side by side, the runs end with a checkpoint and this process waits for them. Whether they were sent the signal too depends on
  // who sent it; a run that is told a second time by SIGHUP does not take it for a person in a hurry.
  const stop = (): void => {
    aside.stopped = true;
    for (const child of aside.children) child.kill("SIGHUP");
  };
  if (jobs > 1) for (const signal of STOPS) process.on(signal, stop);
  const worker = async (): Promise<void> => {
    for (let row = waiting.shift(); row !== undefined && !aside.stopped; row = waiting.shift()) {
      const result = compiled.get(row);
      if (result === undefined) continue;
      const code = await runRow(sweep, row, result, jobs, aside);
      codes.push(code);
      if (code === interrupted) aside.stopped = true;
      await writeResults(sweep);
    }
  };
  try {
    await Promise.all(Array.from({ length: jobs }, worker));
  } finally {
    for (const signal of STOPS) process.removeListener(signal, stop);
  }
  if (aside.stopped) {
    sweep.cx.err.write("stopped; the same command goes on from here\n");
    return interrupted;
  }
  return codes.every((code) => code === 0 || code === 3) ? 0 : 1;
}

async function runRow(sweep: Sweep, row: SweepRow, result: CompileResult, jobs: number, aside: Aside): Promise<number> {
  const { cx } = sweep;
  const folder = join(sweep.folder, row.name);
  const compiled = join(folder, "compiled");
  const file: RowFile = { hash: hashOf(result), words: said(sweep) };
  const resumes = holdsRun(folder);
  await writeAtomic(rowPath(sweep, row), `${JSON.stringify(file)}\n`);
  cx.err.write(`${row.name}: ${resumes ? "going on" : "starting"}\n`);
  if (compileInto(row.opened, result, compiled, { ...cx, err: { write: () => undefined } }) === undefined) return 1;
  const words = [...sweep.words, "--out", folder, "--no-report", ...(resumes ? ["--resume"] : [])];
  const code = jobs === 1 ? await runHere(compiled, words, cx) : await runApart(compiled, words, join(folder, "log.txt"), cx.cwd, aside);
  await writeAtomic(rowPath(sweep, row), `${JSON.stringify(code === interrupted ? file : { ...file, code })}\n`);
  cx.err.write(`${row.name}: ${stateOf({ ...file, code })}${code === 0 || jobs === 1 ? "" : `, see ${join(sweep.shown, row.name, "log.txt")}`}\n`);
  return code;
}

async function runHere(compiled: string, argv: readonly string[], cx: CliTerminal): Promise<number> {
  const program = await loadCompiled(compiled, relative(cx.cwd, compiled));
  const { runTrainer } = await import("../../runtime/train/main.js");
  return runTrainer({ ...program, argv, folder: compiled, command: `node ${shellWord(join(relative(cx.cwd, compiled), "train.mjs"))}`, host: { terminal: cx.err } });
}

/** Runs in a process of its own, which is among the children as long as it lives. */
function runApart(compiled: string, words: readonly string[], log: string, cwd: string, { stopped, children }: Aside): Promise<number> {
  if (stopped) return Promise.resolve(interrupted);
  makeFolder(dirname(log));
  const file = openSync(log, "a");
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [join(compiled, "train.mjs"), ...words], { cwd, stdio: ["ignore", file, file] });
    children.add(child);
    child.on("error", fail);
    child.on("close", (code) => {
      children.delete(child);
      closeSync(file);
      done(code ?? interrupted);
    });
  });
}

function stateOf(held: RowFile | undefined): string {
  if (held?.code === undefined || held.code === interrupted) return "waiting";
  return held.code === 0 ? "done" : held.code === 3 ? "collapsed" : "failed";
}

/** Writes the tables and the plot of what there is. */
async function writeResults(sweep: Sweep): Promise<readonly RowResult[]> {
  const results = sweep.rows.map((row) => readResult(join(sweep.folder, row.name), { name: row.name, doc: row.doc, paper: row.paper, state: stateOf(readRow(sweep, row)) }));
  await writeAtomic(join(sweep.folder, "results.csv"), toCsv(results));
  await writeAtomic(join(sweep.folder, "results.svg"), toSvg(sweep.title, results));
  await writeAtomic(join(sweep.folder, "results.md"), toMarkdown(sweep.title, results, "results.svg"));
  return results;
}
