// When an exit may answer: the rule and threshold that let most pictures end there while what ends there agrees with the whole model.
// Arithmetic on answers that were collected elsewhere.

import { EXIT_RULES, exitValue } from '../model/exitRule.ts';
import type { ExitRule } from '../model/manifest.ts';
import { isAtLeast } from './intervals.ts';

/** One picture at an exit. */
export interface ExitTrial {
  /** Class probabilities of the exit. */
  exit: Float64Array;
  /** Whether its best class is the whole model's. */
  agrees: boolean;
}

export interface ExitThreshold {
  rule: ExitRule;
  value: number;
  /** Of `trials` how many end here, and how many of these agree. */
  exited: number;
  agreeing: number;
}

/** How sure it must be that the agreement is kept: one threshold in ten would be too weak if only one were tried. */
const CONFIDENCE = 0.9;

/**
 * For each rule the weakest threshold at which the one-sided 90 % limit of Clopper and Pearson on the agreement is high enough: a few
 * pictures that all agree prove nothing. Of the rules the one that lets most pictures end; the first of confidence, margin, entropy
 * on ties. Many thresholds are tried, so what it promises has to be measured on other pictures.
 *
 * @param agreement share of the pictures that end here which must agree, 0…1
 * @returns undefined where no threshold is good enough
 */
export function exitThreshold(trials: readonly ExitTrial[], agreement: number): ExitThreshold | undefined {
  let best: ExitThreshold | undefined;
  for (const rule of EXIT_RULES) {
    const found = weakest(trials, rule, agreement);
    if (found && found.exited > (best?.exited ?? 0)) best = found;
  }
  return best;
}

function weakest(trials: readonly ExitTrial[], rule: ExitRule, agreement: number): ExitThreshold | undefined {
  // Surest first; entropy is the other way round.
  const sign = rule === 'entropy' ? 1 : -1;
  const sorted = trials
    .map(({ exit, agrees }) => ({ value: exitValue(rule, exit), agrees }))
    .sort((a, b) => sign * (a.value - b.value));
  let best: ExitThreshold | undefined;
  let agreeing = 0;
  for (const [i, { value, agrees }] of sorted.entries()) {
    if (agrees) agreeing++;
    const next = sorted[i + 1]?.value;
    if (next === value) continue; // what is equally sure ends together
    const exited = i + 1;
    if (!isAtLeast(agreeing, exited, agreement, CONFIDENCE)) continue;
    best = { rule, value: rounded(value, next ?? value), exited, agreeing };
  }
  return best;
}

/** A short number that parts the two: the weakest picture that ends and the surest that does not. */
function rounded(ends: number, goesOn: number): number {
  for (let digits = 3; digits < 9; digits++) {
    const value = Number(((ends + goesOn) / 2).toFixed(digits));
    if (
      ends === goesOn
        ? value === ends
        : ends > goesOn
          ? value <= ends && value > goesOn
          : value >= ends && value < goesOn
    )
      return value;
  }
  return ends;
}
