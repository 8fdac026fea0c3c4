// Times of the stages of one machine: a base per stage, which hardly moves, times one speed for all of them, which may
// jump. A stage that was not run for long so still follows when the machine slows down.

/** Milliseconds a stage takes at speed 1. */
export type StageBases = Record<string, number>;

interface Stage {
  base: number;
  /** The last few, at speed 1. */
  recent: number[];
}

const RECENT = 5;
/** A stage with fewer samples is taken at its fastest: first runs compile and warm caches. */
const YOUNG = 3;
/** Times that differ from what is expected by more are a machine that changed, if the next one agrees. */
const ODD = 1.4;
/** Milliseconds below which a difference says nothing. */
const LEAST_MS = 0.5;
const STAGES = 200;

export class StageTimes {
  #stages = new Map<string, Stage>();
  #slowness = 1;
  #odd: number | undefined;

  /** How many times as long as in the beginning everything takes now. */
  get slowness(): number {
    return this.#slowness;
  }

  has(stage: string): boolean {
    return this.#stages.has(stage);
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

  /** @returns whether the machine changed its speed */
  observe(stage: string, ms: number): boolean {
    if (!Number.isFinite(ms) || ms < 0) return false;
    const known = this.#stages.get(stage);
    if (!known) {
      if (this.#stages.size < STAGES)
        this.#stages.set(stage, { base: ms / this.#slowness, recent: [ms / this.#slowness] });
      return false;
    }
    if (known.recent.length < YOUNG) return this.#settle(known, ms);
    const expected = known.base * this.#slowness;
    const off = ms / Math.max(expected, 1e-6);
    const odd = Math.abs(ms - expected) > LEAST_MS && (off > ODD || off < 1 / ODD);
    if (odd) {
      const before = this.#odd;
      this.#odd = off;
      if (before === undefined || before > 1 !== off > 1) return false;
      this.#slowness *= Math.sqrt(before * off);
      this.#odd = undefined;
      return true;
    }
    this.#odd = undefined;
    // Long stages tell more about the machine than short ones.
    this.#slowness *= 1 + ((0.2 * ms) / (ms + 2)) * (off - 1);
    return this.#settle(known, ms);
  }

  /** Bases at the speed of now, to be kept for another day. */
  bases(): StageBases {
    return Object.fromEntries([...this.#stages].map(([stage, { base }]) => [stage, base * this.#slowness]));
  }

  /** What was kept; a stage of which one knows so still counts as young. */
  restore(bases: StageBases): void {
    for (const [stage, base] of Object.entries(bases).slice(0, STAGES)) {
      if (Number.isFinite(base) && base >= 0 && !this.#stages.has(stage))
        this.#stages.set(stage, { base, recent: [base, base] });
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
