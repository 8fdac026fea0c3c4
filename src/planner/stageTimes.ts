// Times of the stages of one machine: a base per stage, which hardly moves, times one speed for all of them, which may
// jump. A stage that was not run for long so still follows when the machine slows down.

/** Milliseconds a stage takes at speed 1. */
export type StageBases = Record<string, number>;

interface Stage {
  base: number;
  /** As it was restored, until it is measured. */
  restored?: number;
  /** The first few, at speed 1, until it is no longer young. */
  first: number[];
  /** Variance of the base, in logarithms, when it was measured last. */
  variance: number;
  /** Number of that measurement. */
  measured: number;
}

/** A stage with fewer samples is taken at its fastest: first runs compile and warm caches. */
const YOUNG = 3;
/** What was measured once may take so much of that in truth, and what was measured twice. */
const ONCE = 0.3;
const FEW_TIMES = 0.9;
/** Variance of a base that is no longer young, and how much each measurement of whatever stage adds to that of every base. */
const FIRST_VARIANCE = 0.2 ** 2;
const STALE_VARIANCE = 0.02 ** 2;
const MOST_VARIANCE = 0.4 ** 2;
/** The same of the speed of the machine: it settles at some tenth of a measurement's own. */
const SPEED_VARIANCE = 0.05 ** 2;
/** Times that differ from what is expected by more are a machine that changed, if the next one agrees. */
const ODD = 1.4;
/** On a machine whose times differ much from each other by so many deviations, but at most that factor. */
const UNUSUAL = 2.5;
const MOST_ODD = 2.2;
/** Milliseconds below which a difference says nothing. */
const LEAST_MS = 0.5;
const STAGES = 200;
/** No stage takes longer: what says so is broken. */
const MOST_MS = 600_000;
/** Of the longest stage: what moves a short one by less is chance. */
const NOTABLE = 0.1;
/** A stage that was never run may take so many times what is expected of it without anything having changed. */
const UNLIKE = 2.5;

/** What is known besides a time itself. */
export interface Evidence {
  /** Something else says already that the machine changed: one odd time is enough. */
  sure?: boolean;
  /** Milliseconds that a stage never run before should take, going by others that are known. */
  expected?: number | undefined;
}

/**
 * Base and speed are estimated together, as by a Kalman filter with one gain for each: what is hardly known takes most of a
 * surprise. So a base that was measured in a bad moment does not stay wrong, and the first times of a stage do not move the others.
 */
export class StageTimes {
  #stages = new Map<string, Stage>();
  #slowness = 1;
  #speedVariance = SPEED_VARIANCE;
  /** Measurements of all stages. */
  #measured = 0;
  /** What was odd last, until the same stage takes its time again or another one agrees. */
  #odd: { stage: string; off: number } | undefined;
  /** How far times usually are from what is expected, in logarithms. */
  #noise = 0.1;

  /** How many times as long as in the beginning everything takes now. */
  get slowness(): number {
    return this.#slowness;
  }

  has(stage: string): boolean {
    return this.#stages.has(stage);
  }

