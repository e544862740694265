#!/usr/bin/env node
/**
 * The program `jepac`.
 *
 * Owns the connection to the process: its words, streams and exit code. A closed pipe (`jepac graph … | head`) ends it
 * quietly. Everything else is `run.ts`, which knows no process and is tested in one.
 */
import { runCli } from "./run.js";
import { processTerminal } from "./terminal.js";

process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit(0);
});
process.exitCode = await runCli(process.argv.slice(2), processTerminal());
