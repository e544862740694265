/**
 * The mask analysis: does the sampler end, can a mask be empty, must it relax, which positions does it never reach.
 *
 * Works on declarations and the grid alone. What refuses or warns is a diagnostic; what is a property of the published
 * sampler and no mistake (rows it never reaches, cuts in raster order, weak settings) is a note, shown by `check --why`.
 * Whether predictions see their targets is for the leak analysis.
 */
import type { MaskFinding } from "../collapse/fault.js";
import type { Facts } from "../collapse/gather.js";
import { placedMasks, usedMasks } from "../collapse/gather.js";
import type { Related } from "../messages/report.js";
import { report } from "../messages/report.js";
import type { Mask, ModelGraph } from "../model/ir.js";
import { placesOf } from "../types/value-type.js";
import { drawnFor, percent, whyNotApart } from "./apart.js";
import type { Kept } from "./draws.js";
import { coverage, kept } from "./draws.js";
import { sizeLaw } from "./law.js";
import { usualLength } from "./usual.js";

/** Faults of the masks that a program uses. `batch` sizes the cut. */
export function findMaskFaults(graph: ModelGraph, facts: Facts, batch: number): MaskFinding[] {
  const used = usedMasks(graph);
  const byName = new Map(graph.masks.map((m) => [m.name, m]));
  const placed = placedMasks(graph);
  return graph.masks.filter((m) => used.has(m.name) && m.grid !== undefined).flatMap((mask) => {
    const losses = graph.losses.map((l) => l.name);
    const removed = mask.allowOverlap ? [] : mask.minus.flatMap((name) => byName.get(name) ?? []);
    const predicted = isPredicted(facts, mask);
    const own = [...hangs(mask), ...empty(mask, removed, predicted)];
    const rest = own.length > 0 ? [] : [...relaxes(mask, removed, graph.masks, batch, placed), ...reach(mask), ...settings(mask, removed, predicted), ...fewLeft(mask, facts, batch)];
    return [...own, ...rest].map((f) => ({ ...f, losses }));
  });
}

type Fault = Omit<MaskFinding, "losses">;

/** Whether positions lie in one line, where a block has a length alone. */
const isLine = ({ grid }: Mask): boolean => grid?.rows === 1 || grid?.cols === 1;

const gridText = (mask: Mask): string => `${mask.grid?.rows ?? 0}x${mask.grid?.cols ?? 0}`;

/** Among which images or clips rows are cut to the shortest. */
function amongText(mask: Mask, batch: number): string {
  return mask.trimGroup === undefined ? `at a batch of ${batch}` : `within ${mask.trimGroup} ${drawnFor(mask)}`;
}

function hangs(mask: Mask): Fault[] {
  if (mask.kind !== "block" || mask.grid === undefined) return [];
  const law = sizeLaw(mask, mask.grid);
  if (law.hangs === 0) return [];
  const share = law.hangs >= 1 ? "all" : percent(law.hangs);
  return [{ rule: "M-NONTERM", diagnostic: report("JEP5010", mask.origin, { mask: mask.name, share: share === "all" ? "all" : `about ${share}`, keep: mask.minKeep, grid: gridText(mask) }) }];
}

function empty(mask: Mask, removed: readonly Mask[], predicted: boolean): Fault[] {
  if (mask.kind === "rasterized" && isLine(mask)) {
    const why = `a grid of ${gridText(mask)} has no quadrants`;
    return [{ rule: predicted ? "M-EMPTY-TGT" : "M-CTX-EMPTY", diagnostic: report("JEP5011", mask.origin, { mask: mask.name, why }, { help: "On a line of positions take stretches, `block(scale: 0.15..0.25, min_keep: 1)`, or `random(0.25)`." }) }];
  }
  const full = removed.find((m) => coversAll(m, mask));
  if (full === undefined) return [];
  return [{ rule: predicted ? "M-EMPTY-TGT" : "M-CTX-EMPTY", diagnostic: report("JEP5011", mask.origin, { mask: mask.name, why: `\`${full.name}\` always covers every position that it could have` }, { related: [{ span: full.origin, message: `\`${full.name}\` is declared here` }] }) }];
}

/** Whether a mask always covers whatever another could hold. */
function coversAll(m: Mask, of: Mask): boolean {
  const { grid } = m;
  if (grid === undefined) return m.kind === "all" && m.minus.length === 0;
  if (m.minus.length > 0) return false;
  switch (m.kind) {
    case "all": return true;
    case "complement": return false;
    case "random": {
      const cells = placesOf(grid);
      return Math.trunc(cells * (1 - m.ratio[1])) === 0;
    }
    case "rasterized": return m.count >= 4;
    case "block": {
      const lowest = sizeLaw(m, grid).sizes;
      const margin = m.sampler === "published" ? 1 : 0;
      const spans = lowest.length > 0 && lowest.every((s) => s.height >= Math.max(1, grid.rows - margin) && s.width >= Math.max(1, grid.cols - margin));
      return spans && (margin === 0 || (of.kind === "block" && of.sampler === "published"));
    }
  }
}

