/**
 * Data parallelism on one machine: processes that share each batch of a run.
 *
 * Owns how many there are, their lives, and the engine that looks like one and is many. Every replica holds the whole
 * model and computes an equal part of the batch; gradients are summed here in the order of the replicas, and all apply the
 * same mean, so that parameters are the same bits in each and are never sent. Why processes: a TensorFlow op of a small
 * model cannot keep several cores busy, and the native engine allows one context in a process (docs/decisions/replicas.md).
 *
 * A result depends on how many replicas there are, in the last bits, as it does on the engine; the number is kept in
 * `run.json` and a resumed run takes it from there. What a replica does is in replica.ts.
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Engine, Manifest, StepResult } from "../abi.js";
import type { TfEngine } from "../backends/tfjs/engine.js";
import { joined, joinWatch, partOf } from "../backends/parts.js";
import { errorText, HostError } from "../base/errors.js";
import { writeError } from "../base/files.js";
import { findScript } from "../base/scripts.js";
import { keepsGroups } from "../masks/groups.js";
import { digestOf, Mailbox } from "./replica-messages.js";
import type { FromReplica, ToReplica } from "./replica-messages.js";

/** What decides how many replicas a run has. */
export interface ReplicaQuestion {
  readonly manifest: Pick<Manifest, "target" | "train" | "parameters" | "masks">;
  /** What the user asked for. */
  readonly asked: number | undefined;
  readonly batch: number;
  readonly steps: number;
  /** Cores that this process may use, and bytes of memory; of this machine unless said. */
  readonly cores?: number;
  readonly memory?: number;
}

/** More than this are not taken unasked: one process sums the gradients of all. */
const MOST = 4;
/** Under so many steps the start of processes is not worth it, and under so many images a part is too small to be quick. */
const [LEAST_STEPS, LEAST_IMAGES] = [100, 8];

/**
 * How many processes compute a run: what was asked for, else as many as cores, up to four, that cut the batch into equal parts
 * of eight images or more, while all together hold no more than a quarter of the memory in parameters and optimizer slots.
 * Throws `HostError` "usage" where the number asked for cannot be had.
 */
export function replicaCount({ manifest, asked, batch, steps, cores = availableParallelism(), memory = totalmem() }: ReplicaQuestion): number {
  const { train, target, parameters, masks } = manifest;
  const { accumulate = 1 } = train;
  const cuts = (n: number): boolean => batch % (n * accumulate) === 0 && keepsGroups(batch, n, masks);
  if (asked !== undefined) {
    if (asked > 1 && target !== "tfjs") throw new HostError("usage", `--replicas ${asked}: a program compiled for ${target} runs in one process`, "leave --replicas away, or compile it with --target tfjs");
    if (asked > 1 && train.separable !== true) throw new HostError("usage", `--replicas ${asked}: this program compares the images of a step with each other, so its batch cannot be shared out`, "leave --replicas away");
    if (!cuts(asked)) throw new HostError("usage", `--replicas ${asked}: a batch of ${batch}${train.accumulate === undefined ? "" : ` with accumulate ${train.accumulate}`} cannot be cut into equal parts`, "take a number that divides the batch");
    return asked;
  }
  if (target !== "tfjs" || train.separable !== true || steps < LEAST_STEPS) return 1;
  const bytes = parameters.reduce((sum, { shape, role }) => sum + shape.reduce((n, d) => n * d, 1) * (role === "trained" ? 16 : 4), 0);
  const fits = (n: number): boolean => cuts(n) && batch / n >= LEAST_IMAGES && bytes * n <= memory / 4;
  return Array.from({ length: MOST - 1 }, (_, i) => MOST - i).find((n) => n <= cores && fits(n)) ?? 1;
}

/** Threads for one op in each of `count` processes. */
export function threadsEach(count: number): number {
  return Math.max(1, Math.floor(availableParallelism() / count));
}

/** The compiled script of a replica, where there is one. */
export function replicaScript(): URL | undefined {
  return findScript(import.meta.url, "replica", ["train", "base", "backends", "backends/tfjs"]);
}

/** What replicas are started with. */
export interface ReplicaSettings {
  readonly manifest: Manifest;
  /** Processes in all, this one counted. */
  readonly count: number;
  /** See {@link replicaScript}. */
  readonly script: URL | undefined;
  /** The folder of `model.mjs`, where there is one. */
  readonly folder: string | undefined;
  readonly engine: TfEngine;
  readonly seed: number;
}

/** Replicas that are ready for their part of a step. */
export interface Replicas {
  /** For this process's engine: see `TfjsHost.allReduce`. */
  allReduce(values: Float32Array): Promise<void>;
  /** This process's engine and the replicas as one. */
  join(engine: Engine): Engine;
  /** Ends the processes. */
  close(): void;
}

