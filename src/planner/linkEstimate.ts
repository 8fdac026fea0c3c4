// What the link costs: t = rtt + up · bytesUp + down · bytesDown, fitted to real messages by recursive least squares with
// forgetting. It sends nothing; whoever sends tells it what was measured.

/** One message as it was measured. */
export interface LinkSample {
  bytesUp: number;
  bytesDown: number;
  /** Milliseconds on the way, there and back: wall clock less every stage of the server. */
  ms: number;
  /** Milliseconds since the sample before; what is old counts less. */
  sinceMs?: number;
}

type Triple = [number, number, number];

/** Share of its weight that a sample keeps with each one after it. */
const KEEP = 0.85;
/** And after so long without any. */
const OLD_MS = 4000;
/** Before anything was measured: 40 ms and 10 Mbit/s, told with little confidence. */
const FIRST: Triple = [40, 8e-4, 8e-4];
const FIRST_SPREAD: Triple = [40, 4e-3, 4e-3];
const FIRST_DEVIATION_MS = 4;
/** 10 Gbit/s: no link is faster. */
const LEAST_SLOPE = 8e-7;
/** Milliseconds within which two messages over the same link differ. */
const NOISE_MS = 1;
/** Before so many messages nothing can be told from chance: first ones open connections, and compile. */
const FEW = 3;
/** Slopes are never known better than to some of this, 20 Mbit/s: where they look like nothing, messages were too much alike. */
const LEAST_DOUBT = 4e-4;

/**
 * The estimate in information form: the normal equations of the weighted samples, plus a weak pull to where the estimate was
 * (Ljung, System Identification, 11.2, with that pull against the wind-up of forgetting). Messages that all weigh the same say
 * nothing about the slopes, which then stay where they were.
 */
export class LinkEstimate {
  #theta: Triple = [...FIRST];
  #anchor: Triple = [...FIRST];
  #spread: Triple = [...FIRST_SPREAD];
  #matrix: number[][] = zeros();
  #vector: Triple = [0, 0, 0];
  #deviation = FIRST_DEVIATION_MS;
  #odd: (LinkSample & { sign: number }) | undefined;
  #samples = 0;
  /** The best that this link has been lately, which drifts towards what it is now. */
  #best: Triple = [...FIRST];

  get samples(): number {
    return this.#samples;
  }

  /** Milliseconds of an empty message there and back. */
  get rttMs(): number {
    return this.#theta[0];
  }

  /** Bits a second upwards. */
  get bitsPerSecond(): number {
    return 8000 / this.#theta[1];
  }

  /** Mean distance of messages from their prediction, milliseconds. */
  get deviationMs(): number {
    return this.#deviation;
  }

  /** @returns milliseconds that such a message would take */
  predict(bytesUp: number, bytesDown: number): number {
    return dot(this.#theta, [1, bytesUp, bytesDown]);
  }

  /**
   * Milliseconds by which the prediction may be off, one standard deviation: much, where all messages weighed the same, and where
   * the last one is long ago.
   */
  spreadOf(bytesUp: number, bytesDown: number, sinceMs = 0): number {
    const x: Triple = [1, bytesUp, bytesDown];
    const { matrix } = this.#normal(Math.exp(-Math.max(0, sinceMs) / OLD_MS));
    return Math.sqrt(Math.max(0, dot(x, solve(matrix, x))));
  }

  /** The same on the best link of late: what a probe could find. */
  predictBest(bytesUp: number, bytesDown: number): number {
    return dot(this.#best, [1, bytesUp, bytesDown]);
  }

  /**
   * @param sure whether one message that is far off is enough to tell; otherwise the next one has to agree
   * @returns whether the link is another one now, as against a message that was late by chance
   */
  observe(sample: LinkSample, sure = false): boolean {
    if (![sample.ms, sample.bytesUp, sample.bytesDown].every((x) => Number.isFinite(x) && x >= 0))
      return false;
    const first = this.#samples++ === 0;
    const few = this.#samples <= FEW && !sure;
    this.#age(sample.sinceMs ?? 0);
    const expected = this.predict(sample.bytesUp, sample.bytesDown);
    const residual = sample.ms - expected;
    const usual = this.#usual(expected);
    const sign = Math.sign(residual);
    const odd = !few && Math.abs(residual) > usual;
    // Connections were opened, sessions compiled: what came before says nothing about the link.
    if (few && !first && sample.ms < expected / 2) this.#restart();
    const again = this.#odd?.sign === sign ? this.#odd : undefined;
    const changed = odd && (again !== undefined || sure || sign < 0);
    // Messages are late by chance, but never early: one that is early tells of a better link by itself.
    if (changed) {
      this.#forget();
      if (again) this.#add(again, 1);
      this.#add(sample, 1);
      this.#odd = undefined;
    } else {
      this.#odd = odd ? { ...sample, sign } : undefined;
      // One late message is no other link: it counts for little until the next one agrees.
      this.#add(sample, odd ? 0.25 : 1);
    }
    this.#solve();
    if (!first && !changed) {
      const distance = Math.min(Math.abs(residual), 2 * usual);
      this.#deviation += 0.1 * (Math.max(NOISE_MS / 4, distance) - this.#deviation);
    }
    for (let i = 0; i < 3; i++) {
      const now = this.#theta[i]!;
      this.#best[i] = Math.min(now, this.#best[i]! + 0.01 * (now - this.#best[i]!));
      this.#anchor[i]! += (changed ? 1 : 0.1) * (now - this.#anchor[i]!);
    }
    this.#spread = narrow(this.#anchor);
    return changed;
  }

  /** Whether such a message is what this link would make of it. */
  fits({ bytesUp, bytesDown, ms }: LinkSample): boolean {
    const expected = this.predict(bytesUp, bytesDown);
    return Math.abs(ms - expected) <= this.#usual(expected);
  }

  #usual(expectedMs: number): number {
    return Math.max(2, 3 * this.#deviation, 0.2 * expectedMs);
  }

  #restart(): void {
    this.#matrix = zeros();
    this.#vector = [0, 0, 0];
    this.#anchor = [...FIRST];
    this.#spread = [...FIRST_SPREAD];
  }

  copy(): LinkEstimate {
    const copy = new LinkEstimate();
    copy.#theta = [...this.#theta];
    copy.#anchor = [...this.#anchor];
    copy.#spread = [...this.#spread];
    copy.#matrix = this.#matrix.map((row) => [...row]);
    copy.#vector = [...this.#vector];
    copy.#deviation = this.#deviation;
    copy.#odd = this.#odd;
    copy.#samples = this.#samples;
    copy.#best = [...this.#best];
    return copy;
  }

  /** Another link: what was measured no longer counts, and the bandwidth is what most likely moved. */
  #forget(): void {
    this.#matrix = zeros();
    this.#vector = [0, 0, 0];
    this.#anchor = [...this.#theta];
    this.#spread = wide(this.#anchor);
  }