function relaxes(mask: Mask, removed: readonly Mask[], masks: readonly Mask[], batch: number, placed: ReadonlySet<string>): Fault[] {
  if (mask.grid === undefined || removed.length === 0) return [];
  const count = kept(mask, masks, mask.grid, batch);
  const why = whyNotApart(mask, removed, count);
  const found: Fault[] = [];
  if (why !== undefined) {
    const help = { help: relaxHelp(mask, removed) };
    const diagnostic = report("JEP5012", mask.origin, { mask: mask.name, why }, { ...help, related: given(removed, count) });
    // Where nothing is read or predicted at what is taken out, as in the blocks whose union others are made of, to share a position gives nothing away.
    const harmless = (count?.stops ?? 0) === 0 && removed.every((m) => !placed.has(m.name));
    found.push({ rule: "M-CTX-WORST", diagnostic: harmless ? { ...diagnostic, severity: "note" } : diagnostic });
  }
  if (count !== undefined && mask.trim === "tail" && count.least < count.most) {
    const figures = `of ${Math.round(count.mean)} positions on average (${count.least} to ${count.most}), about ${Math.round(count.trimmed)} are left ${amongText(mask, batch)}`;
    found.push({ rule: "M-TRUNC", diagnostic: report("JEP5014", mask.origin, { mask: mask.name, why: figures }) });
  }
  return found;
}

/** The ways out, of the masks by their names; a block of the published sampler may be drawn by the other. */
function relaxHelp(mask: Mask, removed: readonly Mask[]): string {
  const names = removed.map((m) => `\`${m.name}\``).join(", ");
  const larger = mask.kind === "block" || mask.kind === "random" ? `, or \`${mask.name}\` larger` : "";
  const sampler = mask.kind === "block" && mask.sampler === "published" ? ". With `sampler: corrected` it never shares a position, and a run stops where none is left" : "";
  if (removed.every((m) => m.kind === "rasterized")) return `Take fewer quadrants for ${names}${larger}${sampler}.`;
  return `Make ${names} smaller${removed.some((m) => m.count > 1) ? " or fewer" : ""}${larger}${sampler}.`;
}

/** Which masks are given up, and how often: their positions are those that come to be shared. */
function given(removed: readonly Mask[], count: Kept | undefined): readonly Related[] {
  return removed.flatMap((m) => {
    const share = count?.givenUp.get(m.name) ?? 0;
    return share === 0 ? [] : [{ span: m.origin, message: `\`${m.name}\` is then given up, in ${percent(share)} of ${drawnFor(m)}` }];
  });
}

function reach(mask: Mask): Fault[] {
  if (mask.kind !== "block" || mask.grid === undefined) return [];
  const never = [...coverage(mask, mask.grid)].filter((p) => p === 0).length;
  if (never === 0) return [];
  return [{ rule: "M-COVER", diagnostic: report("JEP5013", mask.origin, { grid: gridText(mask), cells: `${never} of ${mask.grid.rows * mask.grid.cols} positions`, what: `\`${mask.name}\`` }) }];
}

/** A mask at whose positions some loss compares. */
function isPredicted(facts: Facts, mask: Mask): boolean {
  return facts.terms.some((t) => t.operands.some((o) => {
    const p = facts.body.nodes[o]?.type.positions;
    return p?.kind === "mask" && p.mask === mask.name;
  }));
}

/** What a network reads of a picture is next to nothing: no token has another to be understood by. */
function fewLeft(mask: Mask, { graph, body }: Facts, batch: number): Fault[] {
  const cells = (mask.grid?.rows ?? 0) * (mask.grid?.cols ?? 0);
  const isRead = body.nodes.some((n) => n.op === "at" && n.attrs.mask === mask.name && n.type.axes.includes("height"));
  const left = cells < 9 || (mask.grid?.frames ?? 1) > 1 || !isRead ? undefined : usualLength(mask, graph.masks, batch);
  if (left === undefined || left > 2) return [];
  const few = `\`${mask.name}\` usually leaves ${left === 1 ? "1 position" : "2 positions"} of ${cells} ${amongText(mask, batch)}: a network sees no more of a picture`;
  return [{ rule: "M-WEAK", diagnostic: report("JEP5022", mask.origin, { why: few }, { help: "Take out less of it, or draw a larger one." }) }];
}

function settings(mask: Mask, removed: readonly Mask[], predicted: boolean): Fault[] {
  const found: Fault[] = [];
  const weak = (why: string): void => {
    found.push({ rule: "M-WEAK", diagnostic: report("JEP5022", mask.origin, { why }) });
  };
  if (mask.kind === "block" && predicted && mask.count === 1) weak(`\`${mask.name}\` predicts one block; with one target block I-JEPA reaches 9.0, with four 54.2`);
  if (mask.kind === "block" && predicted && mask.scale[0] < 0.15) weak(`\`${mask.name}\` may be as small as ${mask.scale[0]} of the grid; with targets from 0.075 I-JEPA reaches 19.2, from 0.15 54.2`);
  if (mask.kind === "block" && !predicted && removed.length > 0 && mask.scale[0] < 0.75) weak(`\`${mask.name}\` may be as small as ${mask.scale[0]} of the grid; with contexts from 0.4 I-JEPA reaches 31.2, from 0.85 54.2`);
  if (mask.kind === "random" && predicted && (mask.grid?.frames ?? 1) > 1) found.push({ rule: "M-TEMPORAL", diagnostic: report("JEP5025", mask.origin, { mask: mask.name }) });
  if (mask.kind === "block" && predicted && mask.count > 1) found.push({ rule: "M-DUP", diagnostic: report("JEP5023", mask.origin, { mask: mask.name, count: mask.count }) });
  if (mask.kind === "block" && mask.sampler === "published" && mask.scale[0] < mask.scale[1] && mask.aspect[0] < mask.aspect[1] && !isLine(mask)) found.push({ rule: "M-CORR", diagnostic: report("JEP5024", mask.origin, { mask: mask.name }) });
  return found;
}
