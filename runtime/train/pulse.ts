/**
 * The entry of the thread that renews the sign of a run, whatever the main thread is at.
 *
 * Owns the clock. A sign of another process is left alone: the run finds it at its next look.
 */
import { workerData } from "node:worker_threads";
import { LOOK, readSign, renew } from "./sign.js";

/** The sign's file, and what it says while it is this run's. */
export interface PulseStart {
  readonly path: string;
  readonly text: string;
}

const { path, text }: PulseStart = workerData;

setInterval(() => {
  try {
    const there = readSign(path);
    if (there?.text === text) renew(path, there);
  } catch {
    // A sign that cannot be read now is looked at again; the run itself says what is wrong with its folder.
  }
}, LOOK);
