/**
 * Ctrl-C: the first one asks the run to stop after its step, the second one quits at once.
 *
 * Owns the handlers of SIGINT, SIGTERM and SIGHUP (the terminal is gone) while a run is on, and takes them off afterwards.
 * The process comes in as an argument, so that tests send signals without dying. What is written to a terminal that is gone
 * is lost, and nothing else.
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

/** Starts watching; `say` tells the person what the first Ctrl-C does. */
export function watchInterrupts(source: SignalSource, say: (text: string) => void): Interrupts {
  let requested = false;
  const ask = (): void => {
    requested = true;
    say("stopping after this step; a checkpoint will be written (Ctrl-C again quits at once, without one)");
  };
  const handler = (): void => {
    if (requested) source.exit(INTERRUPTED);
    else ask();
  };
  // A lost terminal is told by the kernel and by the shell, each for itself: the second time is not a person in a hurry.
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
