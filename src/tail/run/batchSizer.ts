// How large a batch of one model at one cut should be: found by measuring, since on a CPU it depends on the model, the
// cut and the cores whether running together pays at all. And whether it is worth waiting a moment for a partner.

/** A larger batch must be this much faster per item: what it costs in waiting is certain. */
const WORTH = 0.97;
/** Runs of a size before its time is believed. */
const ENOUGH = 3;
/** After so many runs the next larger size is tried again, in case the measure was taken in a bad moment. */
const TRY_AGAIN = 200;
const WEIGHT = 0.2;
const ARRIVALS_WEIGHT = 0.1;
/** No timer is finer. */
const SHORTEST_WAIT = 1;

interface Measured {
  runs: number;
  /** Milliseconds an item, a moving average. */
  perItem: number;
}

export class BatchSizer {
  /** undefined: not known; false: items of one batch would not stay apart. */
  together: boolean | undefined;
  readonly #most: number;
  /** By the power of two at or below the number of rows. */
  readonly #measured = new Map<number, Measured>();
  #runs = 0;
  #gap = Number.POSITIVE_INFINITY;
  #lastArrival = Number.NEGATIVE_INFINITY;

  /** @param most largest batch in rows, a power of two or rounded down to one */
  constructor(most: number) {
    this.#most = 2 ** Math.floor(Math.log2(Math.max(1, most)));
  }

  /** Rows a batch may have now. */
  get limit(): number {
    if (this.together !== true || !this.#known(1)) return 1;
    const best = this.#best();
    const next = Math.min(this.#most, 2 * best);
    return this.#known(next) ? best : next;
  }

  /** @param ms that the run of `rows` rows took */
  ran(rows: number, ms: number): void {
    const size = Math.min(this.#most, 2 ** Math.floor(Math.log2(Math.max(1, rows))));
    const perItem = ms / rows;
    const measured = this.#measured.get(size);
    if (!measured) this.#measured.set(size, { runs: 1, perItem });
    // The first run of a size plans its memory; it is replaced, not averaged in.
    else {
      measured.perItem =
        measured.runs === 1 ? perItem : measured.perItem + WEIGHT * (perItem - measured.perItem);
      measured.runs++;
    }
    if (++this.#runs % TRY_AGAIN === 0) this.#measured.delete(2 * this.#best());
  }

  /** Of the sizes that are known, the last that paid. */
  #best(): number {
    let best = 1;
    for (let size = 2; size <= this.#most && this.#known(size); size *= 2)
      if (this.#perItem(size) < WORTH * this.#perItem(best)) best = size;
    return best;
  }

  #known(size: number): boolean {
    return (this.#measured.get(size)?.runs ?? 0) >= ENOUGH;
  }

  /** Something for this model came. @param now milliseconds of performance.now() */
  arrived(now: number): void {
    const gap = Math.min(1000, now - this.#lastArrival);
    this.#gap = Number.isFinite(this.#gap) ? this.#gap + ARRIVALS_WEIGHT * (gap - this.#gap) : gap;
    this.#lastArrival = now;
  }

  /**
   * Milliseconds to wait for a partner, 0 for none: only where one should come within that time, and running with it saves
   * the thread more than the wait costs.
   *
   * @param rows that are there
   * @param atMost milliseconds
   */
  wait(rows: number, atMost: number): number {
    if (atMost <= 0 || rows >= this.limit || this.#gap > atMost) return 0;
    const [one, now, then] = [this.#perItem(1), this.#perItem(rows), this.#perItem(rows + 1)];
    const saved = rows * now + one - (rows + 1) * then;
    return saved > Math.max(SHORTEST_WAIT, this.#gap)
      ? Math.min(atMost, Math.max(SHORTEST_WAIT, 2 * this.#gap))
      : 0;
  }

  /** Milliseconds an item takes in a batch of so many rows; that of the nearest smaller size that was measured. */
  #perItem(rows: number): number {
    for (let size = 2 ** Math.floor(Math.log2(rows)); size >= 1; size /= 2) {
      const measured = this.#measured.get(size);
      if (measured) return measured.perItem;
    }
    return 0;
  }
}

/** Models × cuts whose best batch is remembered; the oldest is measured again. */
const MOST_SIZERS = 1024;

/** One {@link BatchSizer} for each key. */
export class BatchSizers {
  readonly #most: number;
  readonly #sizers = new Map<string, BatchSizer>();

  /** @param most as for {@link BatchSizer} */
  constructor(most: number) {
    this.#most = most;
  }

  of(key: string): BatchSizer {
    const known = this.#sizers.get(key);
    if (known) return known;
    const [oldest] = this.#sizers.keys();
    if (oldest !== undefined && this.#sizers.size >= MOST_SIZERS) this.#sizers.delete(oldest);
    const sizer = new BatchSizer(this.#most);
    this.#sizers.set(key, sizer);
    return sizer;
  }
}
