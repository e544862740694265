/**
 * What kinds of data there are, asked in one place.
 *
 * Owns two questions: whether data are made and not read, and whether they are numbers, which have no black and no white.
 */
import type { DataConfig } from "../abi.js";

/** Whether data are generated: so many of them, and no path. */
export function isGenerated(data: DataConfig): data is Extract<DataConfig, { readonly count: number }> {
  return "count" in data;
}

/** Whether data are numbers as they stand, in units of their own. */
export function isNumbers({ kind }: Pick<DataConfig, "kind">): boolean {
  return kind === "arrays" || kind === "waves";
}
