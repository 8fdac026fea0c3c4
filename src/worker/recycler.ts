// Recycler: replaces a worker between two runs when it has run often enough, or holds too much memory, for browsers that never give
// memory back; not where a fresh one would hold as much. Calls wait for it like for a slow run. Ending and starting workers is spawn.ts'
// business.

export interface RecycleLimits {
  /** Runs of one worker. */
  runs?: number;
  /** WebAssembly and GPU memory together. */
  megabytes?: number;
}

/** What a worker holds after a run. */
export interface Held {
  bytes: number;
  /** Model and segments that it has: what a fresh worker holds with the same ones is the least. */
  having: string;
}

/** A model that needs more than the limit by itself is left until it has grown by so much. */
const GROWN = 1.5;

export class Recycler {
  readonly #limits: RecycleLimits;
  readonly #renew: () => Promise<void>;
  #renewing: Promise<void> | undefined;
  #drained: (() => void) | undefined;
  #busy = 0;
  #runs = 0;
  /** Whether the worker has taken another one's place here, and has not run yet. */
  #fresh = false;
  /** Bytes that fresh workers held after their first run. */
  readonly #least = new Map<string, number>();

  /** @param renew ends the worker and makes another one; what it throws is the next call's to meet */
  constructor(limits: RecycleLimits, renew: () => Promise<void>) {
    this.#limits = limits;
    this.#renew = renew;
  }

  /** Does `work` on one worker. `holds` tells what that holds afterwards; undefined where nothing was computed. */
  async during<T>(work: () => Promise<T>, holds: () => Held | undefined = () => undefined): Promise<T> {
    while (this.#renewing) await this.#renewing;
    this.#busy++;
    try {
      return await work();
    } finally {
      this.#busy--;
      const held = holds();
      if (held) this.#ran(held);
      if (this.#busy === 0) this.#drained?.();
    }
  }

  /** A worker that took the place of a dead one has run nothing. */
  reset(): void {
    this.#runs = 0;
    this.#fresh = true;
  }

  #ran({ bytes, having }: Held): void {
    const { runs = Number.POSITIVE_INFINITY, megabytes = Number.POSITIVE_INFINITY } = this.#limits;
    if (this.#fresh && this.#runs === 0) this.#least.set(having, bytes);
    this.#fresh = false;
    const most = Math.max(megabytes * 2 ** 20, GROWN * (this.#least.get(having) ?? 0));
    if (++this.#runs < runs && bytes < most) return;
    this.#renewing ??= this.#replace();
  }

  async #replace(): Promise<void> {
    if (this.#busy > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    this.#drained = undefined;
    this.reset();
    await this.#renew().catch(() => undefined);
    this.#renewing = undefined;
  }
}
