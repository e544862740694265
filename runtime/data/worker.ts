/**
 * The entry of a data worker thread.
 *
 * Owns the messages between the loader and its workers: the source and the options arrive as worker data, then shares come
 * in and rows go out, transferred, one at a time and in order. An error travels as plain data, because classes do not
 * survive the way. Nothing else lives here, so that in-process loading is exactly the same code.
 */
import { parentPort, workerData } from "node:worker_threads";
import { errorText, HostError, type HostErrorCode } from "../base/errors.js";
import { Assembler, type AssemblerOptions, type DoneShare, type Share } from "./assemble.js";
import { openSource } from "./open.js";
import type { SourceSpec } from "./source.js";

/** What a worker starts with. */
export interface WorkerStart {
  readonly source: SourceSpec;
  readonly options: AssemblerOptions;
}

/** A share to do; `id` comes back with the answer. */
export interface WorkerRequest {
  readonly id: number;
  readonly share: Share;
}

/** The answer to a request. */
export type WorkerReply =
  | { readonly kind: "done"; readonly id: number; readonly done: DoneShare }
  | { readonly kind: "failed"; readonly id: number; readonly code: HostErrorCode; readonly message: string; readonly help: string };

function failure(id: number, error: unknown): WorkerReply {
  if (error instanceof HostError) return { kind: "failed", id, code: error.code, message: error.message, help: error.help };
  return { kind: "failed", id, code: "io", message: `a data worker failed: ${errorText(error)}`, help: "run with workers: 0 to see where" };
}

function serve(start: WorkerStart): void {
  const port = parentPort;
  if (port === null) throw new Error("runtime/data/worker.js is started by the loader, not by hand");
  const assembler = new Assembler(openSource(start.source), start.options);
  let queue: Promise<void> = Promise.resolve();
  port.on("message", ({ id, share }: WorkerRequest) => {
    queue = queue.then(async () => {
      try {
        const done = await assembler.assemble(share);
        const reply: WorkerReply = { kind: "done", id, done };
        port.postMessage(reply, done.rows.flatMap((rows) => (rows.buffer instanceof ArrayBuffer ? [rows.buffer] : [])));
      } catch (error) {
        port.postMessage(failure(id, error));
      }
    });
  });
}

const start: WorkerStart = workerData;
serve(start);
