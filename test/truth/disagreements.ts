/**
 * Where measurement and verdict part, and why: one entry for each program, written by a person who looked.
 *
 * The judgement fails for a disagreement that has no entry, and for an entry whose program has come to agree. Figures of
 * 300 steps come from the same recipe with three times its steps (`measure(one, 0, 300)`).
 */

/** Explanations by id. */
export const explained: Readonly<Record<string, string>> = {
  "dino-small": "100 steps with a momentum of 0.9 end in a dip: centering holds the codes apart before they are sharp, and the spread falls first. The same is seen in C076, whose spread is at 0.09 after 90 steps and at 0.81 after 300. The verdict stands.",
  C079: "no collapse within 300 steps: std is 0.90, rank 4.7 (13.7 untrained), and the loss tells a pair (0.55) from strangers (6.4), not worse than with the average (C076: 0.81, 6.0, 0.78 and 3.4). DINO's 0.1 % without momentum (table 7, table 15) is of ImageNet, a deeper head and longer training; the refusal rests on that, and on nothing that was measured here.",
  C105: "the codes and the predictor collude without any constant within 100 steps: the loss falls from 4.16 (ln 64) to 0.68 while std stays at 0.85 and pictures/tokens fall to a half. The literature's verdict is split (error or risky).",
  C062: "the criterion does not fit: after 100 steps strangers are at 0.088 of what they were apart (0.80 to 0.070), but a pair at 0.012 (0.41 to 0.0049), so pictures are told apart better than before, and std and rank of the encoder are as in other sound programs (0.60, 7.3). Whitening by rounds leaves directions of little variance small, and training makes few directions large.",
  M027: "after 100 steps it does not differ from whitening at a batch of 256 (C062): strangers at 0.13 of what they were apart, a pair at 0.03, std 0.61, rank 7.3. That no more rows than dimensions can always be whitened, whatever the features, is a fact of the graph; that training then goes to a constant is not seen in a run of this length.",
  U143: "no collapse within 100 steps, and none within 300: std is 0.71 there, the loss 0.101 for a pair and 0.98 for strangers. A layer norm's scale starts at one and can shrink only at the pace of its own learning rate and gradient; that the constant is in reach is a fact of the graph, that training goes there in a run of this length is not seen.",
};

/** Sound programs in whose runs a monitor is heard, and why. */
export const alarming: Readonly<Record<string, string>> = {
  C084: "I-JEPA begins with a dip: the teacher's spread falls to a quarter of its start within 40 steps, stays there for 40 and has come back at step 100 (0.174 → 0.044 → 0.252). A monitor that is patient for 25 steps, as it is in a run of 100, is heard; in a run of 800 or more it waits for 200.",
  M012: "what is said is true, and no collapse: the head on the target's side gets no gradient and stays what it was at random (std of f 0.26 → 0.60, rank 6.5).",
};

/** Programs that look as if they could be trained and are refused for another reason than collapse: the code, or the fault. */
export const untrained: Readonly<Record<string, string>> = {
  U138: "JEP3013", U736: "JEP3002", U737: "JEP3001",
};
