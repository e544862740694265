/**
 * Kernels that do what several operations ask for, against the float64 interpreter: at sizes that fit no tile, with single
 * rows, with lengths shorter than the plan was made for, stored as f32 and as f16. The names of the dispatches say that
 * the operations were joined.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { FuncBuilder } from "../../../../compiler/tensor/build.js";
import { evaluate } from "../../../../compiler/tensor/eval.js";
import type { ValueId } from "../../../../compiler/tensor/ir.js";
import { i32 } from "../../../../compiler/tensor/ir.js";
import { dim, dims } from "../../../../compiler/types/dim.js";
import type { NodeDevice } from "../../../../runtime/backends/webgpu/device.js";
import type { Case } from "./on-device.js";
import { argumentsOf, build, data, emptyPlan, onDevice, t, worstOf } from "./on-device.js";
import { deviceFor } from "./programs.js";

interface Fused extends Omit<Case, "op" | "env"> {
  readonly name: string;
  readonly kernels: readonly string[];
}

/** Tokens with position codes, tiled, and mask queries with theirs, one after the other. */
function assembly(b: FuncBuilder, width: number): ValueId {
  const [x, table, mask] = [data(b, "x", t("B", "K", width)), data(b, "table", t("N", width)), data(b, "mask", t(width))];
  const [seen, wanted] = [data(b, "seen", i32(dims(["B", "K"]))), data(b, "wanted", i32(dims(["4*B", "P"])))];
  const known = b.op("add", [x, b.op("gather_table", [table, seen])]);
  const queries = b.op("add", [b.op("broadcast", [mask], { shape: dims(["4*B", "P", width]) }), b.op("gather_table", [table, wanted])]);
  return b.op("concat", [b.op("tile_batch", [known], { copies: 4 }), queries], { axis: 1 });
}

/** Gradients of tokens and mask query by the sequence. */
function assemblyGrad(b: FuncBuilder, width: number): readonly ValueId[] {
  const dx = data(b, "dx", t("4*B", "K+P", width));
  const known = b.op("sum_tiles", [b.op("slice", [dx], { axis: 1, start: dim(0), size: dim("K") })], { copies: 4 });
  const query = b.op("sum_leading", [b.op("slice", [dx], { axis: 1, start: dim("K"), size: dim("P") })]);
  return [known, query];
}

/** smooth L1 against the target's rows, normalized and picked. */
function targetLoss(b: FuncBuilder, width: number): readonly ValueId[] {
  const [y = -1] = b.multi("normalize", [data(b, "z", t("B", "N", width))], { eps: 1e-5 });
  const picked = b.op("gather_rows", [y, data(b, "at", i32(dims(["4*B", "P"])))], { copies: 4 });
  return b.multi("smooth_l1_mean", [data(b, "a", t("4*B", "P", width)), picked], { beta: 0.5 });
}

/** A norm's gradient by rows that were cut off before, with the residual's. */
function paddedNorm(b: FuncBuilder, width: number): readonly ValueId[] {
  const dy = b.op("pad", [data(b, "dy", t("B", "P", width))], { axis: 1, before: dim("K"), after: dim(0) });
  const [dx = -1, ...sums] = b.multi("layer_norm_grad", [data(b, "y", t("B", "K+P", width)), data(b, "r", t("B", "K+P", 1)), data(b, "s", t(width)), dy]);
  return [b.op("add", [dx, data(b, "rest", t("B", "K+P", width))]), ...sums];
}

