/**
 * Where each verdict comes from in the literature. // tidy: table
 *
 * Total tables: a rule, a mechanism or a protection without a source, or the words "derived" that own up to having none, does
 * not typecheck. Figures are ImageNet linear accuracies in percent unless another measure is named. The rules themselves are
 * in `findings.ts`, the longer explanation of each in the catalogue.
 */
import type { RuleName } from "./findings.js";
import type { Protector } from "./null-test.js";
import type { Mechanism } from "./terms.js";

/** What speaks for a rule: measured where a paper or report is named. */
export const ruleSources: Readonly<Record<RuleName, string>> = {
  "E-SYM": "SimSiam (Chen and He, 2021), Fig. 2: 0.1 without stop-gradient; VICReg (Bardes et al., 2022), table 7: collapse with the invariance term alone",
  "E-NOPRED": "SimSiam, table 1a: 0.1 without predictor; BYOL (Grill et al., 2020), table 5b: 0.2",
  "E-PRED-FROZEN": "SimSiam, table 1b: 1.5, the loss stays high",
  "E-PRED-DEAD": "derived from SimSiam, table 1; Zhang et al., 2022: the asymmetry must be on the side of the gradient",
  "E-TARGET-HEAD": "derived: head and predictor agree on a constant; SIGMA (Salehi et al., 2024): a target projected by a trained map collapses",
  "E-WRONG-SIDE": "derived: the encoder is trained as the target only",
  "E-NOGUARD": "VICReg, table 7: collapse without the variance term; D.4: covariance has no repulsive effect",
  "E-GUARD-NOGRAD": "derived from VICReg, table 7: a term without gradient is no term",
  "E-GUARD-AXIS": "derived: a statistic over tokens does not see that images are alike",
  "E-GUARD-SIGN": "derived: a weight below zero rewards what the term forbids",
  "E-NOATTRACT": "VICReg, table 7 (0, 25, 1): collapse; Barlow Twins (Zbontar et al., 2021), table 5: 0.1 for the off-diagonal part alone",
  "E-DEAD": "by definition: no gradient, no learning",
  "E-ONEHOT": "DINO (Caron et al., 2021), Fig. 7 and 5.3: without centering the entropy of the codes goes to 0",
  "E-UNIFORM": "DINO, Fig. 7 and 5.3: without sharpening the entropy of the codes goes to ln K",
  "E-UNBALANCED": "SwAV (Caron et al., 2020), section 3; DINO, table 15: 0.1",
  "E-CENTER-NO-EMA": "DINO, table 15: 0.1 with centering and no momentum, 71.8 with Sinkhorn",
  "E-WHITEN-RANK": "W-MSE (Ermolov et al., 2021): n rows have rank n - 1",
  "E-UNBOUNDED": "by definition: what has no smallest value has no minimum to train to",
  "E-NO-CODE": "by definition: below zero, a target rewards what it should make unlikely",
  "W-FROZEN-TARGET": "BYOL, table 5a: 18.8 with a target fixed at its random start, 72.5 with an average",
  "W-TARGET-UNINFORMED": "derived: a target that is the same for all images teaches nothing about any",
  "W-EMA-ZERO": "BYOL, table 5a: 0.3 at momentum 0; CAE (Chen et al., 2022): collapse without its reconstruction term",
  "W-TARGET-NORM": "data2vec (Baevski et al., 2022), 3.3: normalized targets are the cure where neighbors are alike",
  "W-NOPRED-MASKED": "data2vec, 3.3 and 6: reported to work and to fail",
  "W-WEAK-GUARD": "DINO, table 14: 52.6 with centering in the place of a predictor",
  "W-UNTIED": "VICReg, table 5: BYOL fails with untied branches",
  "W-DIM": "VICReg, table 7: 57.5 against 68.6; Barlow Twins, table 5: 57.3 against 71.4; Hua et al., 2021",
  "W-SLOW": "Sobal et al., 2022, table 1; EB-JEPA: planning success 1 against 97 without inverse dynamics",
  "W-POSITION": "derived: guards over images leave the tokens of one image free",
  "W-COEF": "VICReg, table 7: (1, 1, 1), (1, 10, 1) and (10, 1, 1) collapse",
  "W-TEMP": "DINO, appendices C and D: 0.1 at a teacher temperature of 0.08 and at a center momentum of 0.999",
  "W-EMA-RANGE": "BYOL, table 5a: 68.4 at 0.9, 72.5 at 0.99; MoCo (He et al., 2020)",
  "W-PHASE": "derived: what holds in one phase must hold in all",
  "W-QUEUE-STALE": "MoCo: fails at momentum 0, 59.0 at 0.999",
  "W-DECAYED-TARGET": "derived: decoupled decay (Loshchilov and Hutter, 2019) takes weights without gradient to 0",
  "W-VACUOUS": "derived: both heads may become constant",
  "W-ANCHOR-NOGRAD": "by definition: an online probe measures and does not train",
  "W-UNREAD": "no source: the analysis cannot read the term",
  "W-BYPASS": "derived: an anchor protects what the prediction needs",
  "E-REVERSED": "by definition: a step up the loss is no training for it; gradient reversal is for adversaries (Ganin et al., 2016)",
  "W-NARROW": "derived: what a prediction cannot say of its target is not held; SimSiam's predictor passes a quarter on (section 3: 512 of 2048)",
  "E-BLIND": "derived: what does not change with an encoder has no gradient of it",
};

/** Runs that stand behind a mechanism. */
export const mechanismSources: Readonly<Record<Mechanism["kind"], string>> = {
  "predictor and average": "BYOL, table 5b: 72.5; I-JEPA (Assran et al., 2023), table 7: 66.9 with 1 % of labels",
  "predictor and stop": "SimSiam, table 1: 67.7",
  "balanced codes": "DINO, table 7: 76.1; MSN (Assran et al., 2022)",
  "own embedding": "NEPA (2025), Fig. 3",
  anchor: "MAE (He et al., 2022); BEiT (Bao et al., 2022)",
  "pretrained target": "MaskFeat (Wei et al., 2022), table 2; SALT (2025)",
};

/** Runs that stand behind a protection by the objective. */
export const protectorSources: Readonly<Record<Protector["because"], string>> = {
  anchor: "MAE (He et al., 2022); I-JEPA, table 7 (pixels)",
  statistics: "Hua et al., 2021; Barlow Twins, table 5",
  whitening: "W-MSE (Ermolov et al., 2021)",
  balance: "SwAV (Caron et al., 2020), section 3; DINO, table 15: 71.8",
  encoder: "derived: the other encoder's own proof",
  negatives: "SimCLR (Chen et al., 2020); BYOL, table 5b: 69.4",
  correlation: "Barlow Twins, table 5: 71.4",
  variance: "VICReg, table 7: 68.6 with covariance, 57.5 without",
  normality: "LeJEPA (Balestriero and LeCun, 2025), 6.1 and table 4",
  neighbors: "KoLeo (Sablayrolles et al., 2019)",
  codes: "MSN (Assran et al., 2022), Prop. 1; SCAN (Van Gansbeke et al., 2020)",
  repulsion: "derived: computed at constants and at embeddings that are none; for such terms, Wang and Isola, 2020 (uniformity), HaoChen et al., 2021 (squared products), TiCo (Zhu et al., 2022)",
};
