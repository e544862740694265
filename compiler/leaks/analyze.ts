/**
 * The leak analysis: has a prediction seen what it is to predict, and can it tell its targets apart.
 *
 * Reads the sights of values (`collapse/sight.ts`): a term that compares at the positions of a mask leaks when the content
 * of those positions, of the same picture, reached both sides. Batch statistics alone are a trace and a warning. A
 * prediction whose tokens are all alike cannot be right about targets that differ, and an encoder that mixes tokens without
 * positions sees a bag. Leaves whether masks are well made to the mask analysis.
 */
import type { MaskFinding } from "../collapse/fault.js";
import { tokenBit } from "../collapse/axes.js";
import type { Term } from "../collapse/canonicalize.js";
import { termName } from "../collapse/canonicalize.js";
import type { Facts } from "../collapse/gather.js";
import { applying, cone, factOf, flowOf, nodeAt, trainedThrough } from "../collapse/gather.js";
import type { Sight, SourceSight } from "../collapse/sight.js";
import { someHolds } from "../collapse/moments.js";
import { report } from "../messages/report.js";
import type { Mask } from "../model/ir.js";
import { isCall, paramPrefix, rootOf } from "../model/visit.js";

type Fault = Omit<MaskFinding, "losses">;

/** Leaks of every attracting term. */
export function findLeaks(facts: Facts): MaskFinding[] {
  // Where an encoder trains, a term that only fits heads to one another (a tokenizer, an inverse predictor) hides nothing.
  const encoders = facts.encoders.filter((e) => e.state === "trained");
  const matters = (t: Term): boolean => encoders.length === 0 || encoders.some((e) => trainedThrough(facts, t.node).has(e.name));
  const terms = facts.terms.filter((t) => t.sign > 0 && t.operands.length === 2 && (t.role === "attract" || t.role === "classify" || t.role === "contrast") && matters(t));
  const found = terms.flatMap((term) => ofTerm(facts, term, terms).map((f) => ({ ...f, losses: term.losses })));
  return [...found, ...blindEncoders(facts)];
}

/** Whether moments are compared with others: a prediction of later ones may see all of the earlier ones. */
function acrossTime(facts: Facts, term: Term): boolean {
  return term.operands.some((o) => cone(facts, o).some((id) => facts.body.nodes[id]?.op === "slice_time"));
}

function ofTerm(facts: Facts, term: Term, terms: readonly Term[]): Fault[] {
  const [p, q] = term.operands;
  if (p === undefined || q === undefined) return [];
  const mask = maskOf(facts, term);
  const sides = studentFirst(facts, p, q);
  if (mask === undefined) return unmasked(facts, term, sides);
  if (acrossTime(facts, term)) return masked(facts, term, mask, sides, () => hiddenBeside(facts, term, mask, terms));
  return [...masked(facts, term, mask, sides, () => hiddenBeside(facts, term, mask, terms)), ...alike(facts, term, mask, sides), ...targetAtInput(facts, term, mask, sides)];
}

/** The mask at whose positions a term compares. */
function maskOf(facts: Facts, term: Term): string | undefined {
  const positions = nodeAt(facts, term.operands[0])?.type.positions;
  return positions?.kind === "mask" ? positions.mask : undefined;
}

/** The mask of another term that trains the same encoder and predicts what is hidden. */
function hiddenBeside(facts: Facts, term: Term, mask: string, terms: readonly Term[]): string | undefined {
  const trained = trainedThrough(facts, term.node);
  const own = facts.encoders.filter((e) => trained.has(e.name));
  return terms.map((t) => {
    const [other, [p, q]] = [maskOf(facts, t), t.operands];
    if (other === undefined || other === mask || p === undefined || q === undefined || !own.some((e) => trainedThrough(facts, t.node).has(e.name))) return undefined;
    return masked(facts, t, other, studentFirst(facts, p, q), () => undefined).some((f) => f.rule === "M-LEAK") ? undefined : other;
  }).find((other) => other !== undefined);
}

/** The side with a gradient, and the other; of two with one, the side that has seen less comes first. */
function studentFirst(facts: Facts, p: number, q: number): readonly [number, number] {
  const [viaP, viaQ] = [trainedThrough(facts, p).size > 0, trainedThrough(facts, q).size > 0];
  if (viaP !== viaQ) return viaP ? [p, q] : [q, p];
  const narrow = (id: number): number => [...(facts.sights[id]?.values() ?? [])].filter((s) => s.only !== undefined || s.except.length > 0).length;
  return narrow(p) >= narrow(q) ? [p, q] : [q, p];
}

type Overlap = "none" | "possible" | "full";

