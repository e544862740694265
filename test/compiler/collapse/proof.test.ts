/** Proofs, allowances, fixes, monitors and differences: what is made of a verdict. */
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { expect, test } from "vitest";
import { check, compile } from "../../../compiler/compile.js";
import { diffPrograms, printDifference } from "../../../compiler/diff.js";
import { applyFixes, certainFixes } from "../../../compiler/messages/fixes.js";
import { renderDiagnostic } from "../../../compiler/messages/render.js";
import { explainProof } from "../../../compiler/proof.js";

const root = join(import.meta.dirname, "../../..");
const caseText = (name: string): string => readFileSync(join(import.meta.dirname, "cases", name), "utf8");
const collapsing = caseText("c002-simsiam-nosg.jepa");

test("every program of specs and examples is sound", () => {
  for (const folder of ["specs", "examples"]) {
    for (const name of readdirSync(join(root, folder)).filter((f) => f.endsWith(".jepa"))) {
      const file = join(root, folder, name);
      const read = (path: string): string | undefined => {
        try {
          return readFileSync(resolve(dirname(file), path), "utf8");
        } catch {
          return undefined;
        }
      };
      const source = { file, text: readFileSync(file, "utf8"), read };
      for (const program of check(source).programs) {
        const { analyses } = check(source, { program });
        expect(`${name} ${program}: ${analyses?.program.verdict ?? "none"} ${analyses?.diagnostics.filter((d) => d.severity !== "note").map((d) => d.code).join() ?? ""}`).toBe(`${name} ${program}: sound `);
      }
    }
  }
});

test("allow collapse turns the refusal into a warning that stands in the manifest, and the verdict stays", () => {
  const allowed = collapsing.replace("\n}\n\ntrain", "\n  allow collapse(\"ablation: no stop\")\n}\n\ntrain");
  const refused = compile({ file: "m.jepa", text: collapsing });
  expect(refused.ok).toBe(false);
  expect(refused.files).toEqual([]);
  const result = compile({ file: "m.jepa", text: allowed });
  expect(result.ok).toBe(true);
  expect(result.diagnostics.filter((d) => d.code === "JEP4001").map((d) => d.severity)).toEqual(["warning", "warning"]);
  expect(result.analyses?.program).toMatchObject({ verdict: "error", allowed: true });
  expect(result.manifest?.allowed).toEqual([{ what: "collapse", reason: "ablation: no stop", codes: ["JEP4001"] }]);
  expect(result.manifest?.losses.map((l) => l.verdict)).toEqual(["error", "error"]);
});

test("a refusal carries its source in the literature", () => {
  const { diagnostics } = check({ file: "m.jepa", text: collapsing });
  const refusals = diagnostics.filter((d) => d.code === "JEP4001");
  expect(refusals.length).toBeGreaterThan(0);
  for (const d of refusals) expect(renderDiagnostic(d, () => collapsing)).toMatch(/= source: SimSiam .*Fig\. 2: 0\.1/);
  const others = check({ file: "m.jepa", text: "model x { input image: Image[8, 8, 3] z = imag }" }).diagnostics;
  expect(others.map((d) => d.source).filter((x) => x !== undefined)).toEqual([]);
});

test("the fix of a missing stop makes the program sound", () => {
  const { diagnostics } = check({ file: "m.jepa", text: collapsing });
  const { text } = applyFixes(collapsing, "m.jepa", certainFixes(diagnostics));
  expect(text).toContain("negative_cosine(h(z1), stopgrad(z2))");
  expect(check({ file: "m.jepa", text }).analyses?.program.verdict).toBe("sound");
});

test("a proof names the mechanism, the places and the rule; one by dynamics promises nothing", () => {
  const sound = check({ file: "m.jepa", text: caseText("c008-byol.jepa") });
  const text = sound.analyses === undefined ? "" : explainProof(sound.analyses, sound.texts);
  expect(text).toContain("`h` predicts, and the target (`t`) is stopped and lags behind");
  expect(text).not.toMatch(/cannot collapse/);
  expect(text).toContain("source: BYOL, table 5b: 72.5");
  expect(text).toMatch(/m\.jepa:\d+:\d+/);
  const refused = check({ file: "m.jepa", text: collapsing });
  expect(refused.analyses === undefined ? "" : explainProof(refused.analyses, refused.texts)).toContain("E-SYM (JEP4001)");
});

