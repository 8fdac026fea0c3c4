// Hedging: when the tail takes longer than it usually does, or is in trouble, the whole model begins here as well, and the
// first answer counts; where both began on purpose, the second is heard as well. It knows neither plans nor links; the session says
// what crossing and computing here mean.
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

  /** Milliseconds that the whole model took here: its stages, not what was waited for before (loads, other runs, a device made anew). */
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
  /** Lets the second end as well and tells of it, where it is worth hearing; so many milliseconds after sending a crossing may take. */
  late?: { ms: number; heard(second: Second<C, L>): void } | undefined;
}

export type Hedged<C, L> =
  | { by: 'tail'; answer: C }
  /** `trouble` is what is known to be wrong with the tail; without any it was only silent for `afterMs`. */
  | { by: 'device'; answer: L; trouble: IsthmusError | undefined; afterMs: number };

export type Second<C, L> =
  | { by: 'tail'; answer: C }
  | { by: 'device'; answer: L }
  /** A crossing that failed, or that was given up, which is no error. */
  | { by: 'nobody'; error: IsthmusError | undefined; afterMs: number };

/**
 * Whichever answers first. The other's answer is dropped, and the tail is told that nobody waits for it any more.
 *
 * @throws what `cross` throws, where the device has not begun or fails too; never what only `local` throws
 */
export function hedge<C, L>({
  cross,
  local,
  patienceMs,
  signal,
  late,
}: HedgeParts<C, L>): Promise<Hedged<C, L>> {
  const began = performance.now();
  const answered = new AbortController();
  return new Promise((resolve, reject) => {
    let first: 'tail' | 'device' | 'nobody' | undefined;
    let here: Promise<void> | undefined;
    let trouble: IsthmusError | undefined;
    const elapsed = () => performance.now() - began;
    const finish = (by: typeof first, settle: () => void) => {
      if (first) return;
      first = by;
      clearTimeout(timer);
      settle();
      if (!late || by === 'nobody') answered.abort();
      else if (by === 'device' && !trouble) timer = setTimeout(giveUp, Math.max(0, late.ms - elapsed()));
    };
    const giveUp = () => {
      answered.abort();
      heard({ by: 'nobody', error: undefined, afterMs: elapsed() });
    };
    const heard = (second: Second<C, L>) => {
      if (!late || !first || first === second.by || first === 'nobody' || signal.aborted) return;
      clearTimeout(timer);
      first = 'nobody'; // there is no third
      late.heard(second);
    };
    const begin = () => {
      if (first || here || signal.aborted) return;
      const afterMs = elapsed();
      here = local(anySignal(signal, answered.signal)).then(
        (answer) => {
          heard({ by: 'device', answer });
          finish('device', () => resolve({ by: 'device', answer, trouble, afterMs }));
        },
        () => undefined, // the tail may still answer
      );
    };
    let timer = setTimeout(begin, Math.min(patienceMs, 0x7fffffff));
    const onTrouble = (thrown: unknown) => {
      if (thrown instanceof IsthmusError) trouble ??= thrown;
      begin();
    };
    cross(anySignal(signal, answered.signal), onTrouble).then(
      (answer) => {
        heard({ by: 'tail', answer });
        finish('tail', () => resolve({ by: 'tail', answer }));
      },
      (thrown: unknown) => {
        clearTimeout(timer);
        if (thrown instanceof IsthmusError) trouble = thrown;
        heard({ by: 'nobody', error: trouble, afterMs: elapsed() });
        const fail = () => finish('nobody', () => reject(thrown));
        if (here && !signal.aborted) here.then(fail);
        else fail();
      },
    );
  });
}