/** How a sight meets the positions of a mask. */
function meets(facts: Facts, sight: SourceSight, target: string): { readonly overlap: Overlap; readonly by: string | undefined } {
  if (sight.except.includes(target)) return { overlap: "none", by: undefined };
  if (sight.only === undefined) return { overlap: "full", by: undefined };
  let worst: Overlap = "none";
  let by: string | undefined;
  for (const name of sight.only) {
    const overlap = sight.except.includes(name) ? "none" : between(facts, name, target);
    if (overlap === "none" || worst === "full") continue;
    worst = overlap;
    by = name;
  }
  return { overlap: worst, by };
}

function between(facts: Facts, name: string, target: string): Overlap {
  if (name === target) return "full";
  const find = (n: string): Mask | undefined => facts.graph.masks.find((m) => m.name === n);
  const [a, b] = [find(name), find(target)];
  if (a === undefined || b === undefined) return "possible";
  if ((a.minus.includes(target) && !a.allowOverlap) || (b.minus.includes(name) && !b.allowOverlap)) return "none";
  if (a.kind === "all" && a.minus.length === 0) return "full";
  return "possible";
}

/** `beside`: the mask of another term that predicts what is hidden; then what is compared at the student's own positions is a loss on its context (V-JEPA 2.1). */
function masked(facts: Facts, term: Term, mask: string, [student, target]: readonly [number, number], beside: () => string | undefined): Fault[] {
  const found: Fault[] = [];
  const loss = termName(term);
  const shown = compared(facts, student, target).flatMap(([own, seen]) => [...seen].map(([source, answer]) => ({ source, answer, own: own.get(source) })));
  for (const { source, answer, own } of shown) {
    // Only what the target itself shows at these positions is an answer.
    if (own === undefined || meets(facts, answer, mask).overlap === "none") continue;
    const { overlap, by } = meets(facts, own, mask);
    const related = [{ span: nodeAt(facts, student)?.origin ?? term.origin, message: "the prediction is made here" }];
    const hidden = overlap === "full" && by === mask && answer.only === undefined ? beside() : undefined;
    if (hidden !== undefined) {
      found.push({ rule: "M-LOSS-CTX", diagnostic: report("JEP5021", term.origin, { loss, mask: hidden }, { related }) });
    } else if (overlap === "full") {
      const why = by === undefined ? `all of \`${source}\` went into it, the positions of \`${mask}\` too` : by === mask ? `it is made from the positions of \`${mask}\` themselves` : `\`${by}\` holds every position`;
      found.push({ rule: "M-LEAK", diagnostic: report("JEP5015", term.origin, { loss, why, mask }, { related }) });
    } else if (overlap === "possible") {
      const declared = facts.graph.masks.find((m) => m.name === by)?.origin;
      found.push({ rule: "M-OVERLAP", diagnostic: report("JEP5016", declared ?? term.origin, { mask: by ?? "", other: mask, loss }, { related: [{ span: term.origin, message: "compared here" }] }) });
    } else if (own.spilled || own.mix === "statistics") {
      found.push({ rule: "M-STATISTICS", diagnostic: report("JEP5017", term.origin, { source, loss }, { related }) });
    }
  }
  return found;
}

/** Without a mask: a prediction of a network's view of the very picture that was put in has nothing to predict. */
function unmasked(facts: Facts, term: Term, [student, target]: readonly [number, number]): Fault[] {
  const latent = [...flowOf(facts, target).depends].some((g) => facts.groups.get(g)?.learns === true && facts.groups.get(g)?.init === "random" && facts.groups.get(g)?.state !== "fixed");
  if (!latent || trainedThrough(facts, target).size > 0 || term.role === "contrast" || isOwnCode(facts, student, target)) return [];
  return compared(facts, student, target).map(([own, seen]) => ofPictures(facts, term, target, own, seen)).find((found) => found.length > 0) ?? [];
}

/**
 * Whether nothing is predicted: the target is made of the very value that is compared with it (VQ-VAE's commitment to its own
 * code, self-labelling), or what is compared is that value's nearest code.
 */
function isOwnCode(facts: Facts, own: number, target: number): boolean {
  const number = (id: number): number => facts.numbers[id] ?? id;
  const reads = (id: number, value: number): boolean => cone(facts, id).some((at) => number(at) === number(value));
  const stopped = nodeAt(facts, target)?.op === "stop_gradient" ? (nodeAt(facts, target)?.args[0] ?? target) : target;
  const assigns = applying(facts.graph, quantizing);
  return reads(target, own) || cone(facts, own).some((at) => {
    const node = nodeAt(facts, at);
    return node !== undefined && assigns(node) && reads(at, stopped);
  });
}

const quantizing: ReadonlySet<string> = new Set(["assign"]);

