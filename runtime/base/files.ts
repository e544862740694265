/**
 * Files that are either old or new, never half written.
 *
 * Owns atomic replacement: bytes go to a temporary file in the same folder, are flushed to the device, and take the name
 * by `rename`. A failure at any point leaves the old file as it was and removes the temporary one; a full disk is told
 * apart, because its way out is different. Formats belong to their own files.
 */
import { closeSync, fstatSync, fsyncSync, mkdirSync, openSync, readdirSync, readSync, renameSync, rmSync, statSync, writeSync } from "node:fs";
import { open, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errorText, HostError, systemCode } from "./errors.js";

/** Makes a folder and those above it. Node's own `recursive` never comes back where nothing can be made (`/proc`). Throws the system's errors. */
export function makeFolder(path: string): void {
  if (isFolder(path)) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process may have been faster.
    if (!isFolder(path)) throw error;
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

let temporaries = 0;

function temporaryPath(path: string): string {
  temporaries += 1;
  return join(dirname(path), `.${basename(path)}.${process.pid}.${temporaries}.tmp`);
}

/** Removes what processes that were killed had begun to write in place of these files of a folder. What cannot be removed stays. */
export function removeTemporaries(folder: string, names: readonly string[]): void {
  const isOurs = (file: string): boolean => names.some((name) => file.startsWith(`.${name}.`) && /^\d+\.\d+\.tmp$/.test(file.slice(name.length + 2)));
  try {
    for (const file of readdirSync(folder)) if (isOurs(file)) rmSync(join(folder, file), { force: true });
  } catch {
    // They take room and do no other harm.
  }
}

const plainWords: Readonly<Record<string, string>> = { EACCES: "permission denied", EPERM: "not permitted", EROFS: "the file system is read-only", EISDIR: "it is a folder", ENOTDIR: "a part of the path is not a folder", ENAMETOOLONG: "the name is too long" };

/** The `HostError` of a failed write; `ENOSPC`, `EDQUOT` (quota) and `EFBIG` (file size limit) are "disk-full". */
export function writeError(error: unknown, path: string): HostError {
  if (error instanceof HostError) return error;
  const code = systemCode(error);
  if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG") {
    return new HostError("disk-full", `no room left to write ${path}`, "free some space or write to another folder; the previous file is unchanged", { cause: error });
  }
  // The system's own words would name the temporary file, which nobody knows of.
  const why = plainWords[code] ?? errorText(error);
  return new HostError("io", `cannot write ${path}: ${why}`, "check that the folder exists and can be written; the previous file is unchanged", { cause: error });
}

function asBytes(content: Uint8Array | string): Uint8Array {
  return typeof content === "string" ? new TextEncoder().encode(content) : content;
}

/**
 * Replaces (or creates) the file at `path` in one step; makes its folder when missing.
 * Throws `HostError` "disk-full" or "io"; then the old file is still there, whole.
 */
export async function writeAtomic(path: string, content: Uint8Array | string): Promise<void> {
  await writeAtomicParts(path, [asBytes(content)]);
}

/** `writeAtomic` of parts one after the other, each made when the one before it is on its way: for files larger than memory. */
export async function writeAtomicParts(path: string, parts: Iterable<Uint8Array>): Promise<void> {
  const temporary = temporaryPath(path);
  try {
    makeFolder(dirname(path));
    const file = await open(temporary, "wx");
    try {
      for (const part of parts) await file.writeFile(part);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw writeError(error, path);
  }
  await syncFolder(dirname(path));
}

/** `writeAtomic` for places that cannot wait (a signal handler). The folder must exist. */
export function writeAtomicSync(path: string, content: Uint8Array | string): void {
  const temporary = temporaryPath(path);
  try {
    const descriptor = openSync(temporary, "wx");
    try {
      const bytes = asBytes(content);
      let written = 0;
      while (written < bytes.length) written += writeSync(descriptor, bytes, written);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw writeError(error, path);
  }
}

/** Flushes the folder entry, so that the new name survives a power cut; platforms that cannot open folders skip it. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    const code = systemCode(error);
    if (!["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP"].includes(code)) throw writeError(error, path);
  }
}

/** A file to read pieces of. */
export interface OpenFile {
  readonly size: number;
  /** The bytes [from, to), all of them there. Throws `HostError` "io". */
  read(from: number, to: number): Uint8Array;
  close(): void;
}

/** Opens a file for reading pieces of it. Throws `HostError` "not-found" or "io" that names it. */
export function openBytes(path: string): OpenFile {
  const failed = (error: unknown): HostError => (systemCode(error) === "ENOENT"
    ? new HostError("not-found", `there is no file ${path}`, "check the path", { cause: error })
    : new HostError("io", `cannot read ${path}: ${errorText(error)}`, "check that it is a file that can be read", { cause: error }));
  try {
    const descriptor = openSync(path, "r");
    const { size } = fstatSync(descriptor);
    return { size, read: (from, to) => readPiece(descriptor, from, to, failed), close: () => closeSync(descriptor) };
  } catch (error) {
    throw failed(error);
  }
}

/** One call reads at most 2 GiB. */
const mostAtOnce = 2 ** 30;

function readPiece(descriptor: number, from: number, to: number, failed: (error: unknown) => HostError): Uint8Array {
  try {
    const bytes = new Uint8Array(to - from);
    for (let at = 0; at < bytes.length;) {
      const got = readSync(descriptor, bytes, at, Math.min(mostAtOnce, bytes.length - at), from + at);
      if (got === 0) throw new Error("it ends early");
      at += got;
    }
    return bytes;
  } catch (error) {
    throw failed(error);
  }
}

/** The bytes of a file. Throws `HostError` "not-found" or "io" that names it. */
export async function readBytes(path: string): Promise<Uint8Array> {
  try {
    return statSync(path).size < mostAtOnce ? await readFile(path) : wholeFile(path);
  } catch (error) {
    if (error instanceof HostError) throw error;
    if (systemCode(error) === "ENOENT") throw new HostError("not-found", `there is no file ${path}`, "check the path", { cause: error });
    throw new HostError("io", `cannot read ${path}: ${errorText(error)}`, "check that it is a file that can be read", { cause: error });
  }
}

/** `readFile` refuses what has more than 2 GiB. */
function wholeFile(path: string): Uint8Array {
  const file = openBytes(path);
  try {
    return file.read(0, file.size);
  } finally {
    file.close();
  }
}