const fused: readonly Fused[] = [
  ...[36, 7].map((width): Fused => ({ name: `assembly of a sequence, rows of ${width}`, below: 9, kernels: ["map", "concat"], body: (b) => [assembly(b, width)] })),
  ...[36, 7].map((width): Fused => ({ name: `its gradient, rows of ${width}`, kernels: ["reduce_columns_sum_of_2"], body: (b) => assemblyGrad(b, width) })),
  ...[300, 36, 7].map((width): Fused => ({ name: `normalized target, rows of ${width}`, below: 9, kernels: ["target_smooth_l1_slope", "reduce_rows_mean"], body: (b) => targetLoss(b, width) })),
  ...[130, 36].map((width): Fused => ({ name: `padding into a norm's gradient, rows of ${width}`, tolerance: 1e-4, kernels: ["layer_norm_grad_sums", "add_parts_two"], body: (b) => paddedNorm(b, width) })),
  {
    name: "a norm of the last rows of each image", kernels: ["layer_norm"],
    body: (b) => b.multi("layer_norm", [b.op("slice", [data(b, "x", t("B", "K+P", 36))], { axis: 1, start: dim("K"), size: dim("P") }), data(b, "s", t(36)), data(b, "o", t(36))], { eps: 1e-5 }),
  },
  {
    name: "a product with bias and position codes by index", below: 9, kernels: ["gemm_nn_64x64"],
    body: (b) => [b.op("add", [b.op("linear", [data(b, "x", t("B", "K", 19)), data(b, "w", t(19, 36)), data(b, "c", t(36))]), b.op("gather_table", [data(b, "table", t("N", 36)), data(b, "i", i32(dims(["B", "K"])))])])],
  },
  {
    // A number of the batch's size, looked at as a row and as a whole, twice in one of its readers: it is never stored.
    name: "a number for several readers", kernels: ["map", "map"],
    body: (b) => {
      const number = b.op("scale_dim", [b.op("fill", [], { shape: dims([1, 1]), value: 0.75, stack: [] })], { num: dim(1), den: dim("B") });
      const [wide, tall] = [b.op("broadcast", [number], { shape: dims(["B", "N"]) }), b.op("broadcast", [number], { shape: dims(["N", "K"]) })];
      return [b.op("mul", [b.op("add", [data(b, "x", t("B", "N")), wide]), wide]), b.op("mul", [data(b, "y", t("N", "K")), tall])];
    },
  },
  {
    name: "a product with bias and position codes for every image", kernels: ["gemm_nn_64x64"],
    body: (b) => [b.op("add", [b.op("linear", [data(b, "x", t("B", "N", 19)), data(b, "w", t(19, 36)), data(b, "c", t(36))]), data(b, "codes", t("N", 36))])],
  },
];

const sizes: readonly { readonly env: Readonly<Record<string, number>>; readonly bounds?: Readonly<Record<string, number>> }[] = [
  { env: { B: 3, K: 5, P: 2, N: 9 } },
  { env: { B: 1, K: 1, P: 1, N: 9 }, bounds: { B: 7, K: 9, P: 6 } },
  { env: { B: 5, K: 7, P: 3, N: 11 }, bounds: { B: 6, K: 11, P: 4 } },
];

let node: NodeDevice | undefined;

beforeAll(async () => {
  node = await deviceFor({ plan: { ...emptyPlan, features: ["shader-f16"] }, kernels: {} });
}, 60_000);
afterAll(() => {
  node?.device.destroy();
  node?.release();
});

const stored = [{ tolerance: 2e-5 }, { storage: "f16" as const, tolerance: 2e-3 }];

test.each(fused)("$name", async (f) => {
  if (node === undefined) return;
  let worst = 0;
  for (const { storage, tolerance } of stored) {
    for (const [i, size] of sizes.entries()) {
      const c: Case = { op: f.name, ...f, ...size, ...(storage === undefined ? {} : { storage }) };
      const module = build(c);
      const args = argumentsOf(c, module);
      const wanted = evaluate(module, "f", args, new Map(Object.entries(c.env)));
      const { got, kernels } = await onDevice(c, module, args, node.device, "card");
      if (i > 0) expect(kernels.map((k) => k.replace(/_\d+x\d+/, ""))).toEqual(f.kernels.map((k) => k.replace(/_\d+x\d+/, "")));
      wanted.forEach((w, r) => {
        const error = worstOf(got[r], w);
        worst = Math.max(worst, error);
        expect(error, `${storage ?? "f32"} ${JSON.stringify(size.env)} result ${r}`).toBeLessThan(Math.max(tolerance, f.tolerance ?? 0));
      });
    }
  }
  console.info(`${f.name}: ${worst.toExponential(1)}`);
}, 120_000);
