// When nobody has asked the engine for anything for a while: the time for work that nobody waits for, such as tuning.

/** Long enough that a visitor who is at it is not disturbed. */
const QUIET_MS = 1000;

export class Quiet {
  #running = 0;
  #since = Number.POSITIVE_INFINITY;

  /** Marks `work` as something that somebody waits for. Before the first such work it is never quiet. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      this.#since = performance.now();
    }
  }

  /** Resolves when it is quiet, or when `signal` aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const rest = this.#running > 0 ? QUIET_MS : this.#since + QUIET_MS - performance.now();
      if (rest <= 0) return;
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, Math.min(rest, QUIET_MS));
        signal.addEventListener('abort', done, { once: true });
        function done() {
          clearTimeout(timer);
          signal.removeEventListener('abort', done);
          resolve();
        }
      });
    }
  }
}
