/**
 * `probe { }`: what is measured of which encoder.
 *
 * Owns the kinds of probes with their options, and their diagnostics. What a probe does is the runtime's.
 */
import { own } from "../base/own.js";
import { didYouMean } from "../messages/did-you-mean.js";
import { report } from "../messages/report.js";
import type { ReportExtras } from "../messages/report.js";
import type * as ast from "../syntax/ast.js";
import { printExpr } from "../syntax/print.js";
import { constantOf } from "../types/dim.js";
import type { ProbeSpec } from "../../runtime/abi.js";
import type { BodyCx } from "./body.js";
import type { Call } from "./calls.js";
import { callSpan, named, wordOf } from "./calls.js";
import { evaluate } from "./expr.js";
import { createTaken, placeOf } from "./given.js";
import type { CheckedModel, EncoderEntry } from "./model.js";
import { asCount, asNumber } from "./static.js";

/** What is known of a model's encoders. */
export type Encoders = Pick<CheckedModel, "encoderNames" | "encoders">;

/** Kinds of probes with the names of their arguments. */
export function probeKinds(): Readonly<Record<string, readonly string[]>> {
  return probes;
}

/** Reads all probes of a program; every mistake is reported. One of each kind on an encoder: a table has one line for them. */
export function readProbes(cx: BodyCx, exprs: readonly ast.Expr[], encoders: Encoders): readonly ProbeSpec[] {
  const said = new Map<string, ast.Expr>();
  return exprs.flatMap((expr) => {
    const read = readProbe(cx, expr, encoders);
    if (read === undefined) return [];
    const name = `${read.kind}(on: ${read.on})`;
    const first = said.get(name);
    if (first === undefined) said.set(name, expr);
    else cx.diagnostics.add(report("JEP2002", expr.span, { name }, { help: "Keep one of the two.", related: [{ span: first.span, message: "said first here" }] }));
    return first === undefined ? read : [];
  });
}

/** The only encoder that a probe can look at, as help and fix; several are a choice for a person. */
function withEncoder(expr: ast.Expr, names: readonly string[]): ReportExtras {
  const [name] = names;
  if (name === undefined) return {};
  const help = `Add \`on: ${name}\`${names.length > 1 ? ", or another encoder" : ""}.`;
  if (names.length > 1 || (expr.kind === "call" && expr.block !== undefined)) return { help };
  const first = expr.kind === "call" ? expr.args[0] : undefined;
  const { file, end } = expr.span;
  const edit = first !== undefined ? { span: { file, start: first.span.start, end: first.span.start }, text: `on: ${name}, ` }
    : { span: { file, start: wordOf(expr).end, end }, text: `(on: ${name})` };
  return { help, fixes: [{ title: `write \`on: ${name}\``, edits: [edit] }] };
}

const probes: Readonly<Record<ProbeSpec["kind"], readonly string[]>> = {
  linear: ["on", "pool"], knn: ["on", "pool", "k"], attentive: ["on", "heads", "epochs", "learning_rate", "weight_decay"],
};

