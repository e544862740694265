#!/usr/bin/env node
/**
 * The program `jepac`.
 *
 * Owns the connection to the process: its words, streams and exit code. A closed pipe (`jepac graph … | head`) ends it
 * quietly, one that cannot be written (a full disk) with a line and 2. Everything else is `run.ts`, which knows no process and is tested in one.
 */
import { runCli } from "./run.js";
import { processTerminal } from "./terminal.js";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0);
  const why = error.code === "ENOSPC" ? "no room left on the device" : error.message;
  process.stderr.write(`error: standard output cannot be written: ${why}\n`);
  process.exit(2);
});
process.exitCode = await runCli(process.argv.slice(2), processTerminal());
