/**
 * Where measurement and verdict part, and why: one entry for each program, written by a person who looked.
 *
 * The judgement fails for a disagreement that has no entry, and for an entry whose program has come to agree. Figures of
 * 300 steps come from the same recipe with three times its steps (`measure(one, 0, 300)`).
 */

/** The recipe makes averages follow with 0.9; with 0.99 and nothing else changed the same program holds. */
const quick = (held: string): string =>
  `the recipe's average follows with 0.9, too quick for masked prediction: teacher and student come to agree on what positions say. With 0.99 and nothing else changed, 300 steps give ${held}. The verdict stands, the recipe is what is wrong.`;
const quickLike = (id: string): string => `as ${id}: the recipe's average of 0.9 is too quick for masked prediction; with 0.99 this one was not trained.`;
const codesStay = "no collapse within 300 steps: std is 0.55, a pair loses 0.28 and strangers 1.95. C077, which has another head and no such term, has collapsed after 100. Why this one has not is not known.";
const unpaired = "the criterion does not fit: nothing in the objective compares the two views, as said, but the term of weight 0 is measured all the same, and spread features tell a pair from strangers without being trained to.";
const samplerGoesOn = "the run does not end by itself, as the refusal says it would; why the runtime's sampler goes on was not looked into. What is trained is masked prediction with the recipe's quick average, and its spread falls as U708's (0.174 -> 0.071).";

/** Explanations by id. */
export const explained: Readonly<Record<string, string>> = {
  "dino-small": "the spread falls to a tenth in 300 steps with the recipe's average of 0.9 (0.145 -> 0.012). With 0.99 the encoder holds (0.145 -> 0.29, rank 5.4), while its loss is 5.54 for a pair and for strangers alike, so that its codes tell nothing; why is not known. By its own recipe (256 steps, 0.97 -> 1) it does not collapse: rank 10.9, color 41 -> 87 % (the table above). The verdict stands.",
  C079: "no collapse within 300 steps: std is 0.90, rank 4.7 (13.7 untrained), and the loss tells a pair (0.55) from strangers (6.4), not worse than with the average (C076: 0.81, 6.0, 0.78 and 3.4). DINO's 0.1 % without momentum (table 7, table 15) is of ImageNet, a deeper head and longer training; the refusal rests on that, and on nothing that was measured here.",
  C105: "the codes and the predictor collude without any constant within 300 steps: the loss falls from 4.16 (ln 64) to 0.61 while std stays at 0.85. The literature's verdict is split (error or risky).",
  C062: "the criterion does not fit: after 300 steps strangers are at 0.08 of what they were apart (0.80 to 0.066), but a pair at 0.008 (0.41 to 0.0030), so pictures are told apart better than before, and std and rank of the encoder are as in other sound programs (0.68, 7.4). Whitening by rounds leaves directions of little variance small, and training makes few directions large.",
  U143: "no collapse within 300 steps: std is 0.72, the loss 0.10 for a pair and 1.0 for strangers. A layer norm's scale starts at one and can shrink only at the pace of its own learning rate and gradient; that the constant is in reach is a fact of the graph, that training goes there in a run of this length is not seen.",
  U412: "as U143: the norm on the target shrinks at its own pace. The loss falls from 0.98 to 0.44 in 300 steps, std is 0.59.",
  U206: unpaired,
  U233: unpaired,
  U214: "on the way after 300 steps: strangers are at 0.22 of what they were apart (0.0169 -> 0.0037), a pair at 0.0002, and the trivial value of the term is heard at step 104. The variance of what is standardized pushes nothing, so only decay and agreement shrink the map before it.",
  U215: "rounds of Newton's method whiten so roughly here that the variance term has something to push (0.62 -> 0.022), and it keeps strangers apart (0.0016 -> 0.077). For exact whitening the refusal is a fact of the graph.",
  U225: "it does not end in a constant: covariance with the wrong sign grows without bound (-1e9 after 300 steps), along few dimensions (rank 13.7 -> 3.9). The refusal is right and its name for the failure is not what is seen.",
  U226: "it does not end in a constant: the statistic of normality with the wrong sign is driven up (26 -> 166), the rank falls from 13.7 to 4.6. As U225.",
  U240: "the criterion does not reach it: a mean of squares written by hand is no term that compares two views by name. It falls as C060's, which is the same by name and counts: strangers 0.021 -> 6e-6 in 300 steps.",
  U241: "slow: strangers 2.16 -> 1.50 and a pair 0.070 after 300 steps. The learned scale of the norm can go to zero only at the pace of its learning rate; the constant is in reach, and is not reached in a run of this length.",
  U311: "the same program as C079 by another notation, and the same figures.",
  U316: codesStay,
  U317: codesStay,
  U326: "as C105: tokenizer and predictor collude without a constant; the loss falls from 4.12 to 0.93 in 300 steps, std is 0.78, rank 3.3.",
  U327: "as U326, and the same figures: the diversity has weight 0.",
  U506: quick("a spread of 0.17 -> 0.46"),
  U523: quick("a spread of 0.17 -> 0.30"),
  U707: quick("a spread of 0.17 -> 0.50"),
  U708: quick("a spread of 0.17 -> 0.36"),
  U713: quick("a spread of 0.17 -> 0.49"),
  U715: quick("a spread of 0.17 -> 0.60"),
  M057: quick("a spread of 0.17 -> 0.26"),
  U705: quickLike("U708"),
  U727: quickLike("U708"),
  U511: "pooled features are alike (0.174 -> 0.029) while the loss still tells tokens of other images apart (5.4 -> 2.6, ln 64 is 4.2): presumably negatives over images hold tokens at equal places apart, and nothing asks that of their mean; this was not measured. Sound or risky was expected.",
  U517: "nothing to measure: the encoder runs only with a mask, so it has no reading. The loss grows (0.006 -> 7.1) as the target, which has no scale, does.",
  U718: "not explained: teacher and student agree on positions with an average of 0.9 and with 0.99 alike (0.174 -> 0.018 and 0.019 in 300 steps), where the standard predictor holds with 0.99 (U708). The predictor here gives each query its place and little else. The verdict may be too kind.",
  U723: "the loss on hidden content falls to 0.005 with 0.9 and to 0.006 with 0.99; there is no reading of the encoder, which runs on patches only. Not explained.",
  U711: samplerGoesOn,
  U729: samplerGoesOn,
  U735: samplerGoesOn,
  M028: "batch normalization before a loss of directions holds features apart here (std 0.26 -> 0.80, a pair -0.93, strangers 0.07 after 300 steps). The refusal promises more than was seen in a run of this length.",
};