function readProbe(cx: BodyCx, expr: ast.Expr, { encoderNames: encoders, encoders: entries }: Encoders): ProbeSpec | undefined {
  const call = named(expr);
  const formals = call === undefined ? undefined : own(probes, call.name);
  if (call === undefined || formals === undefined) {
    if (expr.kind !== "hole") cx.diagnostics.add(report("JEP6009", expr.span, { known: Object.keys(probes).join(", ") }, didYouMean(call?.name ?? "", Object.keys(probes), wordOf(expr))));
    return undefined;
  }
  let on: string | undefined;
  const args: Record<string, number> = {};
  const taken = createTaken(call.name, cx.diagnostics);
  for (const arg of call.args) {
    const key = arg.name?.text ?? "on";
    if (!taken.take(key, placeOf(arg))) continue;
    if (!formals.includes(key)) cx.diagnostics.add(report("JEP2004", arg.name?.span ?? arg.span, { callee: call.name, name: key, known: formals.map((f) => `\`${f}\``).join(", ") }));
    else if (key === "on" && arg.value.kind === "ref") on = arg.value.name;
    else if (key === "k") args[key] = asCount(evaluate(cx, arg.value), "`k`", arg.span, cx.diagnostics, 1, 10_000) ?? 20;
    else if (key === "heads" || key === "epochs") write(args, key, asCount(evaluate(cx, arg.value), `\`${key}\``, arg.span, cx.diagnostics, 1, 10_000));
    else if (key === "learning_rate" || key === "weight_decay") write(args, key, atLeastZero(cx, key, arg, key === "learning_rate"));
    else if (key === "pool" && !(arg.value.kind === "ref" && arg.value.name === "mean")) cx.diagnostics.add(report("JEP2010", arg.span, { what: "`pool`", expected: "`mean`", found: `\`${printExpr(arg.value)}\`` }));
  }
  const names = [...encoders].flatMap(([name, of]) => (of === undefined ? [] : [name]));
  if (on === undefined) {
    const given = call.args.find((a) => (a.name?.text ?? "on") === "on");
    if (given === undefined) cx.diagnostics.add(report("JEP2005", callSpan(expr), { callee: call.name, name: "on" }, withEncoder(expr, names)));
    else if (given.value.kind !== "hole") cx.diagnostics.add(report("JEP2010", given.value.span, { what: `\`on\` of \`${call.name}\``, expected: "an encoder", found: `\`${printExpr(given.value)}\`` }));
    return undefined;
  }
  const encoder = encoders.get(on);
  // A name whose own line was refused is no second mistake.
  if (encoder === undefined && encoders.has(on)) return undefined;
  if (encoder === undefined) {
    const said = call.args.find((a) => a.value.kind === "ref" && a.value.name === on)?.value.span ?? expr.span;
    cx.diagnostics.add(report("JEP6010", said, { name: on }, didYouMean(on, names, said)));
    return undefined;
  }
  if (call.name !== "attentive") return { kind: call.name === "knn" ? "knn" : "linear", on: encoder, pool: "mean", args };
  return readsTokens(cx, expr, call, on, args, entries.find((e) => e.name === encoder)) ? { kind: "attentive", on: encoder, pool: "attention", args } : undefined;
}

function write(args: Record<string, number>, key: string, n: number | undefined): void {
  if (n !== undefined) args[key] = n;
}

/** A number of at least 0, or above it. */
function atLeastZero(cx: BodyCx, key: string, arg: ast.Arg, above: boolean): number | undefined {
  const n = asNumber(evaluate(cx, arg.value), `\`${key}\``, arg.span, cx.diagnostics);
  if (n === undefined || n > 0 || (n === 0 && !above)) return n;
  cx.diagnostics.add(report("JEP2011", arg.span, { what: `\`${key}\``, bounds: above ? "a number above 0" : "a number of at least 0", found: n }));
  return undefined;
}

/** Whether an encoder gives tokens to attend to, in a width that the heads divide; where the model has mistakes of its own, that is not known yet. */
function readsTokens(cx: BodyCx, expr: ast.Expr, call: Call, name: string, { heads }: Readonly<Record<string, number>>, entry: EncoderEntry | undefined): boolean {
  if (entry === undefined) return true;
  const { axes, shape } = entry.result;
  const last = shape.at(-1);
  const width = last === undefined ? undefined : constantOf(last);
  if (!axes.includes("token") && !axes.includes("time")) {
    cx.diagnostics.add(report("JEP6026", callSpan(expr), { name }));
    return false;
  }
  if (heads === undefined || width === undefined || width % heads === 0) return true;
  cx.diagnostics.add(report("JEP3011", call.args.find((a) => a.name?.text === "heads")?.span ?? expr.span, { width, heads }));
  return false;
}