/** What stands on the two sides in the same rows: part by part where both are unions of as many batches, else all of each. */
function compared(facts: Facts, student: number, target: number): readonly (readonly [Sight, Sight])[] {
  const [own, seen] = [facts.sightsOfParts[student], facts.sightsOfParts[target]];
  // Of a clip only what some row has seen of the very moments that its target shows is an answer.
  const beside = (own: Sight, seen: Sight): readonly [Sight, Sight] => [new Map([...own].filter(([source, { moments }]) => {
    const answer = seen.get(source);
    return answer === undefined || someHolds(moments, answer.moments);
  })), seen];
  if (own !== undefined && own.length === seen?.length) return own.map((sight, i) => beside(sight, seen[i] ?? new Map()));
  return [beside(facts.sights[student] ?? new Map(), facts.sights[target] ?? new Map())];
}

function ofPictures(facts: Facts, term: Term, target: number, own: Sight, seen: Sight): Fault[] {
  if (seen.size === 0) return [];
  if ([...seen.keys()].some((s) => !own.has(s))) return [];
  if ([...own.keys()].some((s) => !seen.has(s))) return told(term, own, seen);
  const hidden = [...own.values()].flatMap((s) => [...(s.only ?? []), ...s.except]);
  if (hidden.length > 0) {
    if (nodeAt(facts, target)?.type.positions.kind !== "all" || seenNarrow(seen)) return [];
    return [{ rule: "M-LOSS-CTX", diagnostic: report("JEP5021", term.origin, { loss: termName(term), mask: hidden[0] ?? "" }) }];
  }
  const source = [...seen.keys()][0] ?? "";
  if (acrossTime(facts, term)) return [{ rule: "M-LEAK", diagnostic: report("JEP5015", term.origin, { loss: termName(term), why: `the moments of \`${source}\` that the target shows went into it`, mask: "targets" }, { help: "Predict later moments from earlier ones: `earlier(…)` on the one side, `later(…)` on the other." }) }];
  return [{ rule: "M-LEAK", diagnostic: report("JEP5015", term.origin, { loss: termName(term), why: `both sides see all of \`${source}\`, unmasked and not augmented differently`, mask: "targets" }, { help: "Give the two sides different views (`view a, b = augment(…)`), or hide a part with a mask." }) }];
}

/** A prediction from other pictures that was also given all of those that its target shows. */
function told(term: Term, own: Sight, seen: Sight): Fault[] {
  const whole = [...seen.keys()].every((s) => own.get(s)?.only === undefined && own.get(s)?.except.length === 0);
  if (!whole) return [];
  const source = [...seen.keys()][0] ?? "";
  const help = `Make the prediction without \`${source}\`, or hide a part of it with a mask.`;
  return [{ rule: "M-LEAK", diagnostic: report("JEP5015", term.origin, { loss: termName(term), why: `all of \`${source}\`, which the target shows, went into the prediction too`, mask: "targets" }, { help }) }];
}

function seenNarrow(seen: Sight): boolean {
  return [...seen.values()].some((s) => s.only !== undefined || s.except.length > 0);
}

/** Predictions that are all alike, for targets that differ from place to place. */
function alike(facts: Facts, term: Term, mask: string, [student, target]: readonly [number, number]): Fault[] {
  if (!(nodeAt(facts, student)?.type.axes.includes("token") ?? false)) return [];
  const blind = (factOf(facts.values, student).may & tokenBit) === 0 && (factOf(facts.values, target).may & tokenBit) !== 0;
  return blind ? [{ rule: "M-UNIDENT", diagnostic: report("JEP5018", term.origin, { loss: termName(term) }, { related: [{ span: nodeAt(facts, student)?.origin ?? term.origin, message: `one prediction for all positions of \`${mask}\`` }] }) }] : [];
}

function targetAtInput(facts: Facts, term: Term, mask: string, [, target]: readonly [number, number]): Fault[] {
  const learned = [...flowOf(facts, target).depends].some((g) => facts.groups.get(g)?.learns === true && !facts.simple.has(g));
  const narrowed = [...(facts.sights[target]?.values() ?? [])].some((s) => s.only !== undefined && s.only.includes(mask) && s.mix === "full");
  return learned && narrowed ? [{ rule: "M-GATHER-SIDE", diagnostic: report("JEP5020", term.origin, { loss: termName(term) }) }] : [];
}

/** Encoders that mix the tokens of a mask and were never told where they sit. */
function blindEncoders(facts: Facts): MaskFinding[] {
  const found = new Map<string, MaskFinding>();
  for (const node of facts.body.nodes) {
    if (!isCall(node)) continue;
    const root = rootOf(paramPrefix(node));
    if (found.has(root) || !facts.encoders.some((e) => e.name === root) || factOf(facts.values, node.id).placed) continue;
    const bag = [...(facts.sights[node.id]?.values() ?? [])].find((s) => s.only !== undefined && s.mix === "full");
    if (bag === undefined || !node.type.axes.includes("token")) continue;
    const losses = facts.graph.losses.map((l) => l.name);
    found.set(root, { rule: "M-ENC-NOPOS", losses, diagnostic: report("JEP5019", node.origin, { encoder: root, mask: bag.only?.join("`, `") ?? "" }) });
  }
  return [...found.values()];
}
