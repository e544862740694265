/**
 * Whoever does the shares of a batch: worker threads, or the main thread when there are none.
 *
 * Owns the threads' lives. Each picture belongs to one worker (index modulo workers), so that it is decoded and cached
 * once. Threads keep the process alive only while a request is open. From TypeScript sources (tests) the compiled worker
 * is used when it is there and not older than the sources; else the work is done in-process, said once and aloud.
 */
import { Worker } from "node:worker_threads";
import { HostError } from "../base/errors.js";
import { findScript } from "../base/scripts.js";
import { Assembler, type AssemblerOptions, type DoneShare, type Share } from "./assemble.js";
import type { ImageSource } from "./source.js";
import type { WorkerReply, WorkerRequest, WorkerStart } from "./worker.js";

/** Does shares of batches. */
export interface Pool {
  /** Worker threads really running; 0 is in-process. */
  readonly workers: number;
  /** Does a share on worker `owner` (of `max(1, workers)`). */
  run(owner: number, share: Share): Promise<DoneShare>;
  close(): Promise<void>;
}

interface Waiting {
  resolve(done: DoneShare): void;
  reject(error: HostError): void;
}

class InProcess implements Pool {
  readonly workers = 0;
  readonly #assembler: Assembler;

  constructor(source: ImageSource, options: AssemblerOptions) {
    this.#assembler = new Assembler(source, options);
  }

  run(_owner: number, share: Share): Promise<DoneShare> {
    return this.#assembler.assemble(share);
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class Thread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 0;
  #dead: HostError | undefined;

  constructor(url: URL, start: WorkerStart) {
    this.#worker = new Worker(url, { workerData: start });
    this.#worker.unref();
    this.#worker.on("message", (reply: WorkerReply) => this.#answer(reply));
    this.#worker.on("error", (error: Error) => this.#die(new HostError("io", `a data worker died: ${error.message}`, "run with workers: 0 to see where; resume from the last checkpoint", { cause: error })));
    this.#worker.on("exit", (code) => this.#die(new HostError("closed", `a data worker ended (exit ${code}) before its work was done`, "run with workers: 0 to see where")));
  }

  run(share: Share): Promise<DoneShare> {
    return new Promise((resolve, reject) => {
      if (this.#dead !== undefined) {
        reject(this.#dead);
        return;
      }
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker.ref();
      const request: WorkerRequest = { id, share };
      this.#worker.postMessage(request);
    });
  }

  async close(): Promise<void> {
    this.#die(new HostError("closed", "the loader was closed", "open a new one"));
    await this.#worker.terminate();
  }

  #answer(reply: WorkerReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    // While the thread is being ended it must hold the process, or Node would leave in the middle of `close`.
    if (this.#waiting.size === 0 && this.#dead === undefined) this.#worker.unref();
    if (reply.kind === "done") waiting?.resolve(reply.done);
    else waiting?.reject(new HostError(reply.code, reply.message, reply.help));
  }

  #die(error: HostError): void {
    this.#dead ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(this.#dead);
    this.#waiting.clear();
    this.#worker.unref();
  }
}

class Threads implements Pool {
  readonly #threads: readonly Thread[];

  constructor(count: number, url: URL, start: WorkerStart) {
    this.#threads = Array.from({ length: count }, () => new Thread(url, start));
  }

  get workers(): number {
    return this.#threads.length;
  }

  run(owner: number, share: Share): Promise<DoneShare> {
    const thread = this.#threads[owner];
    return thread === undefined ? Promise.reject(new RangeError(`there is no worker ${owner}`)) : thread.run(share);
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}

/** The worker's script, and the folders of its code. */
function findWorker(): URL | undefined {
  return findScript(import.meta.url, "worker", ["data", "base"]);
}

/** How to run a pool: threads wanted, and where the worker's script is when it is not in its usual place. */
export interface PoolOptions {
  readonly workers: number;
  readonly workerScript?: URL | undefined;
  note(text: string): void;
}

/** A pool of threads for a source, or the main thread when no threads are wanted or possible. */
export function openPool(source: ImageSource, options: AssemblerOptions, pool: PoolOptions): Pool {
  if (pool.workers === 0) return new InProcess(source, options);
  if (source.spec === undefined) {
    pool.note(`${source.name} cannot be opened in another thread: pictures are decoded in-process`);
    return new InProcess(source, options);
  }
  const script = pool.workerScript ?? findWorker();
  if (script === undefined) {
    pool.note("there is no compiled data worker (npm run build): pictures are decoded in-process");
    return new InProcess(source, options);
  }
  const share = Math.floor(options.cacheBytes / pool.workers);
  return new Threads(pool.workers, script, { source: source.spec, options: { ...options, cacheBytes: share } });
}
