// Early exits on the way of a split candidate: what each of them takes, and the share of pictures that end there, which begins as
// calibrated and follows what is seen.

/** An exit that may end a run, as the planner needs it. */
export interface ExitOnTheWay {
  name: string;
  /** Index of the cut at which it is asked. */
  cut: number;
  /** Multiply-accumulates in millions, in the units of {@link Work}. */
  work: number;
  /** Share of all pictures that end there, as calibrated, 0…1. */
  coverage: number;
  /** Share of those with the whole model's answer, as calibrated, 0…1. */
  agreement: number;
}

/** Weight of one picture. */
const GAIN = 0.05;

export class ExitShares {
  readonly #seen = new Map<string, number>();

  /** @returns shares of all pictures that end at each of them, 0…1, together 1 at most */
  of(exits: readonly ExitOnTheWay[]): number[] {
    let left = 1;
    return exits.map(({ name, coverage }) => {
      const known = this.#seen.get(name) ?? coverage;
      const share = Math.min(left, Math.max(0, Number.isFinite(known) ? known : 0));
      left -= share;
      return share;
    });
  }

  /** @param ended name of the exit that answered; undefined where all of them let it pass */
  observe(exits: readonly ExitOnTheWay[], ended: string | undefined): void {
    const shares = this.of(exits);
    for (const [i, { name }] of exits.entries())
      this.#seen.set(name, shares[i]! + GAIN * ((name === ended ? 1 : 0) - shares[i]!));
  }
}