test("a proof by the objective names the loss that protects, where it has a name of its own", () => {
  const read = (path: string): string => readFileSync(join(root, path), "utf8");
  const { analyses, texts } = check({ file: "specs/vicreg.jepa", text: read("specs/vicreg.jepa") });
  expect(analyses === undefined ? "" : explainProof(analyses, texts)).toContain("`variance` (loss `spread`) is above its minimum for a constant");
});

test("witnesses lie in the file, and go from the loss to the encoder on both sides", () => {
  const { analyses } = check({ file: "m.jepa", text: collapsing });
  const texts = analyses?.losses[0]?.witness.map((s) => collapsing.slice(s.start, s.end)) ?? [];
  expect(texts).toEqual(["negative_cosine(h(z1), z2)", "h(z1)", "pool(f(a))", "f(a)", "pool(f(b))", "f(b)"]);
});

test("monitors follow the proof: dynamics, statistics, codes and averages each have their own", () => {
  const kinds = (name: string): string[] => [...new Set(check({ file: "m.jepa", text: caseText(name) }).analyses?.monitors.map((m) => m.kind))].sort();
  expect(kinds("c001-simsiam.jepa")).toContain("loss-trivial");
  expect(kinds("c008-byol.jepa")).toContain("teacher-distance");
  expect(kinds("c039-vicreg.jepa")).toContain("effective-rank");
  expect(kinds("c076-dino.jepa")).toContain("code-entropy");
  expect(kinds("c084-ijepa.jepa")).toContain("token-std");
});

/** BYOL whose target goes through a head that nothing trains. */
const projected = `use std.vit
use std.heads

model projected {
  input image: Image[32, 32, 3]
  view a, b = augment(image) { random_resized_crop(scale: 0.2..1.0) }
  encoder f = vit(patch: 8, width: 32, depth: 1, heads: 2)
  encoder t = ema(f, momentum: 0.99)
  predictor h = mlp_bn(64)
  head p = linear(32)
  loss mse(h(pool(f(a))), stopgrad(p(pool(t(b)))))
}

train projected {
  data shapes(count: 256)
  epochs 1
  batch 64
  weight_decay 0
}
`;

test("a spread is waited for in a sound program, and not in one that is refused or risky", () => {
  const patient = (text: string): boolean[] => [...new Set((check({ file: "m.jepa", text }).analyses?.monitors ?? []).flatMap((m) => (m.kind === "embedding-std" ? [m.patient === true] : [])))];
  expect([patient(caseText("c084-ijepa.jepa")), patient(collapsing)]).toEqual([[true], [false]]);
});

test("a refused agreement is watched by a share of its way, and so is that of an encoder whose guard is refused", () => {
  const of = (text: string) => (check({ file: "m.jepa", text }).analyses?.monitors ?? []).filter((m) => m.kind === "loss-trivial").map((m) => [m.loss, m.trivial?.value, m.watch, m.share, m.most]);
  expect(of(collapsing)).toEqual(["negative_cosine", "negative_cosine_2"].map((loss) => [loss, -1, undefined, 0.05, undefined]));
  expect(of(caseText("c001-simsiam.jepa"))[0]).toEqual(["negative_cosine", -1, "f", undefined, 0.01]);
  const guarded = caseText("c039-vicreg.jepa");
  const turned = guarded.replace(/\+ 25 \* variance/g, "- 25 * variance");
  expect(turned).not.toBe(guarded);
  expect([of(guarded), of(turned)].map((list) => list.filter(([loss]) => loss === "mse").map((m) => m[3]))).toEqual([[], [0.05]]);
});

