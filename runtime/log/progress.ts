/**
 * The progress of a run on a terminal, or in a log file.
 *
 * Owns the line that says where a run is: on a terminal one line that is redrawn, elsewhere (a pipe, a CI log) a whole
 * line every few seconds. Knows nothing of training but the numbers it is given; time comes in through a function, so
 * that tests own the clock. Colors are left out on purpose: the line must read the same everywhere.
 */

/** Where text goes; `process.stderr` fits. */
export interface Terminal {
  readonly isTTY?: boolean;
  readonly columns?: number;
  /** Writes text as it is. */
  write(text: string): unknown;
}

/** What one redraw shows. */
export interface Tick {
  readonly step: number;
  readonly total: number;
  readonly epoch: number;
  readonly epochs: number;
  readonly loss: number;
  /** The terms of the loss by name, unweighted; told where they are several. */
  readonly terms?: Readonly<Record<string, number>>;
  readonly learningRate: number;
  /** 0 as long as it is not known. */
  readonly imagesPerSecond: number;
  /** Whether these are clips. */
  readonly clips?: boolean;
  /** Told where the rate is known. */
  readonly secondsLeft: number;
  /** By watch name: the live collapse signals, when there are any yet. */
  readonly signals: Readonly<Record<string, { readonly std: number; readonly rank: number }>>;
}

/** A progress display. */
export interface Progress {
  /** Shows a state, at most as often as the terminal bears. */
  tick(tick: Tick): void;
  /** Shows where other long work is, in the place of the bar and as seldom; the next note or status takes it away. */
  status(text: string): void;
  /** Prints a whole line above the bar. */
  note(text: string): void;
  /** Leaves the last state standing. */
  end(): void;
}

/** Most terms of a loss on the line. */
const MOST_TERMS = 4;

/** How often a display may change, in milliseconds: a terminal, and a log. */
const REDRAW = { tty: 100, plain: 5000 } as const;

/** A display on `terminal`; `clock` gives milliseconds. With `quiet`, only notes are shown. */
export function createProgress(terminal: Terminal, clock: () => number, options: { readonly quiet?: boolean } = {}): Progress {
  const tty = terminal.isTTY === true;
  const pause = tty ? REDRAW.tty : REDRAW.plain;
  let last = -Infinity;
  let pending: Tick | undefined;
  let shown = false;
  const clear = (): void => {
    if (tty && shown) terminal.write("\r\x1b[2K");
    shown = false;
  };
  // A terminal that nobody has given a size (a container's, a recorder's) says 0.
  const width = (): number | undefined => (tty ? Math.max(1, (terminal.columns || 100) - 1) : undefined);
  const show = (line: string): void => {
    terminal.write(tty ? `\r\x1b[2K${line}` : `${line}\n`);
    shown = true;
  };
  const draw = (tick: Tick): void => {
    show(progressLine(tick, width()));
    pending = undefined;
  };
  return {
    tick(tick) {
      if (options.quiet === true) return;
      pending = tick;
      const now = clock();
      if (now - last < pause && tick.step !== tick.total) return;
      last = now;
      draw(tick);
    },
    status(text) {
      const now = clock();
      // A log need not hear of work that is done within seconds.
      if (!tty && last === -Infinity) last = now;
      if (options.quiet === true || now - last < pause) return;
      last = now;
      show(text.slice(0, width()));
    },
    note(text) {
      clear();
      terminal.write(`${text}\n`);
    },
    end() {
      if (pending !== undefined) draw(pending);
      if (tty && shown) terminal.write("\n");
      shown = false;
    },
  };
}

/** One line of progress; cut to `columns` when given, the least important parts first. */
export function progressLine(tick: Tick, columns?: number): string {
  const share = tick.total > 0 ? tick.step / tick.total : 1;
  const digits = String(tick.total).length;
  const parts = [
    `${String(tick.step).padStart(digits)}/${tick.total}`,
    `${bar(share, 16)} ${String(Math.floor(share * 100)).padStart(3)}%`,
    `loss ${number(tick.loss)}`,
    ...Object.entries(tick.signals).map(([name, signal]) => `${name} std ${signal.std.toFixed(2)} rank ${signal.rank.toFixed(1)}`),
    ...(tick.imagesPerSecond > 0 ? [`${tick.imagesPerSecond.toFixed(tick.imagesPerSecond < 10 ? 1 : 0)} ${tick.clips === true ? "clips" : "img"}/s`, `${duration(tick.secondsLeft)} left`] : []),
    ...termsText(tick.terms ?? {}),
    `epoch ${tick.epoch}/${tick.epochs}`,
    `lr ${tick.learningRate.toExponential(1)}`,
  ];
  if (columns === undefined) return parts.join("  ");
  while (parts.length > 1 && parts.join("  ").length > columns) parts.pop();
  return parts.join("  ").slice(0, Math.max(1, columns));
}

/** The first terms of a loss that has several. */
function termsText(terms: Readonly<Record<string, number>>): readonly string[] {
  const all = Object.entries(terms);
  if (all.length < 2) return [];
  return [`${all.slice(0, MOST_TERMS).map(([name, value]) => `${name} ${Number.isFinite(value) ? Number(value.toPrecision(3)) : value}`).join(" ")}${all.length > MOST_TERMS ? " …" : ""}`];
}

/** Seconds as `1 h 02 min`, `3 min 20 s` or `12 s`; a dash when unknown. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return "–";
  const whole = Math.max(0, Math.round(seconds));
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor((whole % 3600) / 60);
  if (hours > 0) return `${hours} h ${String(minutes).padStart(2, "0")} min`;
  return minutes > 0 ? `${minutes} min ${String(whole % 60).padStart(2, "0")} s` : `${whole} s`;
}

/** A number with four significant digits, in the shortest readable form. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : value.toPrecision(4);
}

function bar(share: number, width: number): string {
  const filled = Math.round(Math.min(1, Math.max(0, share)) * width);
  return "█".repeat(filled) + "░".repeat(width - filled);
}
