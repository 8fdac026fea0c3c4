// How the codec benchmark takes times, in Node and in a page: medians of alternating runs, as many as fit a time budget.

export interface Budget {
  /** Milliseconds for all runs of one group together. */
  ms: number;
  /** Rounds at most. */
  rounds: number;
}

const WARM_UPS = 2;
const LEAST_ROUNDS = 3;

/**
 * Runs all in turn, again and again, so that what slows the machine down slows every one alike and ratios hold.
 *
 * @returns the median milliseconds of each
 */
export async function medianTimes(
  runs: Readonly<Record<string, () => unknown>>,
  budget: Budget,
): Promise<Record<string, number>> {
  const entries = Object.entries(runs);
  const times = entries.map((): number[] => []);
  for (let round = 0; round < WARM_UPS; round++) for (const [, run] of entries) await run();
  const end = performance.now() + budget.ms;
  for (let round = 0; round < budget.rounds; round++) {
    if (round >= LEAST_ROUNDS && performance.now() > end) break;
    for (const [i, [, run]] of entries.entries()) {
      const start = performance.now();
      const pending = run();
      if (pending instanceof Promise) await pending; // not otherwise: a turn of the event loop costs microseconds
      times[i]!.push(performance.now() - start);
    }
  }
  return Object.fromEntries(entries.map(([name], i) => [name, middle(times[i]!)]));
}

function middle(times: number[]): number {
  times.sort((a, b) => a - b);
  const half = times.length >> 1;
  return times.length % 2 ? times[half]! : (times[half - 1]! + times[half]!) / 2;
}
