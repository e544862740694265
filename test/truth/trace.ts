/**
 * What the monitors of a run looked at, kept small: a column for each number, at twenty steps of the run.
 *
 * Losses have five digits, because monitors hold them against their trivial values to a thousandth; the rest has three.
 */
import type { MetricRow } from "../../runtime/train/loop.js";
import type { WatchSignal } from "../../runtime/train/signals.js";

/** What monitors look at after a step. */
export type Look = Pick<MetricRow, "step" | "losses" | "signals" | "gradientNorm">;

/** Columns by name: `loss mse`, `gradient f`, `std f`, `rank f`, `imagesToTokens f`, `entropy f`. */
export interface Trace {
  readonly steps: readonly number[];
  readonly columns: Readonly<Record<string, readonly number[]>>;
}

/** Looks of a run. */
export const LOOKS = 20;
const signals = ["std", "rank", "imagesToTokens", "entropy"] as const;

/** The looks of a run at even distances. */
export function traceOf(rows: readonly Look[]): Trace {
  const full = rows.filter((row) => row.signals !== undefined && row.gradientNorm !== undefined);
  const every = Math.ceil(full.length / LOOKS);
  const looks = full.filter((_, at) => (at + 1) % every === 0);
  const columns: Record<string, number[]> = {};
  const put = (name: string, value: number | undefined, digits: number): void => {
    if (value !== undefined) (columns[name] ??= []).push(Number(value.toPrecision(digits)));
  };
  for (const look of looks) {
    for (const [name, value] of Object.entries(look.losses)) put(`loss ${name}`, value, 5);
    for (const [name, value] of Object.entries(look.gradientNorm ?? {})) put(`gradient ${name}`, value, 3);
    for (const [name, signal] of Object.entries(look.signals ?? {})) for (const kind of signals) put(`${kind} ${name}`, signal[kind], 3);
  }
  return { steps: looks.map((look) => look.step), columns };
}

/** The looks again, as monitors take them. */
export function looksOf({ steps, columns }: Trace): Look[] {
  return steps.map((step, at) => {
    const of = (kind: string): Record<string, number> => Object.fromEntries(Object.entries(columns).flatMap(([name, values]) => {
      const value = values[at];
      return name.startsWith(`${kind} `) && value !== undefined ? [[name.slice(kind.length + 1), value]] : [];
    }));
    const [std, rank, ratio, entropy] = signals.map(of);
    const read = Object.keys(std ?? {}).map((name): [string, WatchSignal] => [name, { std: std?.[name] ?? NaN, rank: rank?.[name] ?? NaN, imagesToTokens: ratio?.[name], entropy: entropy?.[name], rows: NaN }]);
    return { step, losses: of("loss"), gradientNorm: of("gradient"), signals: Object.fromEntries(read) };
  });
}
