// Outage: whether the tail is out of reach, and when the next request may try it. Tries become rarer with each that fails.

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 60_000;
const GROWTH = 1.4;
/** Share by which pauses differ, so that many clients do not come back at once. */
const JITTER = 0.2;

export class Outage {
  readonly #random: () => number;
  #pause = FIRST_PAUSE_MS;
  #nextTry: number | undefined;
  #tries = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  get on(): boolean {
    return this.#nextTry !== undefined;
  }

  /** How much longer than usual the next try may take: a link that came back may be a slower one. */
  get leniency(): number {
    return 1.2 ** Math.min(14, this.#tries);
  }

  /** Failures while one is known of say nothing new: {@link mayTry} has counted them. */
  begins(now: number): void {
    if (this.#nextTry === undefined) this.#later(now);
  }

  /** One request at a time: after a yes, no other one before the pause is over. */
  mayTry(now: number): boolean {
    if (this.#nextTry === undefined) return true;
    if (now < this.#nextTry) return false;
    this.#tries++;
    this.#later(now);
    return true;
  }

  over(): void {
    this.#nextTry = undefined;
    this.#tries = 0;
    this.#pause = FIRST_PAUSE_MS;
  }

  #later(now: number): void {
    this.#nextTry = now + this.#pause * (1 + JITTER * (2 * this.#random() - 1));
    this.#pause = Math.min(LONGEST_PAUSE_MS, this.#pause * GROWTH);
  }
}
