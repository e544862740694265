/**
 * Products and attention through subgroup matrices on a device that has them, beside the float64 interpreter, at the widths and
 * lengths of ViT-B: several workgroups, heads and images. The emulator (`emulated.test.ts`) reads the same texts on any
 * machine; what a driver makes of them only such a device can tell.
 */
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { NodeDevice } from "../../../../runtime/backends/webgpu/device.js";
import { abilitiesOf, descriptionOf } from "../../../../runtime/backends/webgpu/forms.js";
import type { Case } from "./on-device.js";
import { compared, data, emptyPlan, t, weight } from "./on-device.js";
import { compilePlan, deviceFor, engineFor } from "./programs.js";

vi.setConfig({ testTimeout: 600_000, hookTimeout: 600_000 });

let node: NodeDevice | undefined;

beforeAll(async () => {
  const asking = { name: "", file: "", writes: [], hyper: false, forms: [{ needs: "subgroups" as const, file: "" }, { needs: "subgroup-matrix" as const, file: "" }] };
  const opened = await deviceFor({ plan: { ...emptyPlan, features: ["shader-f16"], kernels: [asking] }, kernels: {} });
  if (opened !== undefined && abilitiesOf(descriptionOf(opened.device)).matrix !== undefined) node = opened;
  else {
    console.warn(`NOT TESTED: subgroup matrices on a device: ${opened === undefined ? "there is none" : `${opened.name} has none`}`);
    opened?.release();
  }
});
afterAll(() => node?.release());

const own = (heads: number, d: number): Case["body"] => (b) => {
  const [o = -1, memory = -1] = b.multi("attention", [data(b, "qkv", t("B", "T", 3 * heads * d))], { heads });
  return [o, b.op("attention_grad", [memory, data(b, "do", t("B", "T", heads * d))])];
};
const cross = (heads: number, d: number): Case["body"] => (b) => {
  const [q, k, v] = [data(b, "q", t("B", "T", heads * d)), data(b, "k", t("B", "S", heads * d)), data(b, "v", t("B", "S", heads * d))];
  const [o = -1, lse = -1] = b.multi("sdpa", [q, k, v], { heads });
  return [o, lse, ...b.multi("sdpa_grad", [q, k, v, o, lse, data(b, "do", t("B", "T", heads * d))], { heads })];
};
const product = (ta: boolean, tb: boolean): Case["body"] => (b) => [b.op("matmul", [data(b, "a", ta ? t("K", "M") : t("M", "K")), weight(b, "b", tb ? t("N", "K") : t("K", "N"))], { ta, tb })];
const gradient = (m: number, n: number): Case["body"] => (b) => {
  const dy = data(b, "dy", t("N", n));
  return [b.op("linear_grad_w", [data(b, "x", t("N", m)), dy]), b.op("sum_leading", [dy])];
};
const large = { bm: 128, bn: 128, bk: 16, tm: 8, tn: 8 };
const small = { bm: 64, bn: 64, bk: 16, tm: 8, tn: 8 };

const cases: readonly (Case & { readonly note: string })[] = [
  ...[[2, 51, 2, 64], [1, 196, 3, 64], [2, 84, 2, 32], [3, 64, 2, 64], [2, 100, 3, 16], [2, 70, 2, 80], [1, 130, 2, 24]].map(([B = 1, T = 1, heads = 1, d = 1]) => ({ op: "attention", note: `${B} images of ${T}, ${heads} heads of ${d}`, env: { B, T }, body: own(heads, d) })),
  { op: "sdpa", note: "84 queries and 51 keys, heads of 64", env: { B: 2, T: 84, S: 51 }, body: cross(2, 64) },
  ...([[false, false], [false, true], [true, false]] as const).flatMap(([ta, tb]) => ([[large, 300, 776, 264], [small, 67, 35, 37], [small, 132, 44, 68]] as const).map(([tile, M, K, N]) => ({ op: "matmul", note: `${ta ? "t" : "n"}${tb ? "t" : "n"} ${M} x ${K} x ${N}`, env: { M, K, N }, tile, body: product(ta, tb) }))),
  { op: "linear_grad_w", note: "in parts with the bias", env: { N: 3000 }, tile: large, body: gradient(136, 264) },
  { op: "linear_grad_w", note: "with the bias, odd", env: { N: 333 }, tile: small, body: gradient(36, 108) },
];

test.each(cases.map((c) => ({ c, title: `${c.op}, ${c.note}` })))("$title", async ({ c }) => {
  if (node === undefined) return;
  const { errors, kernels } = await compared(c, node.device, "card", true);
  console.info(`${kernels.join(", ")}: ${errors.map((e) => e.toExponential(1)).join(", ")}`);
  errors.forEach((error, i) => expect(error, `result ${i}`).toBeLessThan(2e-3));
});

test("the forms of a whole plan agree with their portable texts, so that an engine says nothing of them", async () => {
  if (node === undefined) return;
  const ready = compilePlan(undefined, undefined, undefined, { storage: "f16" });
  const engine = await engineFor(ready);
  expect(engine?.notes).toEqual([]);
  engine?.dispose();
});
