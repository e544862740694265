/**
 * The Python of `scripts/setup-torch.mjs`, for tests that compare with other people's libraries.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";

const known = new Map<string, string>();

/**
 * A Python that has the packages: `JEPAC_PYTHON`, else the environment in `.engines/torch`. Undefined where there is
 * none, said aloud with what goes untested.
 */
export function pythonWith(packages: readonly string[], untested: string): string | undefined {
  const python = process.env["JEPAC_PYTHON"] ?? join(import.meta.dirname, "../../.engines/torch/bin/python");
  const key = packages.join();
  let problem = known.get(key);
  if (problem === undefined) {
    // Looked for, not imported: importing all of them takes as long as a test, and the test does it anyway.
    const code = `from importlib.util import find_spec\nimport sys\nmissing = [p for p in ${JSON.stringify(packages)} if find_spec(p) is None]\nsys.exit("no " + ", ".join(missing) if missing else 0)`;
    const run = existsSync(python) ? spawnSync(python, ["-c", code], { encoding: "utf8" }) : undefined;
    problem = run === undefined ? `there is no ${python}` : run.status === 0 ? "" : run.stderr.trim().split("\n").at(-1) ?? "it does not start";
    known.set(key, problem);
  }
  if (problem === "") return python;
  console.warn(`NOT TESTED: ${untested}: ${problem}; make it with node scripts/setup-torch.mjs --full`);
  return undefined;
}
