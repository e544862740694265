/**
 * Every op of the table on WebGPU against the float64 interpreter: odd sizes, single rows, lengths that fit no tile.
 *
 * The worst relative error of each op is printed. The last test says which ops have no case, and there must be none.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { ops } from "../../../../compiler/tensor/ops.js";
import type { NodeDevice } from "../../../../runtime/backends/webgpu/device.js";
import { compared, emptyPlan, worstByOp } from "./on-device.js";
import { cases } from "./op-cases.js";
import { deviceFor } from "./programs.js";

let node: NodeDevice | undefined;

beforeAll(async () => {
  node = await deviceFor({ plan: emptyPlan, kernels: {} });
}, 60_000);
afterAll(() => {
  node?.device.destroy();
  node?.release();
});

test("every op agrees with the interpreter on the device", async () => {
  if (node === undefined) return;
  const found: { op: string; error: number }[] = [];
  const wrong: string[] = [];
  for (const c of cases) {
    const { errors } = await compared(c, node.device, false);
    errors.forEach((error, i) => {
      found.push({ op: c.op, error });
      if (!(error < (c.tolerance ?? 2e-5))) wrong.push(`${c.op} ${c.note ?? ""} result ${i}: ${error}`);
    });
  }
  console.info(worstByOp(found));
  expect(wrong).toEqual([]);
}, 600_000);

test("every primitive op has a case", () => {
  const beside = new Set(["call", "repeat", "attention_grad", "sdpa_grad"]);
  expect(Object.keys(ops).filter((op) => !beside.has(op) && !cases.some((c) => c.op === op))).toEqual([]);
});
