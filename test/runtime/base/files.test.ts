/** Atomic replacement: whole or not at all. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

test("a full disk has its own code and its own way out", () => {
  const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
  const error = writeError(full, "/runs/a/last.safetensors");
  expect(error.code).toBe("disk-full");
  expect(error.message).toContain("/runs/a/last.safetensors");
  expect(error.help).toContain("free some space");
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
