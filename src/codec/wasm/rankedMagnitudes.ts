// ATKF and MS of the WebAssembly slicer encoder: where the ranks of magnitudes fall that part blocks from one another and
// survivors from the rest, and which of several equal elements belong to which side.
import type { Arena } from './arena.ts';

/** Bytes of a search of the kernel, and of its scratch memory. */
const SEARCH_BYTES = 32;
const SCRATCH_BYTES = 164 * 1024;

/** The smallest magnitude on the upper side of a rank: elements of this magnitude only before index `until`. */
export interface Boundary {
  least: number;
  until: number;
}

interface Ranked {
  value: number;
  /** How many magnitudes are larger, how many are equal. */
  larger: number;
  equal: number;
}

/** Finds ranks among `total` patterns, of which the sign bit does not count. */
export class RankedMagnitudes {
  readonly #arena: Arena;
  readonly #values: number;
  readonly #total: number;
  readonly #searches: number;
  readonly #scratch: number;
  readonly #candidates: number;

  /** @param values address of the patterns; ELEMENT_SLACK bytes follow them */
  constructor(arena: Arena, values: number, total: number) {
    this.#arena = arena;
    this.#values = values;
    this.#total = total;
    this.#searches = arena.take(32 * SEARCH_BYTES);
    this.#scratch = arena.take(SCRATCH_BYTES);
    this.#candidates = arena.take(4 * total + 4);
    arena.grow();
  }

  /** @param ranks rising, from 1 to the number of values, at most 32 */
  at(ranks: readonly number[]): Ranked[] {
    const { kernels } = this.#arena;
    const searches = this.#arena.words(this.#searches, (ranks.length * SEARCH_BYTES) / 4);
    ranks.forEach((rank, i) => {
      searches[8 * i] = rank;
    });
    kernels.slicerSelect(
      this.#values,
      this.#total,
      this.#searches,
      ranks.length,
      this.#scratch,
      this.#candidates,
    );
    return ranks.map((_, i) => ({
      value: searches[8 * i + 1]!,
      larger: searches[8 * i + 2]!,
      equal: searches[8 * i + 4]!,
    }));
  }

  /** Where the elements of ranks 1…`rank` end; of equal ones the first. */
  boundary(rank: number, { value, larger, equal }: Ranked): Boundary {
    const taken = rank - larger;
    if (taken === equal) return { least: value, until: this.#total };
    const until = this.#arena.kernels.slicerBehindTie(this.#values, this.#total, value, taken);
    return { least: value, until };
  }
}
