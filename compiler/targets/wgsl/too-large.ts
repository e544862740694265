/**
 * A plan that does not fit, in words (JEP7001).
 *
 * Owns the sentence: what is too large, and each way out that was found to work. The search is `fit.ts`.
 */
import type { Manifest } from "../../../runtime/abi.js";
import { comparing } from "../../check/batch.js";
import type { Checked } from "../../check/check.js";
import { settingSpan } from "../../check/check.js";
import type { Diagnostic } from "../../messages/report.js";
import { report } from "../../messages/report.js";
import type { Misfit } from "./fit.js";
import { ALL_BUFFERS } from "./plan.js";

/** The diagnostic, at the setting of the batch. */
export function tooLarge(checked: Checked, manifest: Manifest, misfit: Misfit): Diagnostic {
  const { batch } = manifest.train;
  const { what, parts, recomputed } = misfit;
  const ways = [
    misfit.batch === undefined ? "No batch fits as it is" : `The largest batch that fits is ${misfit.batch}`,
    ...(parts === undefined || comparing(checked.graph) !== undefined ? [] : [`\`accumulate ${parts}\` runs this batch in ${parts} parts`]),
    ...(recomputed === undefined ? [] : [recomputed >= batch ? "`recompute blocks` makes it fit" : `with \`recompute blocks\` it is ${recomputed}`]),
    ...(what === ALL_BUFFERS ? [] : ["`--device large` compiles for graphics cards, `--device here` for this machine's"]),
  ];
  return report("JEP7001", settingSpan(checked.program, "batch"), { batch, what, bytes: size(misfit.bytes), limit: size(misfit.limit), ways: ways.join("; ") });
}

function size(bytes: number): string {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(2)} GiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
