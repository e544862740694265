/**
 * A process that stays and runs the built command line one time after another, for `host.ts`: what a command line costs most
 * is its start, with code that nothing has run yet. Each message holds words and a folder; the answer holds the exit code and
 * what was written. Signals, pipes and the death of a process are not for here.
 */
import { runCli } from "../../../dist/compiler/cli/run.js";

process.on("message", async ({ words, cwd }) => {
  process.chdir(cwd);
  const ran = { out: "", err: "", text: "" };
  const stream = (name) => ({ write: (text) => { ran[name] += text; ran.text += text; } });
  const code = await runCli(words, { out: stream("out"), err: stream("err"), cwd, env: process.env, readInput: () => Promise.resolve(""), clock: () => performance.now() });
  process.send({ ...ran, code });
});
process.on("disconnect", () => process.exit(0));
