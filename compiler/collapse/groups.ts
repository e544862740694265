/**
 * Groups: each instance as what it is after folding, whatever its declaration calls it (canonicalization C1, C2, C5).
 *
 * A moving average of constant momentum 0 is its source behind a stop; of constant momentum 1, or of a source that never
 * learns, a frozen copy; one of an average follows the first source. An instance to be trained that no gradient reaches is
 * frozen too, and shrinks where weight decay goes on. Names play no part: what counts is what trains and what follows whom.
 */
import type { Instance, ModelGraph, Schedule } from "../model/ir.js";
import { rootOf } from "../model/visit.js";

/** What an instance is. */
export interface Group {
  readonly name: string;
  /** The group whose parameters these are, follow, or are a copy of. */
  readonly source: string;
  /** `trained`; `follows` its source (with `lag`, or as its very copy); `fixed` for ever; `idle`: declared to be trained, and never. */
  readonly state: "trained" | "follows" | "fixed" | "idle";
  readonly lag: boolean;
  /** fixed: where its values come from. */
  readonly init: "random" | "pretrained" | "identity";
  /** idle: weight decay shrinks it although no gradient moves it. */
  readonly shrinks: boolean;
  /** Constant momentum of the average, where it is constant. */
  readonly momentum: number | undefined;
  /** How the fold came about, for messages. */
  readonly folded: "momentum 0" | "momentum 1" | "source never learns" | undefined;
  readonly learns: boolean;
  readonly instance: Instance;
}

export type Groups = ReadonlyMap<string, Group>;

const constantOf = (s: Schedule): number | undefined => (s.points.every((p) => p === s.points[0]) ? s.points[0] : undefined);

/** The groups of a graph, given which instances some term trains, and whether weight decay acts. */
export function readGroups(graph: ModelGraph, trained: ReadonlySet<string>, decays: boolean): Groups {
  const instances = new Map(graph.instances.map((i) => [i.name, i]));
  const groups = new Map<string, Group>();
  for (const instance of graph.instances) groups.set(instance.name, readGroup(instance, instances, trained, decays));
  return groups;
}

function readGroup(instance: Instance, instances: ReadonlyMap<string, Instance>, trained: ReadonlySet<string>, decays: boolean): Group {
  const learns = instance.params.some((p) => p.role === "learn");
  const base = { name: instance.name, source: instance.name, lag: false, init: "random" as const, shrinks: false, momentum: undefined, folded: undefined, learns, instance };
  const { training } = instance;
  if (training.kind === "frozen") return { ...base, state: "fixed", init: training.init };
  if (training.kind === "optimized") {
    if (trained.has(instance.name)) return { ...base, state: "trained" };
    const shrinks = decays && instance.params.some((p) => p.role === "learn" && p.shape.length > 1);
    return { ...base, state: learns ? "idle" : "fixed", shrinks };
  }
  const seen = new Set([instance.name]);
  let lag = false;
  let stuck = false;
  let momentum: number | undefined;
  let at: Instance = instance;
  while (at.training.kind === "ema") {
    const m = constantOf(at.training.momentum);
    if (m === 1) stuck = true;
    else if (m !== 0) {
      lag = true;
      momentum ??= m;
    }
    const next = instances.get(at.training.of);
    if (next === undefined || seen.has(next.name)) break;
    seen.add(next.name);
    at = next;
  }
  const source = at.name;
  const pretrained = at.training.kind === "frozen" ? at.training.init : "random";
  if (stuck) return { ...base, source, state: "fixed", init: pretrained, folded: "momentum 1", momentum: 1 };
  if (at.training.kind === "frozen") return { ...base, source, state: "fixed", init: pretrained, folded: "source never learns" };
  if (!trained.has(source)) return { ...base, source, state: "fixed", folded: learns ? "source never learns" : undefined };
  return { ...base, source, state: "follows", lag, momentum: lag ? momentum : 0, folded: lag ? undefined : "momentum 0" };
}

/** A parameter's path with the group that it is or follows: `teacher.norm.weight` becomes `student.norm.weight`. */
export function sourcePath(path: string, groups: Groups): string {
  const root = rootOf(path);
  const group = groups.get(root);
  return group === undefined || group.state !== "follows" ? path : `${group.source}${path.slice(root.length)}`;
}

/** Whether a group's values change in training. */
export function moves(group: Group | undefined): boolean {
  return group?.state === "trained" || group?.state === "follows";
}
