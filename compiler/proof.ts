/**
 * Proofs in words: what `jepac check --why` prints for every loss of a program, and the same as data for who draws it.
 *
 * For each encoder the mechanism that holds it, or the rule that speaks against it, with the path of places from the loss to
 * the encoder; what a run will watch because of it; and what is known of the masks. A proof by dynamics says that runs of
 * this form are known to work, not that this one cannot fail. Pure text; colour and files are the command line's.
 */
import type { Span } from "./base/span.js";
import { lineColumn, lineTable } from "./base/span.js";
import type { Analyses, LossVerdict } from "./analyses.js";
import type { EncoderProof, Verdict } from "./collapse/analyze.js";
import { termName } from "./collapse/canonicalize.js";
import { mechanismSources, protectorSources, ruleSources } from "./collapse/evidence.js";
import type { Protector } from "./collapse/null-test.js";
import { rules } from "./collapse/findings.js";
import { trainedThrough } from "./collapse/gather.js";
import type { Mechanism } from "./collapse/terms.js";
import type { Step } from "./collapse/witness.js";
import { witness } from "./collapse/witness.js";
import { kept } from "./masks/draws.js";
import type { Mask } from "./model/ir.js";

/** Texts of files by name. */
type Texts = ReadonlyMap<string, string>;

const words = { sound: "sound", risky: "risky", error: "refused" } as const;

/** A sentence of a proof, and the literature behind it. */
export interface Ground {
  readonly text: string;
  readonly source: string | undefined;
}

/** Why an encoder stays from a constant under a loss or does not, and the paths from the loss to it: of each term of it, four at most. */
export interface EncoderGrounds {
  readonly grounds: readonly Ground[];
  readonly paths: readonly Step[];
}

/** The verdict on a loss, the grounds for each encoder that it trains, and where it trains none, why. */
export interface LossProof {
  readonly verdict: LossVerdict;
  readonly encoders: readonly EncoderGrounds[];
  readonly idle: string | undefined;
}

/** The proofs of all losses of a program, in their order. */
export function lossProofs(analyses: Analyses): readonly LossProof[] {
  const { facts } = analyses;
  return analyses.losses.map((verdict) => {
    const terms = facts.termsOf(verdict.loss);
    const encoders = proofsOf(analyses, verdict.loss).map((proof): EncoderGrounds => ({
      grounds: held(proof, verdict.loss),
      paths: terms.filter((t) => trainedThrough(facts, t.node).has(proof.encoder)).slice(0, 4).flatMap((term) => witness(facts, term, proof.encoder)),
    }));
    const idle = terms.length === 0 ? "It has no effect: its weight is zero, or other terms cancel it." : "It trains no encoder, so there is none that it could collapse.";
    return { verdict, encoders, idle: encoders.length === 0 ? idle : undefined };
  });
}

/** A verdict in the word that people are told. */
export function verdictWord(verdict: Verdict): string {
  return words[verdict];
}

/** The proof of a whole program as `jepac check --why` prints it, ending with a line break; `texts` as check gives them. */
export function explainProof(analyses: Analyses, texts: Texts): string {
  const { facts, program } = analyses;
  const place = placer(texts);
  const lines = [`${facts.graph.name}: ${words[program.verdict]}${program.allowed ? ", and allowed by the program" : ""}`];
  for (const { verdict, encoders, idle } of lossProofs(analyses)) {
    lines.push("", `  loss ${verdict.loss}: ${words[verdict.verdict]}${verdict.rules.length === 0 ? "" : ` (${verdict.rules.join(", ")})`}`);
    if (idle !== undefined) lines.push(`    ${idle}`);
    for (const { grounds, paths } of encoders) {
      lines.push(...grounds.flatMap(groundLines).map((l) => `    ${l}`));
      lines.push(...paths.map((s) => `      ${place(s.span).padEnd(24)} ${s.text}`));
    }
  }
  const others = analyses.diagnostics.filter((d) => !Object.values(rules).some((r) => r.code === d.code));
  if (others.length > 0) lines.push("", "  masks, leaks, dead parts");
  for (const d of others) lines.push(`    ${d.severity} ${d.code}: ${d.message}`);
  lines.push(...maskLines(analyses));
  if (analyses.monitors.length > 0) lines.push("", "  watched in a run, because the proof relies on it");
  for (const m of analyses.monitors) lines.push(`    ${m.kind}${m.watch === undefined && m.loss === undefined ? "" : ` of ${m.watch ?? m.loss ?? ""}`}: ${m.because}`);
  return `${lines.join("\n")}\n`;
}

/** The encoders that a loss trains. */
export function proofsOf({ facts, collapse }: Analyses, loss: string): readonly EncoderProof[] {
  const terms = facts.termsOf(loss);
  return collapse.encoders.filter((e) => terms.some((t) => trainedThrough(facts, t.node).has(e.encoder)));
}

