/**
 * What is known of a name, in the words of a hover: its type, where its tokens sit, what trains it, what is proven of it.
 *
 * Owns the choice of facts for each kind of declaration, as Markdown. Facts are read off the graph of the program in which the
 * cursor is; of a module, off the first program that uses it, once for each way in which it is used. Where a program has
 * mistakes there may be no facts, and what the declaration says is told all the same.
 */
import { own } from "../base/own.js";
import type { Span } from "../base/span.js";
import { builtinFormals } from "../check/builtins.js";
import type { Static } from "../check/values.js";
import type { CheckResult } from "../compile.js";
import { maskSpec } from "../manifest.js";
import { kept } from "../masks/draws.js";
import { positionBounds } from "../masks/longest.js";
import { isLoss, lossKind } from "../model/losses.js";
import type { Mask, ModelGraph, Node } from "../model/ir.js";
import { namedNodes, parameterCount, trainedBy } from "../model/queries.js";
import { sizeWords } from "../model/sizes.js";
import { groundLines, held, keptText, proofsOf } from "../proof.js";
import type * as ast from "../syntax/ast.js";
import { printExpr, printType } from "../syntax/print.js";
import { printDim } from "../types/dim.js";
import type { ValueType } from "../types/value-type.js";
import { placesOf, printPositions, printSpace } from "../types/value-type.js";
import type { Declared, Files, Occurrence } from "./names.js";
import { declarationOf } from "./names.js";
import { wordTexts } from "./word-texts.js";
import type { WordText } from "./word-texts.js";

/** Most ways in which a module is used that a hover lists. */
const MOST_USES = 4;

/** Markdown about the name, or undefined where there is nothing to say. */
export function hoverText(files: Files, results: readonly CheckResult[], occurrence: Occurrence): string | undefined {
  const declared = declarationOf(files, occurrence);
  if (declared !== undefined) return parts(declaredParts(declared, results, programOf(results, occurrence.within)));
  if (occurrence.role.kind !== "uses" && occurrence.role.kind !== "word") return undefined;
  const word = occurrence.role.kind === "word" ? own(wordTexts, occurrence.name.text) : undefined;
  if (word !== undefined) return wordParts(word);
  const program = programOf(results, occurrence.within);
  return parts([...builtInParts(occurrence.name.text), ...(isLoss(occurrence.name.text) ? lossParts(lossAt(program, occurrence.name.span), program) : [])]);
}

/** The term of the objective in whose line a place is. */
function lossAt(program: CheckResult | undefined, { file, start }: Span): string | undefined {
  return program?.graph?.losses.find(({ origin }) => origin.file === file && origin.start <= start && start <= origin.end)?.name;
}

/** Markdown about one of the language's own words. */
export function wordParts({ usage, text }: WordText): string {
  return `${code(usage)}\n\n${text}`;
}

/** What stands beside a declaration of a value, an encoder or a mask without being asked for: its shape, its size, its places. */
export function hintText(declared: Declared, results: readonly CheckResult[]): string | undefined {
  const program = declared.within === undefined ? undefined : programOf(results, declared.within);
  if (program?.graph === undefined || !("kind" in declared.by)) return undefined;
  switch (declared.by.kind) {
    case "binding": case "view": {
      const node = namedNodes(program.graph).get(declared.name.text);
      return node === undefined ? undefined : `[${node.type.shape.map(printDim).join(", ")}]`;
    }
    case "instance": {
      const instance = program.graph.instances.find((i) => i.name === declared.name.text);
      return instance === undefined ? undefined : `${sizeWords(parameterCount(program.graph, instance))} parameters`;
    }
    case "mask": {
      const mask = program.graph.masks.find((m) => m.name === declared.name.text);
      if (mask?.grid === undefined) return undefined;
      const count = kept(mask, program.graph.masks, mask.grid, program.checked?.training.train.batch ?? 1);
      return `${count === undefined ? boundsText(mask, program.graph) : count.trimmed.toFixed(1)} of ${placesOf(mask.grid)} positions`;
    }
    default: return undefined;
  }
}

/** The result of the program in which an item lies: of a model or a variant its own, else the first. */
function programOf(results: readonly CheckResult[], item: ast.Item): CheckResult | undefined {
  const name = item.kind === "model" || item.kind === "variant" ? item.name.text : item.kind === "sweep" ? item.base.text : item.kind === "train" || item.kind === "probe" ? item.model?.text : undefined;
  return results.find((r) => r.graph?.name === name) ?? (name === undefined ? results.find((r) => r.graph !== undefined) : undefined);
}

