// The main pass of the WebAssembly slicer encoder and what it leaves in memory: a bitmap of the survivors, a byte for each
// with its block and sign, and the codes of every block. Packing comes after it.
import type { Arena } from './arena.ts';
import type { Boundary } from './rankedMagnitudes.ts';

/** Elements that the kernel takes at once, and blocks in its tables. */
const GROUP = 16;
/** Bytes that kernels may overwrite behind a row of bytes. */
const SLACK = 32;

/** A block that is not empty: survivors in it, smallest and largest magnitude in fixed point. */
export interface Span {
  size: number;
  lo: number;
  hi: number;
}

export interface Split {
  exponent: number;
  /** Where each block ends, largest magnitudes first. */
  boundaries: readonly Boundary[];
  spans: readonly Span[];
}

export class Classifier {
  readonly bitmap: number;
  /** Survivors' bytes: block, and 0x80 if negative. */
  readonly meta: number;
  /** Codes of each block, a byte each. */
  readonly codes: readonly number[];
  readonly survivors: number;
  readonly #arena: Arena;
  readonly #source: number;
  readonly #total: number;
  readonly #split: Split;
  readonly #least: number;
  readonly #quantisers: number;
  readonly #ends: number;
  readonly #histogram: number;

  /** @param source address of the finite patterns; ELEMENT_SLACK zero bytes follow them */
  constructor(arena: Arena, source: number, total: number, split: Split) {
    this.#arena = arena;
    this.#source = source;
    this.#total = total;
    this.#split = split;
    const { spans } = split;
    this.survivors = spans.reduce((sum, { size }) => sum + size, 0);
    this.bitmap = arena.take(Math.ceil(total / 32) * 4);
    this.meta = arena.take(this.survivors + SLACK);
    this.codes = spans.map(({ size }) => arena.take(size + SLACK));
    this.#least = arena.take(4 * GROUP * spans.length);
    this.#quantisers = arena.take(4 * 4 * GROUP);
    this.#ends = arena.take(4 * GROUP);
    this.#histogram = arena.take(4 * 1024);
    arena.grow();
    arena.words(this.bitmap, Math.ceil(total / 32)).fill(0, -1); // the kernel writes half words
  }

  /** Goes over all elements, with so many bits per code of each block. */
  run(widths: readonly number[]): void {
    this.#setQuantisers(widths);
    this.#arena.words(this.#ends, this.codes.length).set(this.codes);
    // Boundaries are the same for all elements between two ties that are cut in two.
    const { boundaries } = this.#split;
    const cuts = boundaries.map(({ until }) => until).filter((until) => until < this.#total);
    let next = { from: 0, meta: this.meta };
    for (const cut of new Set(cuts.map((until) => until - (until % GROUP)).sort((a, b) => a - b))) {
      next = this.#classify(next, cut);
      next = this.#classify(next, Math.min(cut + GROUP, this.#padded()));
    }
    this.#classify(next, this.#padded());
  }

  /** Counts of the 256 codes of a block. */
  histogram(block: number): Uint32Array {
    this.#arena.kernels.countBytes(this.codes[block]!, this.#split.spans[block]!.size, this.#histogram);
    return this.#arena.words(this.#histogram, 256).slice();
  }

  /** Whether any survivor is negative. */
  signed(): boolean {
    return this.#arena.kernels.slicerAnySign(this.meta, this.survivors) === 1;
  }

  #padded(): number {
    return Math.ceil(this.#total / GROUP) * GROUP;
  }

  #classify({ from, meta }: { from: number; meta: number }, to: number): { from: number; meta: number } {
    if (from >= to) return { from, meta };
    const { boundaries, exponent } = this.#split;
    const least = this.#arena.words(this.#least, GROUP * boundaries.length);
    boundaries.forEach((boundary, j) => {
      for (let i = 0; i < GROUP; i++)
        least[GROUP * j + i] = boundary.least + (from + i < boundary.until ? 0 : 1);
    });
    const end = this.#arena.kernels.slicerClassify(
      this.#source,
      from,
      to,
      boundaries.length,
      exponent,
      this.#least,
      this.#quantisers,
      this.bitmap,
      meta,
      this.#ends,
    );
    return { from: to, meta: end };
  }

  #setQuantisers(widths: readonly number[]): void {
    const words = this.#arena.words(this.#quantisers, 4 * GROUP).fill(0);
    const ratios = this.#arena.floats(this.#quantisers + 4 * 3 * GROUP, GROUP);
    this.#split.spans.forEach(({ lo, hi }, j) => {
      const top = 2 ** widths[j]! - 1;
      words[j] = lo;
      words[GROUP + j] = top;
      words[2 * GROUP + j] = hi - lo;
      if (hi > lo) ratios[j] = top / (hi - lo);
    });
  }
}
