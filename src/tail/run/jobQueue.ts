// The queue in front of the threads: bounded, the urgent first, equals in order of arrival. It knows nothing of threads.

/** What the queue must know of an entry. */
export interface Queued {
  /** Arrival, in milliseconds of performance.now(). */
  since: number;
  /** 0 (first) to 7: RFC 9218. */
  urgency: number;
  /** Entries with the same key may run together. */
  together?: string | undefined;
  /** How many rows of a batch it is. */
  rows: number;
}

/**
 * One step of urgency is worth this much waiting. So a request of urgency 7 stands behind those of urgency 3 that came up
 * to four steps after it, never behind those that came later: it waits longer, but not for ever, whatever else comes.
 */
export const AGING_MS = 500;

const rank = ({ since, urgency }: Queued) => since + urgency * AGING_MS;

/** Order is by arrival plus {@link AGING_MS} a step of urgency. */
export class JobQueue<T extends Queued> {
  readonly limit: number;
  #entries: T[] = [];

  constructor(limit: number) {
    this.limit = limit;
  }

  get length(): number {
    return this.#entries.length;
  }

  get full(): boolean {
    return this.#entries.length >= this.limit;
  }

  push(entry: T): void {
    let [low, high] = [0, this.#entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (rank(this.#entries[middle]!) <= rank(entry)) low = middle + 1;
      else high = middle;
    }
    this.#entries.splice(low, 0, entry);
  }

  /** @returns whether it was there */
  remove(entry: T): boolean {
    const at = this.#entries.indexOf(entry);
    if (at >= 0) this.#entries.splice(at, 1);
    return at >= 0;
  }

  /** The first that fits; it stays. */
  find(fits: (entry: T) => boolean): T | undefined {
    return this.#entries.find(fits);
  }

  /** Rows of all that may run together under this key. */
  rows(key: string): number {
    return this.#entries.reduce((sum, e) => sum + (e.together === key ? e.rows : 0), 0);
  }

  /** Removes `first` and, in their order, others of its key that fit beside it into a batch of `rows`. */
  takeWith(first: T, rows: number): T[] {
    let room = rows - first.rows;
    const taken = [first];
    this.#entries = this.#entries.filter((entry) => {
      if (entry === first) return false;
      if (first.together === undefined || entry.together !== first.together || entry.rows > room) return true;
      room -= entry.rows;
      taken.push(entry);
      return false;
    });
    return taken;
  }

  /** Removes all. */
  drain(): T[] {
    return this.#entries.splice(0);
  }
}
