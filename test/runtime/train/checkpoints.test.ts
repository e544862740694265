/**
 * Checkpoints on disk: rotation, damage, other programs, full disks; the last good one always survives.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Manifest } from "../../../runtime/abi.js";
import { HostError } from "../../../runtime/base/errors.js";
import { checkGoesOn, decodeCheckpoint, encodeCheckpoint } from "../../../runtime/train/checkpoint.js";
import type { Checkpoint } from "../../../runtime/train/checkpoint.js";
import { CHECKPOINT_FILES, nodeFiles, openCheckpoints } from "../../../runtime/train/checkpoint-store.js";
import { fakeManifest, record } from "./fakes.js";

let folder = "";
let saved: readonly Checkpoint[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "jepac-checkpoints-"));
  saved = (await record()).saved;
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function nth(at: number): Checkpoint {
  const checkpoint = saved[at];
  if (checkpoint === undefined) throw new Error(`no checkpoint ${at}`);
  return checkpoint;
}

async function failure(run: Promise<unknown>): Promise<HostError> {
  const error = await run.then(() => undefined, (thrown: unknown) => thrown);
  if (!(error instanceof HostError)) throw new Error(`expected a HostError, got ${String(error)}`);
  return error;
}

async function savedTwice(manifest: Manifest = fakeManifest()): Promise<void> {
  const store = openCheckpoints(folder, manifest);
  await store.save(nth(0));
  await store.save(nth(1));
}

test("what is loaded is what was saved, and the one before it is kept", async () => {
  await savedTwice();
  const store = openCheckpoints(folder, fakeManifest());
  expect(await store.load("latest")).toEqual(nth(1));
  expect(await store.load("previous")).toEqual(nth(0));
  expect(readdirSync(folder).sort()).toEqual([CHECKPOINT_FILES.previous, CHECKPOINT_FILES.latest].sort());
});

test("equal states are equal bytes", async () => {
  const store = openCheckpoints(folder, fakeManifest());
  await store.save(nth(1));
  await store.save(nth(1));
  expect(readFileSync(join(folder, CHECKPOINT_FILES.latest)).equals(readFileSync(join(folder, CHECKPOINT_FILES.previous)))).toBe(true);
});

test("a truncated checkpoint at any length is refused by name, and the one before it is offered and usable", async () => {
  await savedTwice();
  const path = join(folder, CHECKPOINT_FILES.latest);
  const whole = readFileSync(path);
  for (const length of [0, 4, 8, 60, whole.length >> 1, whole.length - 1]) {
    writeFileSync(path, whole);
    truncateSync(path, length);
    const error = await failure(openCheckpoints(folder, fakeManifest()).load("latest"));
    expect(["truncated-file", "bad-file"]).toContain(error.code);
    expect(error.message).toContain(path);
    expect(error.help).toBe("the checkpoint before it (step 10) is whole: resume from it with --resume previous");
  }
  expect((await openCheckpoints(folder, fakeManifest()).load("previous")).step).toBe(10);
  expect(await openCheckpoints(folder, fakeManifest()).lastGood()).toMatchObject({ step: 10, text: expect.stringContaining("step 10") as unknown });
});

test("any one bit of a checkpoint that has turned is told, or changes nothing", () => {
  const good = encodeCheckpoint(nth(1), fakeManifest().parameters);
  const wrong: string[] = [];
  for (let at = 0; at < good.length * 8; at++) {
    const bytes = good.slice();
    bytes[at >> 3] = (good[at >> 3] ?? 0) ^ (1 << (at & 7));
    try {
      const read = decodeCheckpoint(bytes, "x.safetensors");
      if (!isDeepStrictEqual(read, nth(1))) wrong.push(`bit ${at}`);
    } catch (error) {
      if (!(error instanceof HostError)) wrong.push(`bit ${at}: ${String(error)}`);
    }
  }
  expect(wrong).toEqual([]);
});

test("a checkpoint with a turned bit is refused by name, and the one before it is offered", async () => {
  await savedTwice();
  const path = join(folder, CHECKPOINT_FILES.latest);
  const bytes = readFileSync(path);
  bytes.writeUInt8(bytes.readUInt8(bytes.length - 6) ^ 1, bytes.length - 6);
  writeFileSync(path, bytes);
  const error = await failure(openCheckpoints(folder, fakeManifest()).load("latest"));
  expect(error.code).toBe("bad-file");
  expect(error.message).toContain(`${path} is damaged: `);
  expect(error.help).toBe("the checkpoint before it (step 10) is whole: resume from it with --resume previous");
  expect((await openCheckpoints(folder, fakeManifest()).lastGood()).step).toBe(10);
});

test("a checkpoint of another program or another source is refused, saying which", async () => {
  await savedTwice();
  const other = await failure(openCheckpoints(folder, fakeManifest({ program: "curve" })).load("latest"));
  expect(other.code).toBe("mismatch");
  expect(other.message).toMatch(/belongs to the program line, not to curve/);
  const edited = fakeManifest({ source: { file: "line.jepa", hash: "b".repeat(64) } });
  const changed = await failure(openCheckpoints(folder, edited).load("latest"));
  expect(changed.message).toMatch(/another version of line\.jepa \(aaaaaaaaaaaa…, now bbbbbbbbbbbb…\)/);
  // The one before it is whole as well, and no way out: it was made from the same text.
  expect(changed.help).toContain("--other-source");
  expect((await openCheckpoints(folder, edited).load("latest", { otherSource: true })).step).toBe(20);
});

test("a parameter that is missing or has another size is named", async () => {
  await savedTwice();
  const [first, second] = fakeManifest().parameters;
  if (first === undefined || second === undefined) throw new Error("the fake has two parameters");
  const wider = await failure(openCheckpoints(folder, fakeManifest({ parameters: [{ ...first, shape: [3, 4] }, second] })).load("latest"));
  expect(wider.message).toMatch(/student\.weight has 6 values, the program needs 12 \(3 × 4\)/);
  const narrower = await failure(openCheckpoints(folder, fakeManifest({ parameters: [{ ...first, shape: [5] }, second] })).load("latest"));
  expect(narrower.message).toMatch(/student\.weight has 6 values, the program needs 5 \(5\)/);
  const more = await failure(openCheckpoints(folder, fakeManifest({ parameters: [first, second, { ...first, name: "head.bias" }] })).load("latest"));
  expect(more.message).toMatch(/has no parameter head\.bias/);
});

test("a parameter that the program does not have is named before a run's program is replaced", async () => {
  await savedTwice();
  const [first] = fakeManifest().parameters;
  if (first === undefined) throw new Error("the fake has parameters");
  const fewer = fakeManifest({ parameters: [first] });
  const error = await failure(openCheckpoints(folder, fewer).load("latest"));
  expect([error.code, error.message]).toEqual(["mismatch", expect.stringContaining("has a parameter teacher.weight, which the program does not have")]);
  expect(() => checkGoesOn(fakeManifest(), fewer, "the run in x")).toThrow("the run in x has a parameter teacher.weight");
});

test("a safetensors file that is no checkpoint is refused", async () => {
  const { writeSafetensors } = await import("../../../runtime/base/safetensors.js");
  const bytes = writeSafetensors([{ name: "w", shape: [1], data: Float32Array.of(1) }], {});
  expect(() => decodeCheckpoint(bytes, "other.safetensors")).toThrow(/other\.safetensors is not a checkpoint/);
});

test("a full disk leaves the checkpoints that were there, and no rubbish", async () => {
  await savedTwice();
  const before = readdirSync(folder).map((name) => readFileSync(join(folder, name)));
  const full = openCheckpoints(folder, fakeManifest(), { ...nodeFiles, write: () => Promise.reject(Object.assign(new Error("write"), { code: "ENOSPC" })) });
  const error = await failure(full.save(nth(2)));
  expect(error.code).toBe("disk-full");
  expect(error.message).toMatch(/no room left/);
  expect(readdirSync(folder).map((name) => readFileSync(join(folder, name)))).toEqual(before);
  expect((await full.load("latest")).step).toBe(20);
});

test("a disk that fills up during a run ends it with a clear error that names the last good state", async () => {
  const store = openCheckpoints(folder, fakeManifest());
  let room = 2;
  const files = { ...nodeFiles, write: (path: string, bytes: Uint8Array) => (room-- > 0 ? nodeFiles.write(path, bytes) : Promise.reject(Object.assign(new Error("write"), { code: "ENOSPC" }))) };
  const filling = openCheckpoints(folder, fakeManifest(), files);
  const sink = { step: () => undefined, alarm: () => undefined, save: (checkpoint: Checkpoint) => filling.save(checkpoint), lastGood: () => filling.lastGood() };
  const error = await failure(record({ change: { sink } }));
  expect(error.code).toBe("disk-full");
  expect(error.message).toMatch(/the last good state is step 20 in .*checkpoint\.safetensors/);
  expect((await store.load("latest")).step).toBe(20);
});

test("a crash between the two renames is mended: the new checkpoint takes its place", async () => {
  await savedTwice();
  let renames = 0;
  const crashing = { ...nodeFiles, rename: (from: string, to: string) => (renames++ === 0 ? nodeFiles.rename(from, to) : Promise.reject(new Error("power cut"))) };
  await expect(openCheckpoints(folder, fakeManifest(), crashing).save(nth(2))).rejects.toThrow(/power cut/);
  const names = readdirSync(folder);
  expect((await openCheckpoints(folder, fakeManifest()).load("latest")).step).toBe(30);
  expect((await openCheckpoints(folder, fakeManifest()).load("previous")).step).toBe(20);
  expect((await openCheckpoints(folder, fakeManifest()).lastGood()).step).toBe(30);
  // Reading renames nothing: a probe may come between the two renames of a process that trains.
  expect(readdirSync(folder)).toEqual(names);
  await openCheckpoints(folder, fakeManifest()).save(nth(3));
  expect((await openCheckpoints(folder, fakeManifest()).load("latest")).step).toBe(40);
});

test("resuming without a checkpoint says so", async () => {
  const error = await failure(openCheckpoints(folder, fakeManifest()).load("latest"));
  expect(error.code).toBe("not-found");
  expect(error.help).toMatch(/without --resume/);
});