function declaredParts({ name, by, within }: Declared, results: readonly CheckResult[], program: CheckResult | undefined): readonly (string | undefined)[] {
  if (!("kind" in by)) return "args" in by ? [code(name.text), "A size, known from what the module is given."] : [code(formalText(by)), `A parameter of \`${within !== undefined && "name" in within ? within.name?.text ?? "" : ""}\`.`];
  switch (by.kind) {
    case "module": return [code(signature(by)), by.doc];
    case "model": case "variant": return [code(by.kind === "model" ? `model ${by.name.text}` : `variant ${by.name.text} of ${by.base.text}`), by.doc, ...programParts(results.find((r) => r.graph?.name === by.name.text))];
    case "sweep": return [code(`sweep ${by.name.text} of ${by.base.text}`), by.doc, by.axes.map((a) => `\`${a.path.map((n) => n.text).join(".")}\` in \`${printExpr(a.values)}\``).join("  \n")];
    case "param": return [code(`param ${name.text} = ${valueText(program?.checked?.params.get(name.text)) ?? printExpr(by.value)}`), by.doc];
    case "input": return [code(`input ${name.text}: ${printType(by.type)}`), by.doc];
    case "learn": return [code(`${by.role} ${name.text}[${by.shape.map(printExpr).join(", ")}] ~ ${printExpr(by.init)}`), by.doc];
    case "part": return [code(`part ${name.text} = ${printExpr(by.value)}`), by.doc];
    case "repeat": return [code(name.text), "One of the parts of a list, in turn."];
    case "mask": return [code(`mask ${name.text} = ${printExpr(by.value)}`), by.doc, maskText(name.text, program)];
    case "instance": return [code(`${by.role} ${name.text} = ${printExpr(by.value)}`), by.doc, instanceText(name.text, program?.graph)];
    case "loss": return [code(`loss ${name.text}`), by.doc, ...lossParts(name.text, program)];
    case "view": case "binding": return [...(within?.kind === "module" ? inModule(name.text, within.name.text, results) : inProgram(name.text, program)), by.doc];
    case "result": case "allow": case "train": case "probe": return [];
  }
}

function builtInParts(name: string): readonly (string | undefined)[] {
  if (isLoss(name)) {
    const { operands, numbers, words, doc } = lossKind(name);
    const options = [...Object.entries(numbers).map(([k, v]) => `${k}: ${v}`), ...Object.entries(words).map(([k, v]) => `${k}: ${v[0] ?? ""}`)];
    return [code(`${name}(${[...(operands === 1 ? ["x"] : ["prediction", "target"]), ...options].join(", ")})`), doc];
  }
  const formals = builtinFormals(name);
  return formals === undefined ? [] : [code(`${name}(${formals.map((f) => (f === "..." ? "…" : f)).join(", ")})`), "Built in."];
}

function inProgram(name: string, program: CheckResult | undefined): readonly (string | undefined)[] {
  const node = program?.graph === undefined ? undefined : namedNodes(program.graph).get(name);
  return node === undefined ? [code(name)] : [code(valueLine(name, node)), placeText(node.type)];
}

/** The types that a name of a module has, where programs use the module. */
function inModule(name: string, module: string, results: readonly CheckResult[]): readonly string[] {
  const uses = results.flatMap((r) => (r.graph?.funcs ?? []).filter((f) => f.module === module).flatMap((f) => f.body.nodes.filter((n) => n.name === name).slice(-1).map((n) => valueLine(name, n))));
  return [code([...new Set(uses)].slice(0, MOST_USES).join("\n") || name)];
}

function valueLine(name: string, { type }: Node): string {
  return `${name}: ${type.dtype}[${type.shape.map((d, i) => `${type.axes[i] ?? "feature"} ${printDim(d)}`).join(", ")}]`;
}

function placeText({ positions, space }: ValueType): string | undefined {
  const place = positions.kind === "none" ? [] : [`At ${printPositions(positions)}.`];
  return [...place, ...(space.kind === "any" || space.kind === "scalar" ? [] : [`In ${printSpace(space)}.`])].join(" ") || undefined;
}

