/**
 * The command line run in this process: words in, what it wrote and its exit code out.
 *
 * Each run has a terminal of its own over strings; files are real, in a temporary folder unless told otherwise.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { runCli } from "../../../compiler/cli/run.js";

/** The repository's folder. */
export const root = fileURLToPath(new URL("../../../", import.meta.url)).replace(/[\\/]$/, "");

/** What a run left. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `jepac …` in `cwd`. */
export async function jepac(words: readonly string[], options: { readonly cwd?: string; readonly input?: string; readonly tty?: boolean; readonly env?: Record<string, string>; readonly clock?: () => number } = {}): Promise<Ran> {
  const parts = { out: "", err: "" };
  const stream = (name: "out" | "err") => ({ isTTY: options.tty === true, columns: 100, write: (text: string) => { parts[name] += text; } });
  const code = await runCli(words, {
    out: stream("out"), err: stream("err"), cwd: options.cwd ?? root, env: options.env ?? {}, readInput: () => Promise.resolve(options.input ?? ""), clock: options.clock ?? (() => 0),
  });
  return { code, ...parts };
}

/** A folder that is gone after the tests, with these files in it. */
export function temporary(files: Readonly<Record<string, string>> = {}): string {
  const folder = mkdtempSync(join(tmpdir(), "jepac-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A small sound program. */
export const small = `use std.vit

/// A very small I-JEPA.
model tiny {
  param width = 16
  input image: Image[16, 16, 3]

  mask targets = 2 of block(scale: 0.15..0.20, aspect: 0.75..1.5, min_keep: 0)
  mask context = block(scale: 0.85..1.00, aspect: 1.0, min_keep: 0) minus targets

  encoder student = vit(4, width, depth: 1, heads: 2)
  encoder teacher = ema(student, momentum: 0.99 -> 1.0)
  predictor predict = vit_predictor(width: 8, depth: 1, heads: 2)

  z_context = student(image at context)
  z_target = stopgrad(normalize(teacher(image))) at targets
  z_hat = predict(z_context, at: targets)

  loss smooth_l1(z_hat, z_target)
}

train tiny {
  data           shapes(count: 64)
  steps          4
  batch          16
  learning_rate  1e-3
}

probe tiny { linear(on: teacher) }

variant wider of tiny {
  param width = 32
}
`;
