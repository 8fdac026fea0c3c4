// Times of the stages of one machine: a base per stage, which hardly moves, times one speed for all of them, which may
// jump. A stage that was not run for long so still follows when the machine slows down.

/** Milliseconds a stage takes at speed 1. */
export type StageBases = Record<string, number>;

interface Stage {
  base: number;
  /** As it was restored, until it is measured. */
  restored?: number;
  /** The last few, at speed 1. */
  recent: number[];
}

const RECENT = 5;
/** A stage with fewer samples is taken at its fastest: first runs compile and warm caches. */
const YOUNG = 3;
/** What was measured once may take so much of that in truth, and what was measured twice. */
const ONCE = 0.3;
const FEW_TIMES = 0.9;
/** Times that differ from what is expected by more are a machine that changed, if the next one agrees. */
const ODD = 1.4;
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

export class StageTimes {
  #stages = new Map<string, Stage>();
  #slowness = 1;
  /** What was odd last, until the same stage takes its time again or another one agrees. */
  #odd: { stage: string; off: number } | undefined;

  /** How many times as long as in the beginning everything takes now. */
  get slowness(): number {
    return this.#slowness;
  }

  has(stage: string): boolean {
    return this.#stages.has(stage);
  }

  /** Share of what is known of a stage that it may take in truth: first runs compile, and a few are chance. */
  doubt(stage: string): number {
    const times = this.#stages.get(stage)?.recent.length ?? 0;
    return times === 1 ? ONCE : times < YOUNG ? FEW_TIMES : 1;
  }

  /** Whether it was measured too rarely to be believed. */
  young(stage: string): boolean {
    return (this.#stages.get(stage)?.recent.length ?? 0) < YOUNG;
  }

  /** @returns milliseconds expected now, undefined where it was never measured */
  get(stage: string): number | undefined {
    const known = this.#stages.get(stage);
    return known && known.base * this.#slowness;
  }

  /** @returns 1 where that is too slow to be chance, -1 where it is too fast, else 0 */
  odd(stage: string, ms: number): number {
    const known = this.#stages.get(stage);
    if (!known || known.recent.length < YOUNG) return 0;
    const expected = known.base * this.#slowness;
    const off = ms / Math.max(expected, 1e-6);
    const longest = Math.max(...[...this.#stages.values()].map(({ base }) => base)) * this.#slowness;
    const notable = Math.abs(ms - expected) > Math.max(LEAST_MS, NOTABLE * longest);
    return notable ? (off > ODD ? 1 : off < 1 / ODD ? -1 : 0) : 0;
  }

  /** @returns whether the machine changed its speed */
  observe(stage: string, ms: number, { sure = false, expected: scaled }: Evidence = {}): boolean {
    if (!(ms >= 0 && ms <= MOST_MS)) return false;
    const known = this.#stages.get(stage);
    if (!known) {
      const times = ms / Math.max(scaled ?? ms, 1e-6);
      const changed = sure && times > UNLIKE;
      if (changed) this.#slowness *= times;
      if (this.#stages.size < STAGES)
        this.#stages.set(stage, { base: ms / this.#slowness, recent: [ms / this.#slowness] });
      return changed;
    }
    delete known.restored;
    if (known.recent.length < YOUNG) return this.#settle(known, ms);
    const expected = known.base * this.#slowness;
    const off = ms / Math.max(expected, 1e-6);
    if (this.odd(stage, ms) !== 0) {
      const before = this.#odd?.off;
      this.#odd = { stage, off };
      const agrees = before !== undefined && before > 1 === off > 1;
      if (!agrees && !sure) return false;
      this.#slowness *= agrees ? Math.sqrt(before * off) : off;
      this.#odd = undefined;
      return true;
    }
    // A short stage that is off is chance, and says nothing either way about the machine.
    if (off > ODD || off < 1 / ODD) return this.#settle(known, ms);
    if (this.#odd?.stage === stage) this.#odd = undefined;
    // Long stages tell more about the machine than short ones.
    this.#slowness *= 1 + ((0.2 * ms) / (ms + 2)) * (off - 1);
    return this.#settle(known, ms);
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
        this.#stages.set(stage, { base, restored: base, recent: [base] });
    }
  }

  #settle(stage: Stage, ms: number): false {
    stage.recent.push(ms / this.#slowness);
    const young = stage.recent.length <= YOUNG;
    if (stage.recent.length > RECENT) stage.recent.shift();
    stage.base = young ? Math.min(...stage.recent) : stage.base + 0.02 * (median(stage.recent) - stage.base);
    return false;
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
