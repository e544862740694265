/**
 * Dead parts: what is declared and does nothing.
 *
 * Parameters that no loss trains and no average follows, instances, masks and views that reach no loss, losses without a
 * gradient or without a weight, averages whose parameters differ from those of what they follow. None of it changes the
 * collapse verdict except the last, which cannot run; all of it is a sign that the program does not say what is meant.
 */
import { isBlind } from "../collapse/blind.js";
import type { Dropped } from "../collapse/canonicalize.js";
import { termName } from "../collapse/canonicalize.js";
import type { Facts } from "../collapse/gather.js";
import { flowOf, trainedThrough, usedMasks } from "../collapse/gather.js";
import type { Diagnostic, ReportExtras } from "../messages/report.js";
import { report } from "../messages/report.js";
import type { Body, Instance, ModelGraph, NodeId } from "../model/ir.js";
import { isCall, paramPrefix, reachable, rootOf } from "../model/visit.js";

/** Diagnostics for the dead parts of a program. */
export function findDeadParts(graph: ModelGraph, facts: Facts): Diagnostic[] {
  return [...deadInstances(graph, facts), ...deadInputs(graph, facts), ...deadLosses(facts), ...unlikeAverages(graph)];
}

function deadInstances(graph: ModelGraph, facts: Facts): Diagnostic[] {
  const read = readByLosses(graph, facts);
  const followed = new Set(graph.instances.flatMap((i) => (i.training.kind === "ema" ? [i.training.of] : [])));
  return graph.instances.flatMap((i): Diagnostic[] => {
    const learns = i.params.some((p) => p.role === "learn");
    if (!read.has(i.name) && !followed.has(i.name)) return [report("JEP4055", i.origin, { name: i.name }, inherited(graph, i))];
    return learns && facts.groups.get(i.name)?.state === "idle" && read.has(i.name) ? [report("JEP4038", i.origin, { heads: i.name })] : [];
  });
}

/** What is said besides of an instance that stands in another file or before the program's own lines: it is the base's, which a variant cannot take out. */
function inherited(graph: ModelGraph, { origin, name }: Instance): ReportExtras {
  const { file, start } = graph.origin;
  if (origin.file === file && origin.start > start) return {};
  return { help: `\`${graph.name}\` has it from its base. Use it, or leave it, where \`${graph.name}\` is to do without \`${name}\`: no step applies it.`, related: [{ span: graph.origin, message: `unused in \`${graph.name}\`` }] };
}

/** Instances that some loss is computed from; a dropped term still reads its operands. */
function readByLosses(graph: ModelGraph, facts: Facts): ReadonlySet<string> {
  const terms = [...facts.terms.map((t) => t.node), ...facts.canonical.dropped.map((d) => d.term.node)];
  // A module that learns nothing stands in the facts' body as what it does, and by its name in the program's only.
  const plain = new Set(graph.instances.filter((i) => i.params.every((p) => p.role === "state")).map((i) => i.name));
  const written = calledBehind(graph.body, graph.losses.map((l) => l.node)).filter((name) => plain.has(name));
  return new Set([...terms.flatMap((id) => [...flowOf(facts, id).depends]), ...calledBehind(facts.body, terms), ...written]);
}

/** Instances that are applied on the way to some nodes, in one pass back from all of them. */
function calledBehind(body: Body, roots: readonly NodeId[]): string[] {
  const found = new Set(roots);
  const names: string[] = [];
  for (let id = body.nodes.length - 1; id >= 0; id--) {
    const node = body.nodes[id];
    if (node === undefined || !found.has(id)) continue;
    for (const a of node.args) found.add(a);
    if (isCall(node)) names.push(rootOf(paramPrefix(node)));
  }
  return names;
}

function deadInputs(graph: ModelGraph, facts: Facts): Diagnostic[] {
  const used = usedMasks(graph);
  const read = reachable(graph.body, graph.losses.map((l) => l.node));
  const named = new Set(graph.body.nodes.flatMap((n) => (n.op === "input" && read.has(n.id) ? [n.attrs.path] : [])));
  const seen = new Set([...facts.terms.map((t) => t.node), ...facts.canonical.dropped.map((d) => d.term.node)].flatMap((n) => [...(facts.sights[n]?.keys() ?? [])]));
  return [
    ...graph.masks.filter((m) => !used.has(m.name)).map((m) => report("JEP4050", m.origin, { name: m.name })),
    ...graph.views.filter((v) => !named.has(v.name) || !seen.has(facts.pictures.get(v.name) ?? v.name)).map((v) => report("JEP4051", v.origin, { name: v.name })),
  ];
}

/** Why a term does nothing. */
const without: Readonly<Record<Dropped, string>> = { "weight 0": "its weight is 0", cancels: "another term cancels it", "same sides": "both its sides are one value", fulfilled: "a constant fulfils it, as its `target` is not above the root of its `eps`" };

function deadLosses(facts: Facts): Diagnostic[] {
  const idle = facts.terms.filter((t) => trainedThrough(facts, t.node).size === 0 && t.role !== "unknown").map((t) => report("JEP4052", t.origin, { name: termName(t), why: isBlind(facts.body, t.node) ? "of one number it has no gradient" : "its operands are stopped or frozen" }));
  const zero = facts.canonical.dropped.map(({ term, because }) => report("JEP4054", term.origin, { name: termName({ ...term, losses: [term.loss] }), why: without[because] }));
  return [...idle, ...zero];
}

/** Parameters of an average and of its source, one by one. */
function unlikeAverages(graph: ModelGraph): Diagnostic[] {
  const instances = new Map(graph.instances.map((i) => [i.name, i]));
  return graph.instances.flatMap((i): Diagnostic[] => {
    const source = i.training.kind === "ema" ? instances.get(i.training.of) : undefined;
    const why = source === undefined ? undefined : difference(i, source);
    return source === undefined || why === undefined ? [] : [report("JEP4053", i.origin, { name: i.name, source: source.name, why }, { related: [{ span: source.origin, message: `\`${source.name}\` is declared here` }] })];
  });
}

function difference(target: Instance, source: Instance): string | undefined {
  const shapes = new Map(source.params.map((p) => [p.path, p.shape]));
  for (const p of target.params) {
    const own = shapes.get(p.path);
    if (own !== undefined && own.join() !== p.shape.join()) return `\`${p.path}\` is ${p.shape.join("x")} in one and ${own.join("x")} in the other`;
  }
  return undefined;
}
