/**
 * What training gained: a probe's table in words.
 *
 * Owns what counts as a difference and what to try where there is none. Accuracies on n test pictures scatter; two of them are
 * told apart here where they differ by three standard errors of the difference of independent shares, √((p(1 − p) + q(1 − q)) / n).
 * Both are of the same pictures, so this asks for more than a paired test would; a table has eight such pairs or more, and two errors
 * would find something in up to every third table of pure chance. The numbers are `probe.ts`'s.
 */
import { counted } from "../base/counted.js";
import type { EncoderScore, FactorScore } from "./probe.js";

type Pair = FactorScore["linear"];

/** Standard errors that make a difference. */
const ERRORS = 3;

/**
 * One encoder's probes in words: the factors that training made easier to read, those that it made harder, and those on which `tests` test
 * pictures cannot tell, each with the probes that say so; then what to try where nothing became easier, or something harder. An encoder whose
 * rank has halved has lost what its start could tell: that grows with the length of a run, so longer is no advice.
 */
export function gainText({ encoder, factors, rank }: EncoderScore, tests: number): string {
  const of = (sign: number): string[] =>
    factors.flatMap((score) => {
      const said = pairsOf(score).filter(([, pair]) => differs(pair, tests) === sign).map(([name, { untrained, trained }]) => `${name} ${share(untrained)} → ${share(trained)} %`);
      return said.length === 0 ? [] : [`${score.factor} (${said.join(", ")})`];
    });
  const alike = factors.filter((score) => pairsOf(score).every(([, pair]) => differs(pair, tests) === 0)).map(({ factor }) => factor);
  const [better, worse] = [of(1), of(-1)];
  const findings = [
    ...(better.length === 0 ? [] : [`better on ${better.join(", ")}`]),
    ...(worse.length === 0 ? [] : [`worse on ${worse.join(", ")}`]),
    ...(alike.length === 0 ? [] : [`no difference that ${counted(tests, "test sample")} would show on ${alike.join(", ")}`]),
  ];
  const text = `the trained ${encoder} beside the untrained one: ${findings.join("; ")}`;
  return better.length > 0 && worse.length === 0 ? text : `${text}\n${advice(rank)}`;
}

function advice({ untrained, trained }: EncoderScore["rank"]): string {
  return trained < untrained / 2
    ? `its features fell from an effective rank of ${untrained.toFixed(1)} to ${trained.toFixed(1)}, and longer training may take more; a narrow network keeps more with larger starting weights (\`vit(…, init_std: 0.07)\`, where 0.02 is for widths of several hundred) and a lower learning rate`
    : "train for longer, try another learning rate, or look at the curves in the report";
}

function pairsOf({ linear, nearest, attentive }: FactorScore): [string, Pair][] {
  return [["linear", linear], ["neighbors", nearest], ...(attentive === undefined ? [] : [["attentive", attentive] as [string, Pair]])];
}

/** 1 where training made it easier to read, -1 where harder, 0 where `tests` pictures cannot tell. */
function differs({ untrained, trained }: Pair, tests: number): number {
  const error = Math.sqrt((untrained * (1 - untrained) + trained * (1 - trained)) / tests);
  return Math.abs(trained - untrained) > ERRORS * error ? Math.sign(trained - untrained) : 0;
}

function share(value: number): string {
  return (value * 100).toFixed(1);
}
