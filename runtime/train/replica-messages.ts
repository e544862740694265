/**
 * What a trainer and the processes that share its batches say to each other, and the files that their gradients pass by.
 *
 * Owns the types of the messages, and `Mailbox`: a file of fixed size that one process writes and another reads, with a
 * message in between that says so. Gradients are megabytes in every step; through a file they take a fifth of the time
 * that they take through the channel. Who says what when is for replicas.ts and replica.ts.
 */
import { createHash } from "node:crypto";
import { closeSync, openSync, readSync, writeSync } from "node:fs";
import type { Hyper, Manifest, StepBatch, StepResult } from "../abi.js";
import type { TfEngine } from "../backends/tfjs/engine.js";
import type { HostErrorCode } from "../base/errors.js";

/** What a replica is told first. */
export interface ReplicaStart {
  readonly kind: "start";
  readonly manifest: Manifest;
  /** The folder of `model.mjs`. */
  readonly folder: string;
  readonly engine: TfEngine;
  readonly threads: number;
  readonly seed: number;
  /** Mailboxes: this replica's gradients, and the mean of all; for so many values. */
  readonly own: string;
  readonly mean: string;
  readonly values: number;
}

/** To a replica. */
export type ToReplica =
  | ReplicaStart
  | { readonly kind: "step"; readonly batch: StepBatch; readonly hyper: Hyper; readonly watch: boolean }
  /** The mean of gradients lies in its mailbox. */
  | { readonly kind: "mean" }
  | { readonly kind: "encode"; readonly encoder: string; readonly images: Float32Array; readonly n: number }
  | { readonly kind: "import"; readonly state: ReadonlyMap<string, Float32Array> }
  | { readonly kind: "digest" };

/** From a replica; each answers one message. */
export type FromReplica =
  | { readonly kind: "ready"; readonly version: string }
  /** Its gradients, so many values, lie in its mailbox. */
  | { readonly kind: "gradients"; readonly values: number }
  | { readonly kind: "result"; readonly result: StepResult }
  | { readonly kind: "features"; readonly features: Float32Array }
  | { readonly kind: "imported" }
  | { readonly kind: "digest"; readonly digest: string }
  | { readonly kind: "failed"; readonly code: HostErrorCode; readonly message: string; readonly help: string };

/** A file of float32 values that passes them from one process to another. Throws the system's errors. */
export class Mailbox {
  readonly #file: number;

  constructor(path: string, flags: "r" | "r+" | "w+") {
    this.#file = openSync(path, flags);
  }

  put(values: Float32Array): void {
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#file, bytes, at, bytes.length - at, at);
  }

  /** Fills `into` from the start of the file. */
  take(into: Float32Array): Float32Array {
    const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
    for (let at = 0; at < bytes.length; ) {
      const read = readSync(this.#file, bytes, at, bytes.length - at, at);
      if (read === 0) throw new Error(`${bytes.length - at} bytes are missing`);
      at += read;
    }
    return into;
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** A digest of an engine's state: two processes that hold the same bits have the same one. */
export function digestOf(state: ReadonlyMap<string, Float32Array>): string {
  const hash = createHash("sha256");
  for (const [name, values] of [...state].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(name).update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  }
  return hash.digest("hex");
}