  /** Share of what is known of a stage that it may take in truth: first runs compile, a few are chance, and old ones were long ago. */
  doubt(stage: string): number {
    const known = this.#stages.get(stage);
    if (!known) return 1;
    const times = known.first.length;
    const young = times === 1 ? ONCE : times < YOUNG ? FEW_TIMES : 1;
    return young * Math.exp(-Math.sqrt(this.#varianceOf(known)));
  }

  /** Whether it was measured too rarely to be believed. */
  young(stage: string): boolean {
    return (this.#stages.get(stage)?.first.length ?? 0) < YOUNG;
  }

  /** @returns milliseconds expected now, undefined where it was never measured */
  get(stage: string): number | undefined {
    const known = this.#stages.get(stage);
    return known && known.base * this.#slowness;
  }

  /** @returns 1 where that is too slow to be chance, -1 where it is too fast, else 0 */
  odd(stage: string, ms: number): number {
    const known = this.#stages.get(stage);
    if (!known || known.first.length < YOUNG) return 0;
    const expected = known.base * this.#slowness;
    const off = ms / Math.max(expected, 1e-6);
    const notable = Math.abs(ms - expected) > Math.max(LEAST_MS, NOTABLE * this.#longest * this.#slowness);
    const limit = this.#limit(known);
    return notable ? (off > limit ? 1 : off < 1 / limit ? -1 : 0) : 0;
  }

  /** @returns whether the machine changed its speed */
  observe(stage: string, ms: number, { sure = false, expected: scaled }: Evidence = {}): boolean {
    if (!(ms >= 0 && ms <= MOST_MS)) return false;
    this.#measured++;
    const known = this.#stages.get(stage);
    if (!known) {
      const times = ms / Math.max(scaled ?? ms, 1e-6);
      const changed = sure && times > UNLIKE;
      if (changed) this.#slowness *= times;
      if (this.#stages.size < STAGES) this.#stages.set(stage, this.#begun(ms / this.#slowness));
      return changed;
    }
    delete known.restored;
    if (known.first.length < YOUNG) {
      known.first.push(ms / this.#slowness);
      known.base = Math.min(...known.first);
      known.measured = this.#measured;
      return false;
    }
    const off = ms / Math.max(known.base * this.#slowness, 1e-6);
    const odd = this.odd(stage, ms) !== 0;
    const limit = this.#limit(known);
    if (known.base >= 0.5 * this.#longest) this.#wonder(off);
    if (odd) {
      const before = this.#odd?.off;
      this.#odd = { stage, off };
      const agrees = before !== undefined && before > 1 === off > 1;
      if (!agrees && !sure) return false;
      this.#slowness *= agrees ? Math.sqrt(before * off) : off;
      this.#odd = undefined;
      return true;
    }
    // A short stage that is off is chance, and says nothing either way about the machine.
    const alike = off <= limit && off >= 1 / limit;
    if (alike && this.#odd?.stage === stage) this.#odd = undefined;
    this.#settle(known, ms, off, alike);
    return false;
  }

  /**
   * Bases at the speed of now, to be kept for another day. What was restored and not measured stays as it was: a machine that gets
   * slow in every session would else multiply it every time.
   */
  bases(): StageBases {
    const stages = [...this.#stages];
    return Object.fromEntries(
      stages.map(([name, { base, restored }]) => [name, restored ?? base * this.#slowness]),
    );
  }

  /**
   * What was kept, whatever it is: it comes from storage. It counts as measured once, as the machine may have been hot or busy then,
   * or this may be another one that calls itself the same.
   */
  restore(bases: unknown): void {
    if (typeof bases !== 'object' || bases === null) return;
    for (const [stage, base] of Object.entries(bases).slice(0, STAGES)) {
      if (typeof base === 'number' && base >= 0 && base <= MOST_MS && !this.#stages.has(stage))
        this.#stages.set(stage, { ...this.#begun(base), restored: base });
    }
  }

  #begun(base: number): Stage {
    return { base, first: [base], variance: FIRST_VARIANCE, measured: this.#measured };
  }

  get #longest(): number {
    return Math.max(...[...this.#stages.values()].map(({ base }) => base));
  }

  #varianceOf({ variance, measured }: Stage): number {
    return Math.min(MOST_VARIANCE, variance + STALE_VARIANCE * (this.#measured - measured));
  }

  /** The factor by which such a stage's time may be off without anything having changed. */
  #limit(stage: Stage): number {
    const deviation = Math.sqrt(this.#varianceOf(stage) + this.#noise ** 2);
    return Math.min(MOST_ODD, Math.max(ODD, Math.exp(UNUSUAL * deviation)));
  }

  #wonder(off: number): void {
    const distance = Math.min(Math.abs(Math.log(Math.max(off, 1e-6))), 2 * this.#noise);
    this.#noise += 0.1 * (Math.max(0.02, distance) - this.#noise);
  }

  /** @param alike whether it says anything about the machine */
  #settle(stage: Stage, ms: number, off: number, alike: boolean): void {
    const base = this.#varianceOf(stage);
    const speed = alike ? this.#speedVariance : 0;
    // Long stages tell more than short ones, of which clocks and chance are a larger part.
    const own = (1.25 * this.#noise) ** 2 + (1 / Math.max(ms, 1e-3)) ** 2;
    const all = base + speed + own;
    const bounded = Math.min(off, MOST_ODD) - 1;
    stage.base *= 1 + (base / all) * bounded;
    stage.variance = base * (1 - base / all);
    stage.measured = this.#measured;
    this.#slowness *= 1 + (speed / all) * bounded;
    if (alike) this.#speedVariance = speed * (1 - speed / all) + SPEED_VARIANCE;
  }
}