  #age(sinceMs: number): void {
    const kept = KEEP * Math.exp(-Math.max(0, sinceMs) / OLD_MS);
    this.#matrix = this.#matrix.map((row) => row.map((a) => kept * a));
    this.#vector = this.#vector.map((b) => kept * b) as Triple;
  }

  #add({ bytesUp, bytesDown, ms }: LinkSample, weight: number): void {
    const x: Triple = [1, bytesUp, bytesDown];
    for (let i = 0; i < 3; i++) {
      for (let j = 0; j < 3; j++) this.#matrix[i]![j] = this.#matrix[i]![j]! + weight * x[i]! * x[j]!;
      this.#vector[i] = this.#vector[i]! + weight * x[i]! * ms;
    }
  }

  /** Parameters that come out below what is possible are held there, and the others are solved again. */
  #solve(): void {
    const least: Triple = [0, LEAST_SLOPE, LEAST_SLOPE];
    const held = new Set<number>();
    const { matrix, vector } = this.#normal();
    for (let round = 0; round < 3; round++) {
      this.#theta = solve(
        matrix.map((row, i) => row.map((a, j) => (held.has(i) ? Number(i === j) : a))),
        vector.map((b, i) => (held.has(i) ? least[i]! : b)),
      );
      const low = this.#theta.findIndex((value, i) => !held.has(i) && value < least[i]!);
      if (low < 0) return;
      held.add(low);
    }
    this.#theta = this.#theta.map((value, i) => Math.max(value, least[i]!)) as Triple;
  }

  /** The normal equations, with the pull to the anchor. */
  #normal(share = 1): { matrix: number[][]; vector: number[] } {
    const certainty = share / Math.max(NOISE_MS, this.#deviation) ** 2;
    const pull = this.#spread.map((spread) => 1 / spread ** 2);
    return {
      matrix: this.#matrix.map((row, i) => row.map((a, j) => certainty * a + (i === j ? pull[i]! : 0))),
      vector: this.#vector.map((b, i) => certainty * b + pull[i]! * this.#anchor[i]!),
    };
  }
}

const zeros = () => [
  [0, 0, 0],
  [0, 0, 0],
  [0, 0, 0],
];
const doubt = (slope: number) => Math.max(slope, LEAST_DOUBT);
const narrow = ([rtt, up, down]: Triple): Triple => [0.3 * rtt + 2, 2 * doubt(up), 2 * doubt(down)];
/** Bandwidths change by powers of ten, round trips by parts. */
const wide = ([rtt, up, down]: Triple): Triple => [0.15 * rtt + 1, 6 * doubt(up), 0.5 * doubt(down)];
const dot = (a: Triple, b: Triple) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];

/** Three equations by elimination with the largest pivot; the diagonal is positive, so there is one. */
function solve(matrix: number[][], vector: number[]): Triple {
  const rows = matrix.map((row, i) => [...row, vector[i]!]);
  for (let k = 0; k < 3; k++) {
    let pivot = k;
    for (let i = k + 1; i < 3; i++) if (Math.abs(rows[i]![k]!) > Math.abs(rows[pivot]![k]!)) pivot = i;
    [rows[k], rows[pivot]] = [rows[pivot]!, rows[k]!];
    for (let i = k + 1; i < 3; i++) {
      const share = rows[i]![k]! / rows[k]![k]!;
      for (let j = k; j < 4; j++) rows[i]![j]! -= share * rows[k]![j]!;
    }
  }
  const result: Triple = [0, 0, 0];
  for (let i = 2; i >= 0; i--) {
    let rest = rows[i]![3]!;
    for (let j = i + 1; j < 3; j++) rest -= rows[i]![j]! * result[j]!;
    result[i] = rest / rows[i]![i]!;
  }
  return result;
}
