/**
 * Points of a program's sweeps that do not compile, for `jepac check`: a sweep refuses them before its first row.
 *
 * Owns which points are looked at, and that their errors name the point: the text shows the base's value, not the one that
 * is wrong. Rows and their names are `cli/sweep-rows.ts`; reading a sweep is `check/sweep.ts`.
 */
import type { ProgramOptions, Source } from "./arguments.js";
import type { CheckResult } from "./check-source.js";
import { check } from "./check-source.js";
import type { SweepPoint } from "./check/sweep.js";
import type { Diagnostic } from "./messages/report.js";

/** Most points that are checked one and all; of more, every value of each axis is, with the first values of the others. */
const most = 100;

/** The points with errors, their diagnostics naming them. A program with errors of its own has none to tell. */
export function refusedPoints(result: CheckResult, source: Source, set: NonNullable<ProgramOptions["set"]>): readonly CheckResult[] {
  const { checked } = result;
  if (!result.ok || checked === undefined) return [];
  return checked.sweeps.flatMap(({ name, points }) => {
    const place = checked.program.sweeps.find((s) => s.name.text === name)?.name.span;
    return chosen(points).flatMap((point): CheckResult[] => {
      const found = check(source, { program: checked.graph.name, set: { ...set, ...Object.fromEntries(point) } });
      if (found.ok) return [];
      const values = [...point].map(([path, value]) => `${path} = ${String(value)}`).join(", ");
      const told = (d: Diagnostic): Diagnostic => ({
        ...d, message: `${d.message.replace(/\.$/, "")} (at ${values} of the sweep \`${name}\`).`,
        related: [...d.related, ...(place === undefined ? [] : [{ span: place, message: `this sweep asks for ${values}` }])],
        // A fix would change the base, which is well as it is.
        fixes: [],
      });
      return [{ ...found, diagnostics: found.diagnostics.filter((d) => d.severity === "error").map(told) }];
    });
  });
}

function chosen(points: readonly SweepPoint[]): readonly SweepPoint[] {
  const [first] = points;
  if (first === undefined || points.length <= most) return points;
  return points.filter((point) => [...point].filter(([path, value]) => first.get(path) !== value).length <= 1);
}
