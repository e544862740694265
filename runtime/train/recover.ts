/**
 * A device that is lost in mid-run: opened again, and the run goes on from its last checkpoint.
 *
 * Owns how often that is tried. From one and the same step the run is taken up again once: a device that is lost twice
 * before the next checkpoint would be lost for ever, and then the run stops with the reason. The loop, engines and
 * checkpoints come in as functions.
 */
import type { Engine } from "../abi.js";
import { HostError, errorText } from "../base/errors.js";
import type { Checkpoint } from "./checkpoint.js";

/** What recovering needs of a run. */
export interface Recovery<T> {
  /** Trains from a checkpoint, or from the start. */
  run(engine: Engine, from: Checkpoint | undefined): Promise<T>;
  /** Lets go of the lost engine and opens another, with initial values. */
  reopen(): Promise<Engine>;
  /** The last checkpoint of this run, where there is one. */
  last(): Promise<Checkpoint | undefined>;
  note(text: string): void;
}

/** Runs to the end. Throws `HostError` "device-lost" where a device cannot be kept, and lets all other errors through. */
export async function throughLosses<T>(first: { readonly engine: Engine; readonly from: Checkpoint | undefined }, recovery: Recovery<T>): Promise<T> {
  const taken = new Set<number>();
  let { engine, from } = first;
  for (;;) {
    try {
      return await recovery.run(engine, from);
    } catch (error) {
      if (!(error instanceof HostError) || error.code !== "device-lost") throw error;
      from = await recovery.last();
      const step = from?.step ?? 0;
      if (taken.has(step)) throw new HostError("device-lost", `${error.message}; it was lost before too, after the same step ${step}`, error.help, { cause: error });
      taken.add(step);
      engine = await again(error, recovery);
      if (from !== undefined) await engine.importState(from.state);
      recovery.note(`${error.message}; it was opened again, and the run goes on ${from === undefined ? "from its start" : `after step ${step}`}`);
    }
  }
}

async function again<T>(lost: HostError, recovery: Recovery<T>): Promise<Engine> {
  try {
    return await recovery.reopen();
  } catch (error) {
    throw new HostError("device-lost", `${lost.message}; it could not be opened again: ${errorText(error)}`, lost.help, { cause: error });
  }
}