test("what is trained has its gradients watched: all groups in a refused program, those that are meant to learn in a sound one, and the lack of any", () => {
  const of = (text: string): (string | undefined)[] => (check({ file: "m.jepa", text }).analyses?.monitors ?? []).filter((m) => m.kind === "gradient-norm").map((m) => m.watch);
  expect([of(caseText("c008-byol.jepa")), of(collapsing)]).toEqual([[undefined], [undefined]]);
  // A head on the target's side that weight decay leaves alone: no gradient is meant for it.
  expect(of(projected)).toEqual(["f", "h"]);
  expect(of(projected.replace("weight_decay 0", "weight_decay 0.05"))).toEqual([undefined]);
  const dead = collapsing.replace(/negative_cosine\((h\(z\d\)), (z\d)\)/g, "negative_cosine(stopgrad($1), stopgrad($2))");
  expect(check({ file: "m.jepa", text: dead }).analyses?.monitors.find((m) => m.kind === "gradient-norm")?.because).toMatch(/^nothing is trained/);
});

test("a mask that others are taken out of is watched for keeping them", () => {
  const overlaps = (text: string) => (check({ file: "m.jepa", text }).analyses?.monitors ?? []).filter((m) => m.kind === "mask-overlap").map((m) => [m.watch, m.because]);
  expect(overlaps(caseText("c084-ijepa.jepa"))).toEqual([["context", "for most pictures `context` finds no place without `targets` and keeps positions of it, so that what is predicted is seen: make `targets` smaller or fewer"]]);
});

test("a sound program has a witness too: the path of its proof", () => {
  const { analyses } = check({ file: "m.jepa", text: caseText("c008-byol.jepa") });
  expect(analyses?.program.verdict).toBe("sound");
  expect(analyses?.program.witness.length).toBeGreaterThan(5);
});

test("two spellings of one program do not differ; another mechanism does, in gradient and proof", () => {
  const byol = check({ file: "m.jepa", text: caseText("c008-byol.jepa") });
  const again = check({ file: "n.jepa", text: `// another layout\n${caseText("c008-byol.jepa").replace("0.5 * negative_cosine(h(pool(f(a)))", "0.5 * negative_cosine(\n    h(pool(f(a)))")}` });
  expect(again.diagnostics).toEqual([]);
  expect(diffPrograms(byol, again)?.changes).toEqual([]);
  const simsiam = check({ file: "s.jepa", text: caseText("c001-simsiam.jepa") });
  const difference = diffPrograms(simsiam, byol);
  expect(difference?.changes.filter((c) => c.what === "verdict")).toEqual([{ what: "verdict", name: "proof of f", before: "predictor and stop", after: "predictor and average" }]);
  expect(difference?.changes.some((c) => c.what === "instance" && c.name === "t" && c.before === undefined)).toBe(true);
  expect(difference === undefined ? "" : printDifference(difference)).toContain("+ t: vit(");
});

test("a trained head on the target's side is refused, unless another loss makes it tell the data", () => {
  const program = (more: string): string => `use std.vit
use std.heads
model m {
  input image: Image[32, 32, 3]
  view a, b = augment(image) {
    flip(p: 0.5)
  }
  encoder f = vit(patch: 8, width: 64, depth: 1, heads: 2)
  encoder t = ema(f, momentum: 0.99)
  predictor h = mlp(64, out: 32)
  head q = mlp(64, out: 32)
  head dec = linear(192)
  loss mse(h(pool(f(a))), q(pool(t(b))))
  ${more}
}`;
  const verdict = (more: string): string => check({ file: "m.jepa", text: program(more) }).analyses?.losses[0]?.verdict ?? "none";
  expect(verdict("loss paint = mse(dec(q(pool(stopgrad(t(b))))), stopgrad(pool(patches(b, 8))))")).toBe("risky");
  // Through another part, towards nothing, with no weight.
  expect(verdict("loss paint = mse(dec(pool(stopgrad(t(b)))), stopgrad(pool(patches(b, 8))))")).toBe("error");
  expect(verdict("loss paint = mse(dec(q(pool(stopgrad(t(b))))), stopgrad(0 * pool(patches(b, 8))))")).toBe("error");
  expect(verdict("loss paint = 0 * mse(dec(q(pool(stopgrad(t(b))))), stopgrad(pool(patches(b, 8))))")).toBe("error");
});
