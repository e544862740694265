/**
 * Every assumption that a proof relies on is watched in the run: generated from the tables of `monitors.ts`, over all proofs
 * of the corpus, and in the manifests that both targets emit. A mechanism without a row in the tables does not typecheck; one
 * whose row is empty, or that no program here relies on, fails.
 */
import { expect, test } from "vitest";
import { check, compile } from "../../../compiler/compile.js";
import type { Analyses } from "../../../compiler/analyses.js";
import type { EncoderProof } from "../../../compiler/collapse/analyze.js";
import { mechanismMonitors, protectorMonitors } from "../../../compiler/collapse/monitors.js";
import type { Manifest, MonitorSpec } from "../../../runtime/abi.js";
import { everything } from "./corpus.js";

type Kind = MonitorSpec["kind"];

/** One assumption: what is relied on, where, and what must be watched for it. */
interface Assumption {
  readonly on: string;
  readonly encoder: string;
  readonly losses: readonly string[];
  readonly targets: readonly string[];
  readonly kinds: readonly Kind[];
}

const programs = everything.flatMap(({ id, source, trains }) => {
  const { analyses } = check({ file: "m.jepa", text: source });
  return analyses === undefined ? [] : [{ id, source, trains, analyses, assumptions: analyses.collapse.encoders.flatMap((e) => assumptionsOf(analyses, e)) }];
});

function assumptionsOf({ facts }: Analyses, { encoder, protectors, mechanisms }: EncoderProof): Assumption[] {
  return [
    ...protectors.map(({ because, term }) => ({ on: `objective: ${because}`, encoder, losses: term.losses, targets: [], kinds: protectorMonitors[because] })),
    ...mechanisms.map(({ mechanism, term }) => ({
      on: `dynamics: ${mechanism.kind}`, encoder, losses: term.losses, kinds: mechanismMonitors[mechanism.kind],
      targets: mechanism.target.filter((g) => facts.groups.get(g)?.state === "follows"),
    })),
  ];
}

/** Kinds that an assumption asks for and that the monitors do not hold. */
function missing(of: Assumption, monitors: readonly MonitorSpec[]): Kind[] {
  return of.kinds.filter((kind) => {
    const same = monitors.filter((m) => m.kind === kind);
    if (kind === "teacher-distance") return of.targets.length === 0 || !of.targets.every((t) => same.some((m) => m.watch === t));
    if (kind === "loss-trivial") return !same.some((m) => m.trivial?.of !== "no prediction" && m.trivial?.of !== "foreseen" && of.losses.includes(m.loss ?? ""));
    return !same.some((m) => m.watch === of.encoder);
  });
}

const all = [...Object.keys(protectorMonitors).map((k) => `objective: ${k}`), ...Object.keys(mechanismMonitors).map((k) => `dynamics: ${k}`)];

test.each(all)("%s: relied on by some program, and watched wherever it is", (on) => {
  const relying = programs.flatMap(({ id, analyses, assumptions }) => assumptions.filter((a) => a.on === on).map((a) => ({ id, analyses, a })));
  expect(relying.length).toBeGreaterThan(0);
  expect(relying.flatMap(({ id, analyses, a }) => missing(a, analyses.monitors).map((kind) => `${id}: ${kind} of ${a.encoder} (${a.losses.join()})`))).toEqual([]);
  expect(relying.every(({ a }) => a.kinds.length > 0)).toBe(true);
});

/** Few programs that together rely on everything that can be trained. */
const chosen = all.reduce<{ readonly taken: typeof programs; readonly covered: ReadonlySet<string> }>((sofar, on) => {
  if (sofar.covered.has(on)) return sofar;
  const gain = (p: (typeof programs)[number]): number => new Set(p.assumptions.map((a) => a.on).filter((a) => !sofar.covered.has(a))).size;
  const [best] = programs.filter((p) => p.trains && p.analyses.program.verdict !== "error" && p.assumptions.some((a) => a.on === on)).toSorted((x, y) => gain(y) - gain(x));
  return best === undefined ? sofar : { taken: [...sofar.taken, best], covered: new Set([...sofar.covered, ...best.assumptions.map((a) => a.on)]) };
}, { taken: [], covered: new Set() });

test("what no target can train is told by name", () => {
  expect(all.filter((on) => !chosen.covered.has(on))).toEqual(["dynamics: pretrained target"]);
});

test.each(chosen.taken.flatMap((p) => (["tfjs", "wgsl"] as const).map((target) => [p.id, target, p] as const)))("%s on %s: the emitted trainer watches what the proof relies on, and is handed what it looks at", (_, target, p) => {
  const { manifest, diagnostics } = compile({ file: "m.jepa", text: p.source }, { target });
  if (manifest === undefined) throw new Error(diagnostics.map((d) => d.message).join("; "));
  expect(p.assumptions.flatMap((a) => missing(a, manifest.monitors).map((kind) => `${kind} of ${a.encoder}`))).toEqual([]);
  expect(manifest.monitors.filter((m) => !handed(manifest, m)).map((m) => `${m.kind} of ${m.watch ?? m.loss ?? ""}`)).toEqual([]);
});

/** Whether a step of the trainer hands back what a monitor judges. */
function handed(manifest: Manifest, { kind, watch, loss }: MonitorSpec): boolean {
  if (loss !== undefined && !manifest.losses.some((l) => l.name === loss)) return false;
  if (kind === "teacher-distance") return manifest.ema.some((e) => e.target === watch);
  if (kind === "code-entropy") return manifest.watches.some((w) => w.over === "codes" && w.of === watch);
  if (kind === "token-std") return manifest.watches.some((w) => w.over === "positions" && w.of === watch);
  if (kind === "mask-overlap") return manifest.masks.some((m) => m.name === watch && m.minus.length > 0);
  if (kind === "gradient-norm" && watch !== undefined) return manifest.parameters.some((p) => p.group === watch && p.role === "trained");
  return watch === undefined || manifest.watches.some((w) => w.name === watch && w.over === "images");
}