/** Starts the other processes of a run and waits until they are ready. Throws `HostError`s; then none is left. */
export async function openReplicas(settings: ReplicaSettings): Promise<Replicas> {
  const { manifest, count, folder, engine, seed, script } = settings;
  if (script === undefined) throw new HostError("usage", "the script of a replica has not been compiled", "build jepac (npm run build), or take --replicas 1");
  if (folder === undefined) throw new HostError("usage", "the program lies in no folder that another process could load it from", "compile it into one, or take --replicas 1");
  const values = manifest.parameters.reduce((sum, { shape, role }) => sum + (role === "trained" ? shape.reduce((n, d) => n * d, 1) : 0), 0);
  const room = new Room(count, values);
  const others = Array.from({ length: count - 1 }, (_, i) => new Replica(script, i + 1));
  const close = (): void => {
    for (const other of others) other.close();
    room.close();
  };
  try {
    await Promise.all(others.map((other, i) => other.ask({ kind: "start", manifest, folder, engine, threads: threadsEach(count), seed, own: room.path(i + 1), mean: room.path(0), values }, "ready")));
    room.hide();
  } catch (error) {
    close();
    throw error;
  }
  return { allReduce: (own) => mean(others, room, own), join: (main) => joinedEngine(manifest, main, others, close), close };
}

/** The files that gradients pass by: at 0 the mean, then one of each replica. */
class Room {
  readonly #folder: string;
  readonly #boxes: readonly Mailbox[];
  /** For what one replica left. */
  readonly held: Float32Array;

  constructor(count: number, values: number) {
    const above = tmpdir();
    try {
      this.#folder = mkdtempSync(join(above, "jepac-replicas-"));
    } catch (error) {
      throw noRoom(error, above);
    }
    try {
      // Written in full at once, so that a disk without room says so before the run and not in the middle of it.
      this.#boxes = Array.from({ length: count }, (_, i) => new Mailbox(this.path(i), "w+"));
      this.held = new Float32Array(values);
      for (const box of this.#boxes) box.put(this.held);
    } catch (error) {
      this.#remove();
      throw noRoom(error, above);
    }
  }

  path(i: number): string {
    return join(this.#folder, String(i));
  }

  box(i: number): Mailbox {
    const box = this.#boxes[i];
    if (box === undefined) throw new RangeError(`there is no mailbox ${i}`);
    return box;
  }

  /** Takes the names away once all hold the files open: a killed run then leaves nothing. Systems that cannot do so keep them till the end. */
  hide(): void {
    this.#remove();
  }

  close(): void {
    for (const box of this.#boxes) box.close();
    this.#remove();
  }

  #remove(): void {
    try {
      rmSync(this.#folder, { recursive: true, force: true });
    } catch {
      // Files that are open cannot be removed on Windows; `close` comes back to it.
    }
  }
}

function noRoom(error: unknown, folder: string): HostError {
  const { code, message } = writeError(error, folder);
  return new HostError(code, message, "free some space, name another temporary folder with TMPDIR, or take --replicas 1", { cause: error });
}

/** Sums in the order of the replicas, this process first, and leaves the mean for all. */
async function mean(others: readonly Replica[], room: Room, own: Float32Array): Promise<void> {
  const told = await Promise.all(others.map((other) => other.hear("gradients")));
  const theirs = room.held.subarray(0, own.length);
  const share = 1 / (others.length + 1);
  told.forEach(({ values }, i) => {
    if (values !== own.length) throw new HostError("mismatch", `a replica has ${values} gradients, this process ${own.length}`, "report this: all run the same module");
    room.box(i + 1).take(theirs);
    for (let j = 0; j < own.length; j++) own[j] = (own[j] ?? 0) + (theirs[j] ?? 0);
  });
  for (let j = 0; j < own.length; j++) own[j] = (own[j] ?? 0) * share;
  room.box(0).put(own);
  await Promise.all(others.map((other) => other.say({ kind: "mean" })));
}

function joinedEngine(manifest: Manifest, main: Engine, others: readonly Replica[], close: () => void): Engine {
  const count = others.length + 1;
  return {
    name: main.name,
    version: main.version,
    async step(batch, hyper, want) {
      // Written before this process begins to compute: from then on its channel stands still.
      await Promise.all(others.map((other, i) => other.say({ kind: "step", batch: partOf(batch, i + 1, count), hyper, watch: want.watch })));
      const own = await main.step(partOf(batch, 0, count), hyper, want);
      const rest = await Promise.all(others.map((other) => other.hear("result")));
      return together(manifest, own, rest.map(({ result }) => result));
    },
    async encode(encoder, images, n) {
      const pixels = images.length / n;
      const cut = (i: number): number => Math.floor((i * n) / count);
      const part = (i: number): Float32Array => images.subarray(cut(i) * pixels, cut(i + 1) * pixels);
      if (n < count) return main.encode(encoder, images, n);
      await Promise.all(others.map((other, i) => other.say({ kind: "encode", encoder, images: part(i + 1), n: cut(i + 2) - cut(i + 1) })));
      const own = await main.encode(encoder, part(0), cut(1));
      const rest = await Promise.all(others.map((other) => other.hear("features")));
      return joined([own, ...rest.map(({ features }) => features)]);
    },
    async exportState() {
      const state = await main.exportState();
      const digest = digestOf(state);
      const digests = await Promise.all(others.map((other) => other.ask({ kind: "digest" }, "digest")));
      if (digests.some((other) => other.digest !== digest)) throw new HostError("mismatch", "a replica no longer holds the same parameters", "go on from the last checkpoint with --resume --replicas 1, and report this");
      return state;
    },
    async importState(state) {
      await Promise.all([main.importState(state), ...others.map((other) => other.ask({ kind: "import", state }, "imported"))]);
    },
    memory: () => main.memory(),
    dispose() {
      close();
      main.dispose();
    },
  };
}

/** One result of the results of equal parts. */
function together({ watches }: Pick<Manifest, "watches">, own: StepResult, rest: readonly StepResult[]): StepResult {
  const all = [own, ...rest];
  const average = (read: (result: StepResult) => number): number => all.reduce((sum, result) => sum + read(result), 0) / all.length;
  return {
    loss: average((result) => result.loss),
    losses: Object.fromEntries(Object.keys(own.losses).map((name) => [name, average((result) => result.losses[name] ?? Number.NaN)])),
    watch: Object.fromEntries(watches.filter(({ name }) => own.watch[name] !== undefined).map(({ name, over }) => [name, joinWatch(over, all.flatMap((result) => result.watch[name] ?? []))])),
    gradientNorm: own.gradientNorm,
  };
}

type Answer<K extends FromReplica["kind"]> = Extract<FromReplica, { kind: K }>;

/** Milliseconds within which the system tells that a process has ended. */
const TOLD_WITHIN = 2000;

/** One process beside this one. Whatever ends it, whoever waits for it hears why. */
class Replica {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #heard: FromReplica[] = [];
  #waiting: { resolve(message: FromReplica): void; reject(error: HostError): void } | undefined;
  #dead: HostError | undefined;
  /** The last of what it wrote on stderr: the reason, when it dies. */
  #words = "";
  /** Done when the process has ended. */
  readonly #ended: Promise<void>;

  constructor(script: URL, number: number) {
    this.#name = `replica ${number}`;
    this.#child = fork(fileURLToPath(script), [], { serialization: "advanced", stdio: ["ignore", "ignore", "pipe", "ipc"], execArgv: [] });
    this.#child.stderr?.on("data", (chunk: Buffer) => { this.#words = (this.#words + chunk.toString()).slice(-2000); });
    this.#child.on("message", (message: FromReplica) => this.#take(message));
    this.#child.on("error", (error) => this.#die(`could not be run: ${errorText(error)}`));
    this.#ended = new Promise((ended) => this.#child.on("exit", (code, signal) => {
      this.#die(`ended (${signal ?? `exit ${code}`})${lastLine(this.#words)}`);
      ended();
    }));
  }

