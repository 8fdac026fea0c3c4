// Finds the step at which a profile loses just what it may, by trying steps with the real codec and the real tail.

export interface Trial {
  /** Mean bytes per picture. */
  bytes: number;
  /** Mean divergence of the answers from those of the whole model, in nats. */
  loss: number;
}

export interface StepFound extends Trial {
  /** Fixed-point units, 1…65536. */
  step: number;
}

/** Trials at most; each runs every trial picture through codec and tail. */
const MOST_TRIALS = 10;
/** A loss between this share of the allowed one and the allowed one is near enough. */
const NEAR = 0.95;
/** Loss grows about with this power of the step; where two trials are known they say it better. */
const USUAL_POWER = 1.5;

/**
 * The largest step whose loss is at most `allowed`, nearly; the smallest tried when none is. Losses are taken to rise with
 * the step, and interpolated in logarithms.
 */
export async function findStep(
  first: number,
  allowed: number,
  trial: (step: number) => Promise<Trial>,
): Promise<StepFound> {
  let below: StepFound | undefined; // the coarsest that holds
  let above: StepFound | undefined; // the finest that does not
  let step = limited(first);
  for (let i = 0; i < MOST_TRIALS; i++) {
    const found = { step, ...(await trial(step)) };
    if (found.loss <= allowed) below = found;
    else above = found;
    if (below && below.loss >= NEAR * allowed) break;
    const next = nextStep(below, above, allowed);
    if (next === step || next === below?.step || next === above?.step) break;
    step = next;
  }
  return (below ?? above)!;
}

function nextStep(below: StepFound | undefined, above: StepFound | undefined, allowed: number): number {
  // Aim a little below, so that the last trial tends to hold.
  const aim = Math.log(allowed * (1 + NEAR) * 0.5);
  const log = (trial: StepFound) => Math.log(Math.max(1e-9, trial.loss));
  if (below && above) {
    const share = (aim - log(below)) / (log(above) - log(below) || 1);
    const inside = Math.min(0.9, Math.max(0.1, share));
    const step = Math.round(below.step * (above.step / below.step) ** inside);
    return Math.min(above.step - 1, Math.max(below.step + 1, step));
  }
  const known = (below ?? above)!;
  const factor = Math.exp((aim - log(known)) / USUAL_POWER);
  // A jump beyond the goal makes a bracket; a timid one costs another trial.
  const jump = below ? Math.min(8, Math.max(1.15, factor)) : Math.max(1 / 8, Math.min(0.87, factor));
  return limited(Math.round(known.step * jump));
}

const limited = (step: number) => Math.min(65536, Math.max(1, Math.round(step)));
