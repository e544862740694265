/**
 * What is measured of a device and of steps on it, as plain data.
 *
 * Owns the records that `profiler.ts` and `ceilings.ts` fill and `profile-report.ts` reads. Names nothing of WebGPU: these types are
 * part of what the package exports, and who uses it need not have a browser's types.
 */

/** The host's phases of a step, in order: inputs written, commands encoded, commands submitted. Results come back later. */
export const PHASES = ["upload", "encode", "submit"] as const;
export type Phase = (typeof PHASES)[number];

/** A dispatch that was measured. Times are milliseconds on the device's clock. */
export interface DispatchSample {
  readonly kernel: string;
  readonly start: number;
  readonly end: number;
  readonly flops: number | undefined;
  readonly bytes: number;
  readonly groups: number;
}

/** A step that was looked at. Times of the host are milliseconds on its clock. */
export interface StepSample {
  readonly kind: "whole" | "each";
  /** When the step began; when each phase ended. */
  readonly began: number;
  readonly phases: Readonly<Record<Phase, number>>;
  readonly dispatchCount: number;
  /** The device's time from the first dispatch to the end of the last. */
  readonly device: { readonly start: number; readonly end: number };
  /** Empty for whole steps. */
  readonly dispatches: readonly DispatchSample[];
}

/** Rates of a device. */
export interface Ceilings {
  /** f32 multiply-adds from registers, floating-point operations per second (two for each). */
  readonly arithmetic: number;
  /** A copy between two buffers by a kernel: bytes read plus bytes written per second. */
  readonly copy: number;
  /** A square f32 matrix product by 64 x 64 tiles, floating-point operations per second, and its side. */
  readonly gemm: number;
  readonly gemmSide: number;
}
