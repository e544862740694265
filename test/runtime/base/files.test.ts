/** Atomic replacement: whole or not at all. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterEach, beforeEach, expect, test } from "vitest";
import { HostError } from "../../../runtime/base/errors.js";
import { readBytes, writeAtomic, writeAtomicSync, writeError } from "../../../runtime/base/files.js";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "jepac-files-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

test("a file is created, then replaced, and nothing else is left in the folder", async () => {
  const path = join(folder, "deep", "er", "a.bin");
  await writeAtomic(path, Uint8Array.of(1, 2, 3));
  await writeAtomic(path, "new");
  expect(await readFile(path, "utf8")).toBe("new");
  writeAtomicSync(path, "newer");
  expect(Buffer.from(await readBytes(path)).toString()).toBe("newer");
  expect(await readdir(join(folder, "deep", "er"))).toEqual(["a.bin"]);
});

test("a write that fails leaves what was there and cleans up after itself", async () => {
  const taken = join(folder, "taken");
  await mkdir(taken);
  await writeFile(join(taken, "kept"), "old");
  await expect(writeAtomic(taken, "x")).rejects.toMatchObject({ name: "HostError", code: "io" });
  expect(() => writeAtomicSync(taken, "x")).toThrow(HostError);
  expect(await readdir(folder)).toEqual(["taken"]);
  expect(await readFile(join(taken, "kept"), "utf8")).toBe("old");
});

test("where no folder can be made, that is an error and not a wait without end", async () => {
  await writeFile(join(folder, "file"), "");
  await expect(writeAtomic(join(folder, "file/d/e.txt"), "below a file")).rejects.toMatchObject({ code: "io" });
  // Linux has a file system that makes no folders and says that there is none above them.
  if (process.platform === "linux") await expect(writeAtomic("/proc/jepac/run/c.txt", "nowhere")).rejects.toMatchObject({ code: "io" });
});

test("a full disk has its own code and its own way out", () => {
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  const error = writeError(full, "/runs/a/last.safetensors");
  expect(error.code).toBe("disk-full");
  expect(error.message).toContain("/runs/a/last.safetensors");
  expect(error.help).toContain("free some space");
});

/** The two modules compiled into the folder, so that a process of its own can run them under a file size limit. */
function compileInto(target: string): void {
  const base = join(dirname(fileURLToPath(import.meta.url)), "..", "..", "..", "runtime", "base");
  for (const name of ["errors", "files"]) {
    const { outputText } = ts.transpileModule(readFileSync(join(base, `${name}.ts`), "utf8"), { compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 } });
    writeFileSync(join(target, `${name}.js`), outputText);
  }
  writeFileSync(join(target, "package.json"), '{"type":"module"}');
}

test("a write that really runs out of room half way keeps the old file whole", async () => {
  compileInto(folder);
  await mkdir(join(folder, "run"));
  const path = join(folder, "run", "last.bin");
  await writeFile(path, "the last good state");
  const script = `import { writeAtomic, writeAtomicSync } from "./files.js";
    const big = new Uint8Array(1 << 20);
    const seen = [];
    try { await writeAtomic(${JSON.stringify(path)}, big); } catch (error) { seen.push(error.code); }
    try { writeAtomicSync(${JSON.stringify(path)}, big); } catch (error) { seen.push(error.code); }
    console.log(seen.join());`;
  await writeFile(join(folder, "child.js"), script);
  const child = spawnSync("bash", ["-c", `ulimit -f 64; exec "${process.execPath}" child.js`], { cwd: folder, encoding: "utf8" });
  expect(child.stdout.trim(), child.stderr).toBe("disk-full,disk-full");
  expect(await readdir(join(folder, "run"))).toEqual(["last.bin"]);
  expect(await readFile(path, "utf8")).toBe("the last good state");
});

test("concurrent writes to one name end with one of the contents, whole", async () => {
  const path = join(folder, "race");
  const contents = Array.from({ length: 8 }, (_, i) => String(i).repeat(50_000));
  await Promise.all(contents.map((content) => writeAtomic(path, content)));
  expect(contents).toContain(await readFile(path, "utf8"));
  expect(await readdir(folder)).toEqual(["race"]);
});

test("a file that is not there is named", async () => {
  await expect(readBytes(join(folder, "none"))).rejects.toMatchObject({ code: "not-found" });
});
