/**
 * The entry of a replica: a process that computes its part of every batch for a trainer.
 *
 * Owns the serving side of the messages. It holds the whole model and the optimizer, runs the same compiled module, and
 * applies the same mean of gradients, so that its parameters stay those of the trainer bit for bit without ever being sent.
 * It writes nothing and says nothing; when the trainer's process ends, for whatever reason, it ends too.
 */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { Engine } from "../abi.js";
import { loadTf } from "../backends/tfjs/engine.js";
import { createTfjsEngine } from "../backends/tfjs/run.js";
import { errorText, HostError } from "../base/errors.js";
import type { CompiledModule } from "./engines.js";
import { initialState } from "./init.js";
import { digestOf, Mailbox } from "./replica-messages.js";
import type { FromReplica, ReplicaStart, ToReplica } from "./replica-messages.js";

function tell(message: FromReplica): void {
  process.send?.(message);
}

function failure(error: unknown): FromReplica {
  if (error instanceof HostError) return { kind: "failed", code: error.code, message: error.message, help: error.help };
  return { kind: "failed", code: "io", message: `a replica failed: ${errorText(error)}`, help: "run with --replicas 1 to see where; a run that has begun goes on with --resume" };
}

/** One replica: at first without an engine. */
class Server {
  #engine: Engine | undefined;
  /** Whoever waits for the mean of gradients. */
  #onMean: (() => void) | undefined;

  take(message: ToReplica): void {
    if (message.kind === "mean") this.#onMean?.();
    else void this.#answer(message).catch(failure).then(tell);
  }

  async #answer(message: Exclude<ToReplica, { kind: "mean" }>): Promise<FromReplica> {
    if (message.kind === "start") return this.#start(message);
    const engine = this.#engine;
    if (engine === undefined) throw new Error("a replica was given work before it was started");
    switch (message.kind) {
      case "step":
        return { kind: "result", result: await engine.step(message.batch, message.hyper, { watch: message.watch, gradientNorm: false }) };
      case "encode":
        return { kind: "features", features: await engine.encode(message.encoder, message.images, message.n) };
      case "import":
        await engine.importState(message.state);
        return { kind: "imported" };
      case "digest":
        return { kind: "digest", digest: digestOf(await engine.exportState()) };
    }
  }

  async #start(message: ReplicaStart): Promise<FromReplica> {
    const { manifest, folder, seed } = message;
    const module: CompiledModule = await import(pathToFileURL(join(folder, "model.mjs")).href);
    const { tf, raw, name, version } = await loadTf(message.engine, { threads: message.threads });
    const [own, mean] = [new Mailbox(message.own, "r+"), new Mailbox(message.mean, "r")];
    const allReduce = async (values: Float32Array): Promise<void> => {
      own.put(values);
      const told = new Promise<void>((resolve) => { this.#onMean = resolve; });
      tell({ kind: "gradients", values: values.length });
      await told;
      mean.take(values);
    };
    this.#engine = await createTfjsEngine(manifest, module, { tf, raw, name, version, initial: initialState(manifest, seed), allReduce });
    return { kind: "ready", version };
  }
}

const server = new Server();
process.on("message", (message: ToReplica) => server.take(message));
// What ends a run reaches the whole group of processes: the trainer decides what becomes of it, and of this process.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
process.on("disconnect", () => process.exit(0));
