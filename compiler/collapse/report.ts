/**
 * From findings to diagnostics: names of the user's, places, and the edit that mends where it is certain.
 *
 * Owns wording that depends on the program. Rules and levels are in `findings.ts`, sentences in the catalogue. `allow
 * collapse("…")` turns refusals into warnings here; the verdict itself stays what it is.
 */
import type { Span } from "../base/span.js";
import type { Diagnostic } from "../messages/report.js";
import { report } from "../messages/report.js";
import { isLibraryName } from "../std/names.js";
import { termName } from "./canonicalize.js";
import { balanceShare } from "./codes.js";
import type { Texts } from "./edits.js";
import { ruleSources } from "./evidence.js";
import type { Finding } from "./findings.js";
import { rules } from "./findings.js";
import type { Facts } from "./gather.js";
import { mendsOf } from "./mend.js";
import { witness } from "./witness.js";

/** The diagnostic of a finding. `allowed`: the program allows collapse. */
export function diagnosticOf(finding: Finding, facts: Facts, texts: Texts, allowed: boolean): Diagnostic {
  const { code } = rules[finding.rule];
  const instance = facts.graph.instances.find((i) => i.name === finding.encoder);
  const span = finding.term?.origin ?? instance?.origin ?? facts.graph.origin;
  const steps = finding.term === undefined ? [] : witness(facts, finding.term, finding.encoder).slice(1);
  const params = {
    loss: lossName(finding), encoder: finding.encoder, heads: finding.detail !== "" && finding.rule === "W-COEF" ? finding.detail : finding.heads.join("`, `") || finding.encoder,
    number: finding.detail, over: finding.detail || "tokens",
  };
  const severity = finding.level === "error" && allowed ? "warning" : finding.level;
  return report(code, span, params, {
    severity,
    ...helpOf(finding, facts),
    source: ruleSources[finding.rule],
    related: dedupe(steps.map((s) => ({ span: s.span, message: s.text })), span),
    // An author who allows collapse wants it; a loss of a base that a variant inherits is not the variant's to change.
    fixes: allowed || finding.term?.origin.file !== facts.graph.origin.file ? [] : mendsOf(finding, facts, texts),
  });
}

/** A way out of its own, where the catalogue's is for another kind of term. */
function helpOf({ rule, term, other, detail, heads }: Finding, facts: Facts): { readonly help?: string } {
  if (rule === "W-DIM" && term?.role === "correlate_diagonal") return { help: "Compare the whole correlation, `barlow(a, b)`, or add the rest of it: `+ 0.005 * barlow_off_diagonal(a, b)`." };
  if (rule === "E-NOPRED" && detail === "own code") return { help: "What is followed is made of the very value that follows: drawing features to their codes asks nothing of the pictures, with a predictor as without. Put it beside a term that does: negatives, `info_nce(q, z2)`, or pixels from the codes, `mse(decode(q), x)`." };
  if (rule === "W-EMA-ZERO" && detail === "behind a head") return { help: `\`${heads.join("`, `")}\` can turn the targets of all images one way, where the prediction follows: end it in a batch normalization (\`projector_bn\`), take the mean of the batch off the target (\`y - mean(y, over: images)\`), or let the target follow with a momentum: \`ema(…, momentum: 0.996 -> 1)\`.` };
  if (rule === "W-EMA-ZERO" && detail === "a part") return { help: "A part of the target lags, and the rest is the encoder itself: make all of it by the moving average." };
  if (rule === "W-DECAYED-TARGET" && heads.some((h) => !facts.simple.has(h))) return { help: "Let it follow the encoder (`ema(…, momentum: 0.996 -> 1)`), begin with the weights of a file (`pretrained(…)`), or declare it `frozen(…)`, where a random target is meant." };
  if (rule === "W-DIM" && detail === "narrow") return { help: "What is guarded has few features, and agreement lets go of all others: guard what is compared, or compare what is guarded." };
  if (rule === "W-WEAK-GUARD" && detail === "given back" && term !== undefined) return { help: `The head in between gives what \`${termName(term)}\` reads its deviation, however little of it agreement leaves: compare what \`${termName(term)}\` reads, or let it read what is compared.` };
  if (rule === "W-WEAK-GUARD" && detail === "other codes" && term !== undefined) return { help: `\`${termName(term)}\` keeps the prediction's codes in use, and another head makes those of the target: let one head make both.` };
  if (rule === "W-UNTIED" && detail === "other features") return { help: "Some features are asked to predict others, which nothing but another term trains: predict what is read as well." };
  if (rule === "W-WEAK-GUARD" && detail === "read slowly" && term !== undefined) return { help: `What \`${termName(term)}\` asks for is read by a head long after both sides agree: stop the gradient of one side behind a predictor, or add a variance term.` };
  if (rule === "W-WEAK-GUARD" && term?.own !== undefined) return { help: "Computed next to a constant, it no longer drives images apart once they differ by a tenth, or other terms of these embeddings draw them back: ask for more, or give it more weight." };
  if (rule === "W-WEAK-GUARD" && term?.role === "contrast") return { help: "Negatives that weigh less than a tenth of the pair lose against it: leave `negative_weight` at 1." };
  if (rule === "W-WEAK-GUARD" && term?.role === "gaussian" && (term.numbers["range"] ?? 5) < 1) return { help: "So near to zero a constant looks normal: let `range` be 5, where the test sees how far a value spreads." };
  if (rule === "W-COEF" && term?.role !== "variance" && term?.role !== "gaussian") return { help: "Give what protects a weight nearer to that of the agreement: data of less than a tenth give way to it, and anything of a thousandth." };
  if (rule === "W-WEAK-GUARD" && (term?.role === "variance" || term?.role === "gaussian")) return { help: `\`${term.kind}\` is content with a deviation of less than a tenth of what agreement compares: ask for more (\`target: 1\`), or take the factor off what it reads.` };
  const balance = facts.terms.find((t) => t.role === "balance" && t.sign > 0 && (rule === "W-WEAK-GUARD" ? t === term : t.operands[0] === other));
  if ((rule === "W-WEAK-GUARD" || rule === "E-NOGUARD") && balance !== undefined && balanceShare(facts, balance) !== undefined) {
    return { help: `\`${balance.kind}\` keeps codes in use that the cross-entropies sharpen where it weighs as much as all of these together, at a temperature no higher than theirs.` };
  }
  return {};
}

function lossName(finding: Finding): string {
  const own = finding.term?.losses[0];
  const kind = finding.term?.kind ?? "the objective";
  return own === undefined || own === kind || own.startsWith(kind) ? kind : kind === "custom" ? own : `${kind}\` of \`${own}`;
}

function dedupe<T extends { readonly span: Span; readonly message: string }>(list: readonly T[], own: Span): T[] {
  const seen = new Set([`${own.file}:${own.start}-${own.end}`]);
  return list.filter((x) => {
    const key = `${x.span.file}:${x.span.start}-${x.span.end}`;
    if (seen.has(key) || isLibraryName(x.span.file)) return false;
    seen.add(key);
    return true;
  });
}
