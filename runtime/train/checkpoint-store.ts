/**
 * Where checkpoints live: two of them, and never a moment without a whole one.
 *
 * Owns the files of a run folder: `checkpoint.safetensors` is the latest, `checkpoint.previous.safetensors` the one before
 * it. A new one is written in full beside them (`checkpoint.next.safetensors`, atomically) before the names move on, so a
 * full disk or a crash leaves the old ones as they were. The file system comes in as an argument, so that tests can fill
 * disks. What is in a checkpoint is checkpoint.ts.
 */
import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import type { Manifest } from "../abi.js";
import { HostError } from "../base/errors.js";
import { readBytes, writeAtomic, writeError } from "../base/files.js";
import { checkFits, decodeCheckpoint, encodeCheckpoint } from "./checkpoint.js";
import type { Checkpoint } from "./checkpoint.js";

/** The operations a store needs; `nodeFiles` is the real one. */
export interface CheckpointFiles {
  exists(path: string): boolean;
  read(path: string): Promise<Uint8Array>;
  /** Writes the whole file or leaves what was there. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  rename(from: string, to: string): Promise<void>;
}

/** Which of the two checkpoints to take. */
export type Which = "latest" | "previous";

/** The checkpoints of one run folder. */
export interface CheckpointStore {
  readonly folder: string;
  /** Writes a checkpoint and moves the names on. Throws `HostError` "disk-full", "io" or "not-a-number"; then the old ones still stand. */
  save(checkpoint: Checkpoint): Promise<void>;
  /** Reads one that fits the program. Throws a `HostError` that says what is wrong and whether the other one is whole. */
  load(which: Which, options?: { readonly otherSource?: boolean }): Promise<Checkpoint>;
  /** The last good checkpoint, for messages. */
  lastGood(): Promise<LastGood>;
}

/** The newest checkpoint that is whole: its step, absent where there is none, and a clause that says so. */
export interface LastGood {
  readonly step?: number;
  readonly text: string;
}

/** The files of this machine. */
export const nodeFiles: CheckpointFiles = { exists: existsSync, read: readBytes, write: writeAtomic, rename };

/** File names in a run folder. */
export const CHECKPOINT_FILES = { latest: "checkpoint.safetensors", previous: "checkpoint.previous.safetensors", next: "checkpoint.next.safetensors" } as const;

/** The store of the run folder `folder` for a program. */
export function openCheckpoints(folder: string, manifest: Pick<Manifest, "program" | "source" | "parameters">, files: CheckpointFiles = nodeFiles): CheckpointStore {
  const path = (name: keyof typeof CHECKPOINT_FILES): string => join(folder, CHECKPOINT_FILES[name]);
  const peek = async (which: Which): Promise<Checkpoint | undefined> => {
    const at = found(files, path, which) ?? path(which);
    try {
      const checkpoint = decodeCheckpoint(await files.read(at), at);
      checkFits(checkpoint, manifest, at, { otherSource: true });
      return checkpoint;
    } catch {
      return undefined;
    }
  };
  return {
    folder,
    async save(checkpoint) {
      try {
        await files.write(path("next"), encodeCheckpoint(checkpoint, manifest.parameters));
        if (files.exists(path("latest"))) await files.rename(path("latest"), path("previous"));
        await files.rename(path("next"), path("latest"));
      } catch (error) {
        throw writeError(error, path("latest"));
      }
    },
    async load(which, options = {}) {
      const at = found(files, path, which);
      if (at === undefined) throw missing(path(which), which, (await peek(which === "latest" ? "previous" : "latest"))?.step);
      try {
        const checkpoint = decodeCheckpoint(await files.read(at), at);
        checkFits(checkpoint, manifest, at, options);
        return checkpoint;
      } catch (error) {
        throw await withWayOut(error, which, () => peek("previous"));
      }
    },
    async lastGood() {
      for (const which of ["latest", "previous"] as const) {
        const checkpoint = await peek(which);
        if (checkpoint !== undefined) return { step: checkpoint.step, text: `the last good state is step ${checkpoint.step} in ${found(files, path, which) ?? path(which)}` };
      }
      return { text: "no checkpoint had been written yet" };
    },
  };
}

/**
 * The file of a checkpoint; undefined where there is none. Between the two renames of a save, or after a crash there, the latest
 * is still called the next one. Reading renames nothing: the process that trains may be just about to.
 */
function found(files: CheckpointFiles, path: (name: keyof typeof CHECKPOINT_FILES) => string, which: Which): string | undefined {
  const names = which === "previous" ? (["previous"] as const) : (["latest", "next", "latest"] as const);
  return names.map(path).find((file) => files.exists(file));
}

function missing(path: string, which: Which, other: number | undefined): HostError {
  const help = other === undefined ? "check --out, or start the run without --resume" : which === "latest" ? `the one before it (step ${other}) is whole: --resume previous` : `the latest (step ${other}) is whole: --resume`;
  return new HostError("not-found", `there is no checkpoint ${path} to resume from`, help);
}

async function withWayOut(error: unknown, which: Which, previous: () => Promise<Checkpoint | undefined>): Promise<unknown> {
  if (which === "previous" || !(error instanceof HostError) || error.code === "mismatch") return error;
  const other = await previous();
  if (other === undefined) return error;
  return new HostError(error.code, error.message, `the checkpoint before it (step ${other.step}) is whole: resume from it with --resume previous`, { cause: error });
}
