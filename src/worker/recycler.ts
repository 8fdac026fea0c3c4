// Recycler: replaces a worker between two runs when it has run often enough, or holds too much memory, for browsers that never give
// memory back. Calls wait for it like for a slow run. Ending and starting workers is spawn.ts' business.

export interface RecycleLimits {
  /** Runs of one worker. */
  runs?: number;
  /** WebAssembly and GPU memory together. */
  megabytes?: number;
}

export class Recycler {
  readonly #limits: RecycleLimits;
  readonly #renew: () => Promise<void>;
  #renewing: Promise<void> | undefined;
  #drained: (() => void) | undefined;
  #busy = 0;
  #runs = 0;

  /** @param renew ends the worker and makes another one; what it throws is the next call's to meet */
  constructor(limits: RecycleLimits, renew: () => Promise<void>) {
    this.#limits = limits;
    this.#renew = renew;
  }

  /** Does `work` on one worker. `bytes` tells what that holds afterwards; absent where nothing was computed. */
  async during<T>(work: () => Promise<T>, bytes: () => number | undefined): Promise<T> {
    while (this.#renewing) await this.#renewing;
    this.#busy++;
    try {
      return await work();
    } finally {
      this.#busy--;
      const held = bytes();
      if (held !== undefined) this.#ran(held);
      if (this.#busy === 0) this.#drained?.();
    }
  }

  /** A worker that took the place of a dead one has run nothing. */
  reset(): void {
    this.#runs = 0;
  }

  #ran(held: number): void {
    const { runs = Number.POSITIVE_INFINITY, megabytes = Number.POSITIVE_INFINITY } = this.#limits;
    if (++this.#runs < runs && held < megabytes * 2 ** 20) return;
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
