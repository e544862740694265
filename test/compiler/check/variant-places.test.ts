/** A mistake that a variant makes on a line which it kept: its author is shown the line that they wrote. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { check } from "../../../compiler/compile.js";
import { applyFixes } from "../../../compiler/messages/fixes.js";

const read = (path: string): string => readFileSync(path, "utf8");
const inSpecs = (text: string) => check({ file: "v.jepa", text: `use "./specs/ijepa.jepa"\nvariant v of ijepa {\n${text}\n}\n`, read }, { program: "v" });

test("a target of another space is told where the variant sets it, and the fix says the loss over again there", () => {
  const { diagnostics, texts } = inSpecs("  z_target = stopgrad(student(image)) at targets");
  const [found] = diagnostics;
  const text = texts.get("v.jepa") ?? "";
  expect(diagnostics.map((d) => d.code)).toEqual(["JEP3014"]);
  expect(found?.span.file).toBe("v.jepa");
  expect(text.slice(found?.span.start, found?.span.end)).toBe("stopgrad(student(image)) at targets");
  expect(found?.related.map((r) => r.span.file)).toEqual(["specs/ijepa.jepa"]);
  expect(found?.fixes.map((f) => f.guess)).toEqual([true]);
  const mended = applyFixes(text, "v.jepa", found?.fixes ?? []).text;
  expect(mended).toContain("loss smooth_l1(z_hat, z_target, beta: 1.0) in latent(student)\n}");
  expect(check({ file: "v.jepa", text: mended, read }, { program: "v" }).diagnostics.filter((d) => d.code === "JEP3014")).toEqual([]);
});

test("a line of the base that no longer fits names the variant's lines that it rests on", () => {
  for (const [line, code, name] of [["  z_hat = predict(z_context, at: context)", "JEP3002", "`z_hat`"]] as const) {
    const { diagnostics, texts } = inSpecs(line);
    const found = diagnostics.find((d) => d.code === code);
    const own = found?.related.find((r) => r.span.file === "v.jepa");
    expect(own?.message, `${line}: ${diagnostics.map((d) => d.message).join("; ")}`).toBe(`${name} is set here by the variant \`v\``);
    expect((texts.get("v.jepa") ?? "").slice(own?.span.start, own?.span.end)).toBe(line.trim());
  }
});
