// Hedging: when the tail takes longer than it usually does, or is in trouble, the whole model begins here as well, and the
// first answer counts. It knows neither plans nor links; the session says what crossing and computing here mean.
import { anySignal } from '../abort.ts';
import { IsthmusError } from '../errors.ts';

/** Crossings that are remembered, how many it takes to know them, and what is waited until then. */
const WINDOW = 64;
const ENOUGH = 8;
const UNKNOWN_MS = 1000;
/** An answer that is late by less is not worth a run of the whole model. */
const LEAST_MS = 250;
/** A run here takes up to so much longer than the slowest of the last few, timers included. */
const LOCAL_WINDOW = 8;
const SLACK = 1.25;
const SLACK_MS = 30;

/** How long a run waits for the tail before the device begins as well. */
export class Patience {
  readonly #crossings: number[] = [];
  readonly #locals: number[] = [];

  /** Milliseconds of a crossing that was answered. Those that a local answer overtook have no time of their own. */
  crossed(ms: number): void {
    this.#crossings.push(ms);
    if (this.#crossings.length > WINDOW) this.#crossings.shift();
  }

  /** Milliseconds that the whole model took here, loading not counted. */
  computed(ms: number): void {
    this.#locals.push(ms);
    if (this.#locals.length > LOCAL_WINDOW) this.#locals.shift();
  }

  /**
   * The 95th percentile of recent crossings, 250 ms at least and 1 s while few are known; less where a deadline could
   * not be met here any more afterwards.
   *
   * @param leftMs until the deadline, if there is one; without a measured run here half of it is left to the device
   */
  ms(leftMs = Number.POSITIVE_INFINITY): number {
    const sorted = [...this.#crossings].sort((a, b) => a - b);
    const p95 = sorted[Math.ceil(0.95 * sorted.length) - 1];
    const usual = sorted.length < ENOUGH || p95 === undefined ? UNKNOWN_MS : Math.max(LEAST_MS, p95);
    const slowest = Math.max(...this.#locals);
    const latest = this.#locals.length === 0 ? leftMs / 2 : leftMs - SLACK * slowest - SLACK_MS;
    return Math.max(0, Math.min(usual, latest));
  }
}

export interface HedgeParts<C, L> {
  /** Asks the tail; `onTrouble` when a way there failed and another is going to be tried. */
  cross(signal: AbortSignal, onTrouble: (error: unknown) => void): Promise<C>;
  /** Runs the whole model here, once that is needed. The signal says that it is not any more; an answer is dropped then. */
  local(signal: AbortSignal): Promise<L>;
  patienceMs: number;
  /** Ends the crossing. */
  signal: AbortSignal;
}

export type Hedged<C, L> =
  | { by: 'tail'; answer: C }
  /** `trouble` is what is known to be wrong with the tail; without any it was only silent for `afterMs`. */
  | { by: 'device'; answer: L; trouble: IsthmusError | undefined; afterMs: number };

/**
 * Whichever answers first. The other's answer is dropped, and the tail is told that nobody waits for it any more.
 *
 * @throws what `cross` throws, where the device has not begun or fails too; never what only `local` throws
 */
export function hedge<C, L>({ cross, local, patienceMs, signal }: HedgeParts<C, L>): Promise<Hedged<C, L>> {
  const began = performance.now();
  const answered = new AbortController();
  return new Promise((resolve, reject) => {
    let over = false;
    let here: Promise<void> | undefined;
    let trouble: IsthmusError | undefined;
    const finish = (settle: () => void) => {
      if (over) return;
      over = true;
      clearTimeout(timer);
      settle();
      answered.abort();
    };
    const begin = () => {
      if (over || here || signal.aborted) return;
      const afterMs = performance.now() - began;
      here = local(anySignal(signal, answered.signal)).then(
        (answer) => finish(() => resolve({ by: 'device', answer, trouble, afterMs })),
        () => undefined, // the tail may still answer
      );
    };
    const timer = setTimeout(begin, Math.min(patienceMs, 0x7fffffff));
    const onTrouble = (thrown: unknown) => {
      if (thrown instanceof IsthmusError) trouble ??= thrown;
      begin();
    };
    cross(anySignal(signal, answered.signal), onTrouble).then(
      (answer) => finish(() => resolve({ by: 'tail', answer })),
      (thrown: unknown) => {
        clearTimeout(timer);
        if (thrown instanceof IsthmusError) trouble = thrown;
        const fail = () => finish(() => reject(thrown));
        if (here && !signal.aborted) here.then(fail);
        else fail();
      },
    );
  });
}
