/**
 * Generated signals: a wave that begins and ends somewhere, seen by several sensors, over drift and noise.
 *
 * Owns a signal with factors to probe: the form of its wave, how fast it is, and where it lies. Loudness, phase, lag from sensor to
 * sensor, drift and noise vary freely. A signal is a pure function of (seed, index), `[1, length, channels]` in numbers of about one
 * (they have no black and no white); it does not depend on how many there are. Sources of such signals are synthetic.ts.
 */
import { stream, type Stream } from "../base/random.js";
import type { Factor } from "./source.js";

const FORMS = ["sine", "triangle", "square", "sawtooth", "pulses", "rising", "ringing", "bursts"] as const;
/** Periods of the wave over the whole signal: a class goes from one of these to the next. */
const RATES = [8, 10.5, 14, 18.5, 24, 32, 42] as const;
const PLACES = ["first", "second", "third", "fourth", "fifth", "sixth"] as const;
/** Part of a signal that its wave takes. */
const [SHORTEST, LONGEST] = [0.3, 0.4];

/** The factors of a signal, in the order of its labels. */
export const WAVE_FACTORS: readonly Factor[] = [
  { name: "form", classes: FORMS },
  { name: "rate", classes: RATES.slice(1).map((high, i) => `${RATES[i] ?? 0} to ${high}`) },
  { name: "place", classes: PLACES },
];

/** One period of each form over phases in 0..1, of about unit power. */
function formAt(form: number, phase: number): number {
  switch (FORMS[form]) {
    case "triangle": return 1.73 * (4 * Math.abs(phase - 0.5) - 1);
    case "square": return phase < 0.5 ? 1 : -1;
    case "sawtooth": return 1.73 * (2 * phase - 1);
    case "pulses": return phase < 0.15 ? 2.4 : -0.42;
    case "ringing": return 2.6 * Math.exp(-4 * phase) * Math.sin(8 * Math.PI * phase);
    case "bursts": return phase < 0.5 ? 2 * Math.sin(12 * Math.PI * phase) : 0;
    default: return 1.41 * Math.sin(2 * Math.PI * phase);
  }
}

interface Wave {
  readonly labels: readonly [form: number, rate: number, place: number];
  /** Periods over the whole signal; where the wave begins and how long it is, in parts of the signal. */
  readonly periods: number;
  readonly start: number;
  readonly length: number;
  readonly phase: number;
  readonly draws: Stream;
}

function waveOf(seed: number, index: number): Wave {
  const draws = stream(seed, "wave", index);
  const labels = [draws.int(FORMS.length), draws.int(RATES.length - 1), draws.int(PLACES.length)] as const;
  const [slow, fast] = [RATES[labels[1]] ?? 1, RATES[labels[1] + 1] ?? 1];
  const length = draws.range(SHORTEST, LONGEST);
  const middle = LONGEST / 2 + ((1 - LONGEST) * (labels[2] + draws.uniform())) / PLACES.length;
  return { labels, periods: slow * (fast / slow) ** draws.uniform(), start: middle - length / 2, length, phase: draws.uniform(), draws };
}

/** Classes of a signal, in the order of {@link WAVE_FACTORS}. */
export function waveLabels(seed: number, index: number): readonly number[] {
  return waveOf(seed, index).labels;
}

/** The signal of (seed, index), `[length, channels]`, row-major. */
export function drawWave(seed: number, index: number, length: number, channels: number): Float32Array {
  const { labels: [form], periods, start, length: part, phase, draws } = waveOf(seed, index);
  const out = new Float32Array(length * channels);
  const loud = draws.range(0.8, 1.6);
  const grain = stream(seed, "noise", index);
  for (let c = 0; c < channels; c++) {
    const gain = loud * draws.range(0.5, 1) * (draws.uniform() < 0.5 ? -1 : 1);
    const lag = draws.range(0, 0.3);
    const drift = [draws.range(0.3, 1.5), draws.uniform(), draws.range(0.1, 0.5)] as const;
    const noise = draws.range(0.1, 0.35);
    let slow = 0;
    for (let t = 0; t < length; t++) {
      const at = t / length;
      const along = (at - start) / part;
      let value = drift[2] * Math.sin(2 * Math.PI * (drift[0] * at + drift[1]));
      if (along >= 0 && along < 1) {
        // A rising wave is twice as fast at its end as at its beginning, and as fast as its class on average.
        const turns = periods * (at - start) * (FORMS[form] === "rising" ? (2 + along) / 3 : 1) + phase + lag;
        value += gain * Math.sin(Math.PI * along) ** 0.5 * formAt(form, turns - Math.floor(turns));
      }
      // Noise with memory, as sensors have it.
      slow = 0.8 * slow + 0.6 * grain.normal();
      out[t * channels + c] = value + noise * slow;
    }
  }
  return out;
}
