/**
 * What a caller says of a device, looked at before plans are made by it.
 *
 * Owns the words for what is none. The command line only passes on what it made itself; callers of the library may be plain
 * JavaScript, where a name in the place of limits, or a misspelt limit, would go by every comparison unseen.
 */
import type { PlanLimits } from "./wgsl/plan.js";

/** @throws TypeError where this is no device that a plan can be made for. */
export function requireDevice(device: PlanLimits): void {
  const problem = problemOf(device);
  if (problem !== undefined) throw new TypeError(`\`device\` ${problem}. Give \`portable\`, \`software\` or \`large\` of jepac, or { bindingBytes, bufferBytes } of your own.`);
}

/** Looks at what came, whatever its type promises. */
function problemOf(device: unknown): string | undefined {
  if (typeof device !== "object" || device === null) return `is ${typeof device === "string" ? JSON.stringify(device) : String(device)}, which is no device`;
  const fields = new Map<string, unknown>(Object.entries(device));
  for (const name of ["bindingBytes", "bufferBytes", "memoryBytes"]) {
    const bytes = fields.get(name);
    if (bytes === undefined && name === "memoryBytes") continue;
    if (typeof bytes !== "number" || !(bytes > 0)) return `has ${name} ${String(bytes)}, which is no number of bytes`;
  }
  for (const name of ["software", "ample"]) {
    const flag = fields.get(name);
    if (flag !== undefined && typeof flag !== "boolean") return `has ${name} ${String(flag)}, which is neither true nor false`;
  }
  const tiles = fields.get("tiles");
  return tiles === undefined || Array.isArray(tiles) ? undefined : "has tiles that are no list";
}
