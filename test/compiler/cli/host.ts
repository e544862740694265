/**
 * The built command line in a process that stays, for runs whose claim is what they write and say: see `host.mjs`. Whatever
 * is claimed of a process itself (that a run goes on from its files alone, signals, streams) takes a process of its own.
 */
import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
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
  let turn: Promise<unknown> = Promise.resolve();
  afterAll(() => void child?.kill());
  const run = (cwd: string, words: readonly string[]): Promise<Hosted> => new Promise((done, fail) => {
    child ??= fork(join(root, "test/compiler/cli/host.mjs"), { env: { ...process.env, NO_COLOR: "1" }, execArgv: [], stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const gone = (code: number | null): void => fail(new Error(`the process that runs commands ended with ${code} in: jepac ${words.join(" ")}`));
    child.once("exit", gone);
    child.once("message", (ran: Hosted) => {
      child?.off("exit", gone);
      done(ran);
    });
    child.send({ words, cwd });
  });
  return (cwd, words) => {
    const ran = turn.then(() => run(cwd, words));
    turn = ran.catch(() => undefined);
    return ran;
  };
}