  /** Sends a message; done when it is written. */
  say(message: ToReplica): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#dead !== undefined) reject(this.#dead);
      else this.#child.send(message, (error) => (error === null ? resolve() : void this.#reasonOf(error).then(reject)));
    });
  }

  /** Why a message could not be sent. The channel of a process that dies may close before its end is told, which is the reason. */
  async #reasonOf(error: Error): Promise<HostError> {
    await Promise.race([this.#ended, new Promise((done) => setTimeout(done, TOLD_WITHIN).unref())]);
    return this.#dead ?? this.#failure(errorText(error));
  }

  /** The next message, which must be of this kind. */
  async hear<K extends FromReplica["kind"]>(kind: K): Promise<Answer<K>> {
    const message = this.#heard.shift() ?? (await new Promise<FromReplica>((resolve, reject) => {
      if (this.#dead !== undefined) reject(this.#dead);
      else this.#waiting = { resolve, reject };
    }));
    if (message.kind === "failed") throw new HostError(message.code, message.message, message.help);
    if (!isOf(message, kind)) throw this.#failure(`answered ${message.kind} where ${kind} was expected`);
    return message;
  }

  async ask<K extends FromReplica["kind"]>(message: ToReplica, kind: K): Promise<Answer<K>> {
    await this.say(message);
    return this.hear(kind);
  }

  close(): void {
    this.#dead ??= new HostError("closed", `${this.#name} was closed`, "open the engine again");
    if (this.#child.connected) this.#child.disconnect();
    // It holds nothing that is not here too, and hears no milder signal.
    this.#child.kill("SIGKILL");
  }

  #take(message: FromReplica): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#heard.push(message);
    else waiting.resolve(message);
  }

  #die(what: string): void {
    this.#dead ??= this.#failure(what);
    this.#waiting?.reject(this.#dead);
    this.#waiting = undefined;
  }

  #failure(what: string): HostError {
    return new HostError("closed", `${this.#name}, a process that computes a part of each batch, ${what}`, "go on from the last checkpoint with --resume; with --replicas 1 all is computed in one process");
  }
}

function isOf<K extends FromReplica["kind"]>(message: FromReplica, kind: K): message is Answer<K> {
  return message.kind === kind;
}

function lastLine(text: string): string {
  const line = text.split("\n").map((l) => l.trim()).filter((l) => l !== "").at(-1);
  return line === undefined ? "" : `: ${line}`;
}
