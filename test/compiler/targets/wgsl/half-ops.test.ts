/**
 * Every op of the table with f16 storage against the float64 interpreter: inputs, weights and results are f16 where the
 * compiler's rule allows it; odd sizes, single rows, lengths that fit no tile.
 *
 * Inputs are numbers that f16 has, so what is measured is rounding of results and of values between kernels. The worst
 * relative error of each op is printed. A case that stores nothing it makes as f16 is held to the bound of f32.
 */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { NodeDevice } from "../../../../runtime/backends/webgpu/device.js";
import { compared, emptyPlan, worstByOp } from "./on-device.js";
import { cases } from "./op-cases.js";
import { deviceFor } from "./programs.js";

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

/** Twice the rounding of one number, 2^-11, and some for values that are rounded on the way. */
const BOUND = 2e-3;

let node: NodeDevice | undefined;
const found: { op: string; error: number }[] = [];
/** Ops whose results were stored as f16. */
const half = new Set<string>();

beforeAll(async () => {
  node = await deviceFor({ plan: { ...emptyPlan, features: ["shader-f16"] }, kernels: {} });
});
afterAll(() => {
  console.info(`f16: ${worstByOp(found)}`);
  node?.device.destroy();
  node?.release();
});

const fitting = cases.filter((c) => c.large !== true);

test.each(fitting.map((c, i) => ({ title: `${c.op}${c.note === undefined ? "" : `, ${c.note}`}`, c, i })))("$i $title in f16 agrees with the interpreter on the device", async ({ c }) => {
  if (node === undefined) return;
  const { errors, stored, narrow } = await compared(c, node.device, "software", true);
  errors.forEach((error, i) => {
    found.push({ op: c.op, error });
    if (stored[i] === "f16") half.add(c.op);
    expect(error).toBeLessThan(narrow ? BOUND : c.tolerance ?? 2e-5);
  });
});

test("results were stored as f16, not as f32 that happens to pass", () => {
  if (node === undefined) return;
  for (const op of ["matmul", "linear", "linear_grad_x", "layer_norm", "attention", "sdpa", "gelu", "gather_rows", "scatter_rows", "exp"]) expect(half.has(op), op).toBe(true);
});