/** What each context keeps, whether or not there is anything to remark. */
function maskLines({ facts }: Analyses): string[] {
  return facts.graph.masks.flatMap((m) => {
    const text = keptText(m, facts.graph.masks, facts.recipe.batch);
    return text === undefined ? [] : [`    \`${m.name}\` ${text}`];
  });
}

/** What a mask keeps of its grid, after its name; undefined where nothing is taken out of it. */
export function keptText(mask: Mask, masks: readonly Mask[], batch: number): string | undefined {
  const count = mask.grid === undefined ? undefined : kept(mask, masks, mask.grid, batch);
  return count === undefined ? undefined : `keeps ${count.mean.toFixed(1)} of ${count.cells} positions on average, ${count.trimmed.toFixed(1)} after the cut to the shortest of ${count.images} rows`;
}

/** What holds an encoder against one loss, or speaks against it. */
export function held(proof: EncoderProof, loss: string): readonly Ground[] {
  const name = `\`${proof.encoder}\``;
  const grounds: Ground[] = [];
  if (proof.grade !== undefined) grounds.push(ground(`${name} is protected by the objective: ${[...new Set(proof.protectors.map(protects))].join("; ")}.`, proof.protectors.map((p) => protectorSources[p.because])));
  for (const { mechanism } of proof.mechanisms.filter((m) => m.term.losses.includes(loss))) grounds.push(ground(`${name} ${dynamics(mechanism)}`, [mechanismSources[mechanism.kind]]));
  for (const f of proof.findings.filter((x) => x.term?.losses.includes(loss) ?? true)) {
    grounds.push(ground(`${f.rule} (${rules[f.rule].code}) speaks against it${f.heads.length === 0 ? "" : `: \`${f.heads.join("`, `")}\``}${f.detail === "" ? "" : ` ${f.detail}`}.`, [ruleSources[f.rule]]));
  }
  return grounds.length === 0 ? [{ text: `Nothing in this loss protects ${name}, and nothing in it speaks against it.`, source: undefined }] : grounds;
}

function ground(text: string, sources: readonly string[]): Ground {
  return { text, source: [...new Set(sources)].join("; ") };
}

/** A sentence, and under it what stands behind it. */
export function groundLines({ text, source }: Ground): readonly string[] {
  return source === undefined ? [text] : [text, `  source: ${source}`];
}

function protects({ term, because }: Protector): string {
  const named = term.losses.filter((name) => !name.startsWith(termName(term)));
  const loss = `\`${termName(term)}\`${named.length === 0 ? "" : ` (loss \`${named.join("`, `")}\`)`}`;
  switch (because) {
    case "anchor": return `${loss} compares with what no training can change, and a constant cannot match it`;
    case "statistics": return `the statistics of the batch are forced on the operands of ${loss}`;
    case "whitening": return `${loss} compares whitened values, which cannot be constant in any direction`;
    case "balance": return `${loss} compares with balanced codes, which cannot all be the same`;
    case "encoder": return `${loss} compares with an encoder that is itself protected`;
    case "negatives": return `${loss} repels other images`;
    case "correlation": return `${loss} asks for a cross-correlation that a constant does not have`;
    case "variance": return `${loss} is above its minimum for a constant`;
    case "normality": return `${loss} asks for a normal distribution`;
    case "neighbors": return `${loss} pushes neighbors apart`;
    case "repulsion": return `${loss} costs more at one embedding for all images than where they differ: it was computed at both`;
    case "codes": return `${loss} asks for all codes to be used`;
  }
}

function dynamics(m: Mechanism): string {
  const predictor = `\`${m.predictor.join("`, `")}\``;
  const target = `\`${m.target.join("`, `")}\``;
  const known = "A constant would minimize the loss; runs of this form are known not to go there.";
  switch (m.kind) {
    case "predictor and average": return `is held by dynamics: ${predictor} predicts, and the target (${target}) is stopped and lags behind. ${known}`;
    case "predictor and stop": return `is held by dynamics: ${predictor} predicts, and the target is stopped. ${known}`;
    case "own embedding": return `is held by dynamics: ${predictor} predicts the stopped first layer of the network. ${known}`;
    case "balanced codes": return `is held by dynamics: the codes of ${target} are kept apart by centering or entropy, and sharpened. ${known}`;
    case "anchor": return "predicts data.";
    case "pretrained target": return `predicts ${target}, which does not change.`;
  }
}

function placer(texts: Texts): (span: Span) => string {
  const tables = new Map<string, readonly number[]>();
  return (span) => {
    const table = tables.get(span.file) ?? lineTable(texts.get(span.file) ?? "");
    tables.set(span.file, table);
    const { line, column } = lineColumn(table, span.start);
    return `${span.file.split("/").at(-1) ?? span.file}:${line}:${column}`;
  };
}