const dip = "masked prediction with the recipe's average of 0.9 begins with a dip: the spread falls to a quarter within 50 steps and comes back after 100 or more; a monitor that is patient for 75 steps, as in a run of 300, is heard. In a run of 800 or more it waits for 200.";
const falls = "what is said is true: with the recipe's average of 0.9 the spread falls, and stays low for the rest of the run (see above).";

/** Sound programs in whose runs a monitor is heard, and why. */
export const alarming: Readonly<Record<string, string>> = {
  "dino-small": falls,
  U309: "the distance of probabilities is next to nothing at first (0.0014 for strangers untrained) and is heard then; it is at 0.0017 for a pair and 0.0089 for strangers after 300 steps.",
  U414: "what is said is true, and no collapse: the projection on the target's side gets no gradient, as the program asks.",
  U506: falls, U522: dip, U705: falls, U706: dip, U707: falls, U708: falls, U713: falls, U715: falls, U718: falls,
  U723: "the spread of what is watched falls with the loss (see above).",
  U727: falls, U730: dip,
  M012: "what is said is true, and no collapse: the head on the target's side gets no gradient and stays what it was at random (std of f 0.26 -> 0.53 in 300 steps, rank 5.4).",
  M057: falls,
};

/** Programs that look as if they could be trained and are refused for another reason than collapse: the code, or the fault. */
export const untrained: Readonly<Record<string, string>> = {
  U138: "JEP3013", U736: "JEP3002", U737: "JEP3001",
};
