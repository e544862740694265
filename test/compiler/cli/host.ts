/**
 * The built command line in a process that stays, for runs whose claim is what they write and say: see `host.mjs`. Whatever
 * is claimed of a process itself (that a run goes on from its files alone, signals, streams) takes a process of its own.
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll } from "vitest";
import { root } from "./support.js";

/** What a run left; `text` is both streams in the order of their writing. */
export interface Hosted {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly text: string;
}

/** A way to run `jepac words` in `cwd`, one at a time, in one process that ends with the tests of the file. It needs the built package. */
export function host(): (cwd: string, words: readonly string[]) => Promise<Hosted> {
  let child: ChildProcess | undefined;
  /** What engines say past the terminal: of interest only when the process dies. */
  let noise = "";
  let turn: Promise<unknown> = Promise.resolve();
  const start = (): ChildProcess => {
    const started = fork(join(root, "test/compiler/cli/host.mjs"), { env: { ...process.env, NO_COLOR: "1" }, execArgv: [], stdio: ["ignore", "ignore", "pipe", "ipc"] });
    started.stderr?.on("data", (part: Buffer) => { noise = `${noise}${part.toString()}`.slice(-4000); });
    return started;
  };
  afterAll(async () => {
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill();
    await ended;
  });
  const run = (cwd: string, words: readonly string[]): Promise<Hosted> => new Promise((done, fail) => {
    const running = (child ??= start());
    const gone = (code: number | null): void => fail(new Error(`the process that runs commands ended with ${code} in: jepac ${words.join(" ")}\n${noise}`));
    running.once("exit", gone);
    running.once("message", (ran: Hosted) => {
      running.off("exit", gone);
      done(ran);
    });
    running.send({ words, cwd });
  });
  return (cwd, words) => {
    const ran = turn.then(() => run(cwd, words));
    turn = ran.catch(() => undefined);
    return ran;
  };
}
