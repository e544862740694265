/**
 * Ctrl-C: the first one asks the run to stop after its step, one that comes later quits at once.
 *
 * Owns the handlers of SIGINT, SIGTERM and SIGHUP (the terminal is gone) while a run is on, and takes them off afterwards.
 * The process and the passing of time come in as arguments, so that tests send signals without dying or waiting. What is
 * written to a terminal that is gone is lost, and nothing else.
 */
import { systemCode } from "../base/errors.js";

/** What asks a run to stop. */
export type StopSignal = "SIGINT" | "SIGTERM" | "SIGHUP";

/** The part of `process` that is needed. */
export interface SignalSource {
  on(signal: StopSignal, handler: () => void): unknown;
  off(signal: StopSignal, handler: () => void): unknown;
  exit(code: number): unknown;
}

/** The exit code of an interrupted run: 128 + SIGINT. */
export const INTERRUPTED = 130;

/** A watch over Ctrl-C. */
export interface Interrupts {
  requested(): boolean;
  /** Gives Ctrl-C back to the system. */
  release(): void;
}

/** Calls back when the moment is over in which further signals are the same request. */
export type Moment = (over: () => void) => void;

/**
 * A second. Signals that came while a step kept the process busy are handled after timers are and before immediates, so that
 * with the immediate they count as having come in time. It keeps no process alive.
 */
const aSecond: Moment = (over) => {
  setTimeout(() => setImmediate(over).unref(), 1000).unref();
};

/**
 * Starts watching; `say` tells the person what the first Ctrl-C does. Process managers, shells and `timeout` signal a
 * process and then its group, and npx relays what the process has got already: what comes within `moment` of the first
 * signal is no person in a hurry.
 */
export function watchInterrupts(source: SignalSource, say: (text: string) => void, moment: Moment = aSecond): Interrupts {
  let requested = false;
  let impatient = false;
  const ask = (): void => {
    requested = true;
    moment(() => {
      impatient = true;
    });
    say("stopping after this step; a checkpoint will be written (Ctrl-C again quits at once, without one)");
  };
  const handler = (): void => {
    if (!requested) ask();
    else if (impatient) source.exit(INTERRUPTED);
  };
  // A lost terminal is told by the kernel and by the shell, each when it notices: never a person in a hurry.
  const lost = (): void => {
    if (!requested) ask();
  };
  source.on("SIGINT", handler);
  source.on("SIGTERM", handler);
  source.on("SIGHUP", lost);
  return {
    requested: () => requested,
    release() {
      source.off("SIGINT", handler);
      source.off("SIGTERM", handler);
      source.off("SIGHUP", lost);
    },
  };
}

/** The part of a stream that can fail. */
export interface FallibleStream {
  on(event: "error", handler: (error: Error) => void): unknown;
  off(event: "error", handler: (error: Error) => void): unknown;
}

/**
 * Lets a process outlive the reader of a stream: writing to a terminal that is gone (EIO) or to a closed pipe (EPIPE) no
 * longer ends it, before a run has written its checkpoint. Other errors still do. Asked for twice, it is done once.
 */
export function outliveReader(stream: FallibleStream): void {
  stream.off("error", forgive);
  stream.on("error", forgive);
}

function forgive(error: Error): void {
  if (!["EIO", "EPIPE"].includes(systemCode(error))) throw error;
}
