/**
 * When a checkpoint is due by the clock: a run of long epochs, or one that is killed, loses minutes and not an epoch.
 *
 * Owns the count of minutes and its bound by what a checkpoint costs. Between two writes lies at least
 * {@link SHARE} times what the last one took, so that a large state on a slow disk takes no more than a twentieth of a run. What a
 * checkpoint holds does not depend on when it is written; the program's own (`checkpoint_every`) are written whatever this says.
 */

/** Minutes between two checkpoints, unless a run says otherwise. */
export const CHECKPOINT_MINUTES = 10;

/** Time between two checkpoints by time spent writing one, at least. */
const SHARE = 20;

/** The clock of a run's checkpoints. */
export interface Pace {
  /** Whether one is due now; asked between steps. */
  due(): boolean;
  /** Runs a write and takes its time; whatever asked for it, the count begins anew after it. */
  writing(write: () => Promise<void>): Promise<void>;
}

/** Counts from now on, by a clock in milliseconds; 0 minutes are never over. */
export function createPace(clock: () => number, minutes: number): Pace {
  let since = clock();
  let asked: number | undefined;
  let took = 0;
  return {
    due() {
      const now = clock();
      const due = minutes > 0 && now - since >= Math.max(minutes * 60_000, SHARE * took);
      // Handing the state over is a part of what it costs.
      asked = due ? now : undefined;
      return due;
    },
    async writing(write) {
      const from = asked ?? clock();
      asked = undefined;
      try {
        await write();
      } finally {
        since = clock();
        took = since - from;
      }
    },
  };
}
