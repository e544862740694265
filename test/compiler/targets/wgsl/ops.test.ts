/**
 * Every op of the table on WebGPU against the float64 interpreter: odd sizes, single rows, lengths that fit no tile.
 *
 * The worst relative error of each op is printed. The last test says which ops have no case, and there must be none.
 */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { ops } from "../../../../compiler/tensor/ops.js";
import type { NodeDevice } from "../../../../runtime/backends/webgpu/device.js";
import { compared, emptyPlan, worstByOp } from "./on-device.js";
import { cases } from "./op-cases.js";
import { deviceFor } from "./programs.js";

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

let node: NodeDevice | undefined;
const found: { op: string; error: number }[] = [];

beforeAll(async () => {
  node = await deviceFor({ plan: emptyPlan, kernels: {} });
});
afterAll(() => {
  console.info(worstByOp(found));
  node?.device.destroy();
  node?.release();
});

test.each(cases.map((c, i) => ({ title: `${c.op}${c.note === undefined ? "" : `, ${c.note}`}`, c, i })))("$i $title agrees with the interpreter on the device", async ({ c }) => {
  if (node === undefined) return;
  const { errors } = await compared(c, node.device, "card");
  for (const error of errors) {
    found.push({ op: c.op, error });
    expect(error).toBeLessThan(c.tolerance ?? 2e-5);
  }
});

test("every primitive op has a case", () => {
  // The last line's are made by a pass that runs for tfjs alone (test/compiler/passes/rows-read.test.ts).
  const beside = new Set([
    "call", "repeat", "attention_grad", "sdpa_grad", "sdpa_causal_grad",
    "attention_rows", "attention_rows_grad", "stack_front", "stack_last", "stack_join",
  ]);
  expect(Object.keys(ops).filter((op) => !beside.has(op) && !cases.some((c) => c.op === op))).toEqual([]);
});
