/**
 * A plan that does not fit, in words (JEP7001).
 *
 * Owns the sentence: what is too large for which limit, and each way out that was found to work, with the memory that it takes
 * (nobody has checked that where the device's memory was not told). The search is `fit.ts`.
 */
import type { Manifest } from "../../../runtime/abi.js";
import { comparing } from "../../check/batch.js";
import type { Checked } from "../../check/check.js";
import { settingSpan } from "../../check/check.js";
import type { Diagnostic } from "../../messages/report.js";
import { report } from "../../messages/report.js";
import type { Misfit } from "./fit.js";
import type { Excess, LimitKind } from "./memory.js";
import { valueLimit } from "./memory.js";
import type { PlanLimits } from "./plan.js";
import { large } from "./plan.js";

/** The diagnostic, at the setting of the batch. */
export function tooLarge(checked: Checked, manifest: Manifest, misfit: Misfit): Diagnostic {
  const { batch } = manifest.train;
  const { largest, beyond, cut, recomputed } = misfit;
  const next = `at ${beyond.batch} ${beyond.excess.what} takes ${size(beyond.excess.bytes)}, and ${limitOf(beyond.excess)}`;
  const ways = [
    largest === undefined ? `No batch fits as it is: ${next}` : `The largest batch that fits is ${largest.batch}, ${size(largest.memory)} in all (${next})`,
    ...(cut === undefined || comparing(checked.graph) !== undefined ? [] : [`\`accumulate ${cut.parts}\` runs this batch in parts of ${cut.batch / cut.parts}, ${size(cut.memory)} in all`]),
    ...(recomputed === undefined ? [] : [`${recomputed.batch >= batch ? "`recompute blocks` makes it fit" : `with \`recompute blocks\` the largest is ${recomputed.batch}`}, ${size(recomputed.memory)} in all`]),
    ...devices(misfit.limits, beyond.excess.kind),
  ];
  return report("JEP7001", settingSpan(checked.program, "batch"), { batch, what: misfit.what, bytes: size(misfit.bytes), limit: limitOf(misfit), ways: ways.join("; ") });
}

/** Devices that may take more, where the limits of this one decide; not the one that was chosen. */
function devices(limits: PlanLimits, decides: LimitKind): string[] {
  if (decides === "memory") return [];
  const most = valueLimit(large).limit;
  const ways = [
    ...(valueLimit(limits).limit < most ? [`\`--device large\` compiles for graphics cards, where a value may take ${size(most)}`] : []),
    ...(limits.profile === undefined ? [] : ["`--device here` compiles for what this machine's device takes"]),
  ];
  return ways.length === 0 ? [] : [ways.join(", ")];
}

const holders = { binding: "a binding holds", buffer: "a buffer holds", memory: "the device has" } as const;

function limitOf({ kind, limit }: Excess): string {
  return `${holders[kind]} ${size(limit)}`;
}

function size(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