function maskText(name: string, program: CheckResult | undefined): string | undefined {
  const mask = program?.graph?.masks.find((m) => m.name === name);
  if (program?.graph === undefined || mask?.grid === undefined) return undefined;
  const { rows, cols, frames } = mask.grid;
  const sets = mask.count === 1 ? "one set" : `${mask.count} sets`;
  const keeps = keptText(mask, program.graph.masks, program.checked?.training.train.batch ?? 1);
  return `On a grid of ${frames === undefined ? "" : `${frames}x`}${rows}x${cols}, ${sets} an image${mask.count === 1 ? "" : ", each"} of ${boundsText(mask, program.graph)} of ${placesOf(mask.grid)} positions.${keeps === undefined ? "" : ` It ${keeps}.`}`;
}

/** The bounds of a row, whatever is drawn. */
function boundsText(mask: Mask, graph: ModelGraph): string {
  const [spec] = maskSpec(mask);
  const { least, most } = spec === undefined ? { least: 0, most: 0 } : positionBounds(spec, graph.masks.flatMap((m) => (m === mask ? spec : maskSpec(m))));
  return least === most ? String(most) : `${least} to ${most}`;
}

function instanceText(name: string, graph: ModelGraph | undefined): string | undefined {
  const instance = graph?.instances.find((i) => i.name === name);
  if (graph === undefined || instance === undefined) return undefined;
  const { training } = instance;
  const by = graph.losses.filter((l) => trainedBy(graph, l).includes(name)).map((l) => `\`${l.name}\``);
  const how = training.kind === "ema" ? `follows \`${training.of}\`, momentum ${training.momentum.points.join(" -> ")}` : training.kind === "frozen" ? `never trained (${training.init})` : by.length === 0 ? "trained by no loss" : `trained by ${by.join(", ")}`;
  return `\`${instance.module}\`, ${sizeWords(parameterCount(graph, instance))} parameters, ${how}.`;
}

function lossParts(name: string | undefined, program: CheckResult | undefined): readonly (string | undefined)[] {
  const loss = program?.graph?.losses.find((l) => l.name === name);
  if (name === undefined || program?.graph === undefined || loss === undefined) return [];
  const trains = trainedBy(program.graph, loss).map((i) => `\`${i}\``);
  const verdict = program.analyses?.losses.find((l) => l.loss === name);
  const proofs = (program.analyses === undefined ? [] : proofsOf(program.analyses, name)).flatMap((e) => held(e, name)).flatMap(groundLines).map((line) => `- ${line.trim()}`);
  return [
    `\`${loss.kind}\`, ${trains.length === 0 ? "trains nothing" : `trains ${trains.join(", ")}`}.`,
    verdict === undefined ? undefined : `**${verdict.verdict === "error" ? "refused" : verdict.verdict}**`,
    proofs.length === 0 ? undefined : [...new Set(proofs)].join("\n"),
  ];
}

function programParts(program: CheckResult | undefined): readonly (string | undefined)[] {
  if (program?.graph === undefined) return [];
  const count = parameterCount(program.graph);
  const verdict = program.analyses?.program.verdict;
  return [`${sizeWords(count)} parameters, ${count.trained.toLocaleString("en-US")} of them trained.`, verdict === undefined ? undefined : `**${verdict === "error" ? "refused" : verdict}**`];
}

function signature({ name, config, inputs, result }: ast.Module): string {
  const list = (formals: readonly ast.Formal[]): string => `(${formals.map(formalText).join(", ")})`;
  return `module ${name.text}${config.length === 0 ? "" : list(config)} ${list(inputs)}${result === undefined ? "" : ` -> ${printType(result)}`}`;
}

function formalText({ name, type, default: value }: ast.Formal): string {
  return `${name.text}${type === undefined ? "" : `: ${printType(type)}`}${value === undefined ? "" : ` = ${printExpr(value)}`}`;
}

function valueText(value: Static | undefined): string | undefined {
  return value === undefined ? undefined : JSON.stringify(value);
}

function code(text: string): string {
  return `\`\`\`jepa\n${text}\n\`\`\``;
}

function parts(list: readonly (string | undefined)[]): string | undefined {
  const said = list.filter((p) => p !== undefined && p !== "");
  return said.length === 0 ? undefined : said.join("\n\n");
}
