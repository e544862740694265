/**
 * Where measurement and verdict part, and why: one entry for each program, written by a person who looked.
 *
 * The judgement fails for a disagreement that has no entry, and for an entry whose program has come to agree. Figures of
 * 300 steps come from the same recipe with three times its steps (`measure(one, 0, 300)`).
 */

const codesStay = "no collapse within 300 steps from any of three seeds: std is 0.43 to 0.57, a pair loses 0.10 to 0.39 and strangers 0.74 to 2.0. C077, which has another head and no such term, has collapsed after 100. Why this one has not is not known.";
const unpaired = "the criterion does not fit: nothing in the objective compares the two views, as said, but the term of weight 0 is measured all the same, and spread features tell a pair from strangers without being trained to.";
const oneView = "the criterion has nothing to measure: the second view reaches no loss, so that no pair of views is compared, as said, and none could come closer.";

/** Explanations by id. */
export const explained: Readonly<Record<string, string>> = {
  "dino-small": "the criterion does not fit the recipe: in 300 steps from three seeds the encoder spreads (std 0.145 to between 0.27 and 0.55, rank 5) while its codes are still next to uniform: a pair is at 5.0 to 5.5 and strangers at 5.5 to 5.7, where ln 256 is 5.5. By its own recipe (256 steps, 0.97 -> 1) it tells pictures apart (the table above). The verdict stands.",
  C079: "no collapse within 300 steps from any of three seeds: std is 0.71 to 0.90, rank 4 to 5 (13.7 untrained), and the loss tells a pair (0.6 to 1.3) from strangers (5.2 to 8.4), as well as with the average (C076). DINO's 0.1 % without momentum (table 7, table 15) is of ImageNet, a deeper head and longer training; the refusal rests on that, and on nothing that was measured here.",
  C105: "one of three seeds collapses as said (std 0.26 -> 0.08, loss 4.1 -> 0.004); in the other two the codes and the predictor collude without any constant within 300 steps: the loss falls to 0.6 and 0.7 while std stays at 0.85. The literature's verdict is split (error or risky).",
  C062: "the criterion does not fit: after 300 steps strangers are at 0.05 to 0.08 of what they were apart, but a pair at less than 0.01, so pictures are told apart better than before, and std and rank of the encoder are as in other sound programs (0.60 to 0.68, 7), from three seeds. Whitening by rounds leaves directions of little variance small, and training makes few directions large.",
  U143: "no collapse within 300 steps from any of three seeds: std is 0.61 to 0.65, the loss 0.08 for a pair and 0.8 for strangers. A layer norm's scale starts at one and can shrink only at the pace of its own learning rate and gradient; that the constant is in reach is a fact of the graph. Training goes there slowly: after 1500 steps from one seed a pair is at 0.024 and strangers at 0.185, of 1.01 untrained.",
  U412: "as U143: the norm on the target shrinks at its own pace. The loss falls from 0.98 to 0.44 in 300 steps from each of three seeds, std is 0.40 to 0.59.",
  U206: unpaired,
  U233: unpaired,
  U849: `${oneView} The spread goes from 0.26 to 0.51 and the loss from 1.6 to 0.4 in 300 steps from each of three seeds: what is asked for is decorrelation.`,
  U850: `${oneView} The loss goes from 0.25 to 0.0094 in 300 steps from three seeds: what is asked for is that images differ.`,
  U214: "on the way after 300 steps, from three seeds: strangers are at 0.2 of what they were apart (0.017 -> 0.003 to 0.004), a pair at 0.0002, and the trivial value of the term is heard. The variance of what is standardized pushes nothing, so only decay and agreement shrink the map before it. After 1500 steps from one seed strangers are at 0.0023, a pair at 0.0002.",
  U215: "rounds of Newton's method whiten so roughly here that the variance term has something to push (0.62 -> 0.022), and it keeps strangers apart (0.0016 -> 0.077). For exact whitening the refusal is a fact of the graph.",
  U225: "it does not end in a constant: covariance with the wrong sign grows without bound (-1e9 after 300 steps), along few dimensions (rank 13.7 -> 3.9). The refusal is right and its name for the failure is not what is seen.",
  U226: "it does not end in a constant: the statistic of normality with the wrong sign is driven up (26 -> 166), the rank falls from 13.7 to 4.6. As U225.",
  U240: "the criterion does not reach it: a mean of squares written by hand is no term that compares two views by name. It falls as C060's, which is the same by name and counts: strangers 0.021 -> 6e-6 in 300 steps.",
  U241: "slow: strangers 2.16 -> 1.50 and a pair 0.070 after 300 steps. The learned scale of the norm can go to zero only at the pace of its learning rate; the constant is in reach, and is not reached in a run of this length.",
  U311: "the same program as C079 by another notation, and like figures: std 0.67 to 0.83, a pair 1.1 to 2.0, strangers 4.2 to 6.7.",
  U316: codesStay,
  U317: codesStay,
  U326: "as C105's two seeds: tokenizer and predictor collude without a constant; the loss falls from 4.1 to 0.8 or 0.9 in 300 steps from three seeds, std is 0.78 to 0.87, rank 3 to 4.",
  U327: "as U326, and the same figures: the diversity has weight 0.",
  U511: "pooled features are alike (0.17 -> 0.03, three seeds) while their rank is 20 and the loss still tells tokens of other images apart (5.4 -> 2.6, ln 64 is 4.2): tokens at equal places are held apart over images, and nothing asks that of their mean. Sound or risky was expected.",
  U517: "nothing to measure: the encoder runs only with a mask, so it has no reading. The loss grows (0.005 -> 0.09, three seeds), as a target without a scale lets it. What is refused, that nothing trains after the shared part, is a fact of the graph.",
  U718: "a predictor of one attention and nothing else, so that a query's place reaches the prediction only through weights of attention; teacher and student come to agree on places (0.17 -> 0.01 to 0.02, three seeds). With a block and a norm in its place the same program holds in three of four seeds (0.31 to 0.35), with the standard predictor in four of four (0.29 to 0.49). How much a predictor can do is not judged: the verdict may be too kind.",
  U723: "no reading of the encoder, which runs on patches only. Written so that it runs on pictures, the same graph holds from one seed of two (0.09 -> 0.30, and 0.09 -> 0.03); with the last norm that every shipped encoder has it holds from both (0.43 and 0.17). That this encoder has none is not judged.",
  U130: "on the way: with both averages at 0.99 the last of them lags by 200 steps. Strangers come closer (-0.90 -> -0.94) and the spread falls (0.26 -> 0.18) from each of three seeds; with 0.9 it is at 0.14 after 100 steps.",
  U145: "nothing learns, as said: no group has a gradient and the loss is 0 throughout. The figures move by 1.3 % in 300 steps because weight decay takes 1.5 % from the weights, and the criterion allows 1 %.",
  U730: "one of three seeds holds (0.17 -> 0.32), two fall (0.09, 0.07): three quadrants from one are nearly a guess by place. The paper's weak case (15.5 against 54.2, table 6), sound by its form.",
  U907: "the criterion does not reach it: at temperature 100 the target is uniform from the start, so that strangers are as near as a pair before training too. After 300 steps both are at 4.1591, where ln 64 is 4.1589.",
  U912: "the criterion does not fit: it takes 0 for the least value, and with negatives of weight 0.1 that is near -10. After 300 steps from three seeds a pair is at -8.6, strangers at -7.1 to -7.2, and the spread has gone from 0.26 to between 0.70 and 0.73; with 0.03 (U911) both are at -9.57.",
  U933: "no collapse within 300 steps from any of three seeds: std is 0.59 to 0.67, strangers are at 0.010 to 0.084 and a pair at 0.002 to 0.010. The variance of z and -z is that of z about zero, and what is spread at first meets it by growing; that c and -c meet it as well is a fact of the graph. U934, whose parts differ by a shift, ends in a constant.",
  U940: "the criterion does not fit the term of patches: both its sides are of one view, so that strangers are no strangers to it (2.32 and 2.33). The term of pictures is at 2.3 for a pair and 7.4 for strangers after 300 steps from one seed, and the spread has gone from 0.26 to 0.85.",
  U945: "as U511, from one seed: pooled features are alike (0.17 -> 0.014 in 300 steps) while their rank is 18 and the loss goes from 8.5 to 3.7: tokens at equal places are held apart over images (places alone would leave ln 64, 4.2), and nothing asks that of their mean.",
  U1090: "the criterion does not fit: at temperature 10 the loss can only lie between about 4.07 and 4.26, of which the gap between pair and strangers is a small share of its value. It holds: the spread goes from 0.26 to 0.93, a pair is at 4.07 and strangers at 4.17, where ln 64 is 4.16.",
};

const falls = "what is said is true: the spread falls (see above).";

/** Sound programs in whose runs a monitor is heard, and why. */
export const alarming: Readonly<Record<string, string>> = {
  U718: falls,
  U1134: "what is said is true: by this recipe a momentum that ends at 0 is 0 throughout, and the average is the encoder.",
  U1063: "what is said is true: the spread of the first seed falls (0.157 -> 0.033 after 300 steps).",
};

/** Programs that look as if they could be trained and are refused for another reason than collapse: the code, or the fault. */
export const untrained: Readonly<Record<string, string>> = {
  U138: "JEP3013", U736: "JEP3002", U737: "JEP3001",
};
